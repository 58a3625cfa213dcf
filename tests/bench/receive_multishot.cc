// SPDX-License-Identifier: Apache-2.0
//
// Multishot receives of io_uring into a ring of provided buffers, which are used
// one after the other.
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "tests/bench/receive.h"
#include "tests/bench/receive_ring.h"

namespace zcrx::bench {
namespace {

constexpr uint16_t kGroup = 0;

class Multishot final : public Contender {
 public:
  explicit Multishot(const ReceivePlan& plan)
      : memory_(plan.copy_memory_bytes()),
        buffers_(std::min<size_t>(memory_.bytes() / kReadBytes, 32768)),
        entries_(std::bit_ceil(buffers_)),
        buffer_ring_(entries_ * sizeof(io_uring_buf)) {
    io_uring_buf_reg registration = {};
    registration.ring_addr = reinterpret_cast<uint64_t>(buffer_ring());
    registration.ring_entries = static_cast<uint32_t>(entries_);
    registration.bgid = kGroup;
    const int result = io_uring_register_buf_ring(ring_.get(), &registration, 0);
    Require(result == 0, "io_uring_register_buf_ring", result);
    io_uring_buf_ring_init(buffer_ring());
    for (size_t id = 0; id < buffers_; ++id) Provide(id);
    Publish();
  }

  void Receive(std::span<const int> sockets, Arrivals& arrivals) override {
    for (uint32_t number = 0; number < sockets.size(); ++number) Arm(sockets[number], number);
    while (arrivals.open() > 0) {
      ring_.Turn(counts_, [&](const io_uring_cqe& cqe) {
        const auto number = static_cast<uint32_t>(cqe.user_data);
        if (cqe.res > 0) {
          const size_t id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
          arrivals.Add(number, buffer(id), static_cast<size_t>(cqe.res));
          Provide(id);
        }
        if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
        if (cqe.res == 0) {
          arrivals.End(number);
          close(sockets[number]);
          return;
        }
        // No buffer was left, or the completion queue was full.
        Require(cqe.res > 0 || cqe.res == -ENOBUFS, "multishot receive", cqe.res);
        // Not before the buffers are back that it is for.
        Publish();
        Arm(sockets[number], number);
      });
      Publish();
    }
  }

 private:
  void Arm(int socket, uint32_t number) {
    io_uring_sqe* sqe = ring_.Prepare(counts_);
    io_uring_prep_recv_multishot(sqe, socket, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = kGroup;
    sqe->user_data = number;
  }

  void Provide(size_t id) {
    io_uring_buf_ring_add(buffer_ring(), buffer(id), kReadBytes, static_cast<uint16_t>(id),
                          io_uring_buf_ring_mask(static_cast<uint32_t>(entries_)), provided_++);
  }
  void Publish() {
    if (provided_ > 0) io_uring_buf_ring_advance(buffer_ring(), provided_);
    provided_ = 0;
  }

  unsigned char* buffer(size_t id) const { return memory_.base() + id * kReadBytes; }
  io_uring_buf_ring* buffer_ring() const { return reinterpret_cast<io_uring_buf_ring*>(buffer_ring_.base()); }

  Memory memory_;
  const size_t buffers_;
  const size_t entries_;  // of the buffer ring, which wants a power of two
  Memory buffer_ring_;
  PlainRing ring_;
  int provided_ = 0;  // and not yet published
};

}  // namespace

std::unique_ptr<Contender> MakeMultishot(const ReceivePlan& plan) {
  return std::make_unique<Multishot>(plan);
}

}  // namespace zcrx::bench
