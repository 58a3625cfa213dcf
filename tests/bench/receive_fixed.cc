// SPDX-License-Identifier: Apache-2.0
//
// Reads of io_uring into one registered buffer, one at a time for each connection:
// the kernel has its pages, and need not look them up. (IORING_OP_RECV itself takes
// no registered buffer; READ_FIXED does, also of sockets.)
#include <liburing.h>
#include <unistd.h>

#include <cerrno>

#include "tests/bench/receive.h"
#include "tests/bench/receive_ring.h"

namespace zcrx::bench {
namespace {

class Fixed final : public Contender {
 public:
  explicit Fixed(const ReceivePlan& plan)
      : memory_(plan.copy_memory_bytes()),
        slice_bytes_(memory_.bytes() / plan.connections),
        at_(plan.connections) {
    const iovec buffer = {.iov_base = memory_.base(), .iov_len = memory_.bytes()};
    const int result = io_uring_register_buffers(ring_.get(), &buffer, 1);
    Require(result == 0, "io_uring_register_buffers", result);
  }

  void Receive(std::span<const int> sockets, Arrivals& arrivals) override {
    for (uint32_t number = 0; number < sockets.size(); ++number) Read(sockets[number], number);
    while (arrivals.open() > 0) {
      ring_.Turn(counts_, [&](const io_uring_cqe& cqe) {
        const auto number = static_cast<uint32_t>(cqe.user_data);
        Require(cqe.res >= 0, "read", cqe.res);
        if (cqe.res == 0) {
          arrivals.End(number);
          close(sockets[number]);
          return;
        }
        arrivals.Add(number, Place(number), static_cast<size_t>(cqe.res));
        at_[number] += static_cast<size_t>(cqe.res);
        if (slice_bytes_ - at_[number] < kReadBytes) at_[number] = 0;
        Read(sockets[number], number);
      });
    }
  }

 private:
  void Read(int socket, uint32_t number) {
    io_uring_sqe* sqe = ring_.Prepare(counts_);
    io_uring_prep_read_fixed(sqe, socket, Place(number), kReadBytes, 0, 0);
    sqe->user_data = number;
  }

  unsigned char* Place(uint32_t number) const { return memory_.base() + number * slice_bytes_ + at_[number]; }

  Memory memory_;
  const size_t slice_bytes_;  // the part of each connection
  std::vector<size_t> at_;    // where in its part each connection reads
  PlainRing ring_;
};

}  // namespace

std::unique_ptr<Contender> MakeFixed(const ReceivePlan& plan) { return std::make_unique<Fixed>(plan); }

}  // namespace zcrx::bench
