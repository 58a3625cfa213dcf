// SPDX-License-Identifier: Apache-2.0
//
// Zero-copy receive as one writes it by hand in C, on the structs and calls of the
// kernel: the measure for the library. One interface queue, one area, no owners of
// buffers. It has all that correctness wants: what the refill ring has no room for
// waits, and requests that the kernel ends for want of room are armed again.
#include <liburing.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <thread>

#include "lib/uapi/zcrx.h"
#include "tests/bench/receive.h"

namespace zcrx::bench {
namespace {

using uapi::kAreaMask;

struct Queue {
  io_uring ring;
  const unsigned char* area;
  uint64_t area_token;
  uint32_t zcrx_id;

  // The refill ring. The heads of both sides are only looked at if they seem to have met.
  uint32_t* rq_kernel_head;
  uint32_t* rq_kernel_tail;
  uapi::Rqe* rqes;
  uint32_t rq_entries;
  uint32_t rq_head;
  uint32_t rq_tail;

  // Offsets of pieces that have not been given back, oldest first: from `held_head` to `held_tail`. There is
  // room for all that exist twice, as two completions may have parts of one.
  uint64_t* held;
  uint32_t held_mask;
  uint32_t held_head;
  uint32_t held_tail;
  uint32_t held_most;
};

// The kernel frees the queue of whoever had it before some time after its end.
int RegisterWhenFree(const Queue* queue, uapi::IfqReg* ifq) {
  for (int tries = 0;; ++tries) {
    if (syscall(__NR_io_uring_register, queue->ring.ring_fd, uapi::kRegisterZcrxIfq, ifq, 1) == 0) return 0;
    if (errno != EEXIST || tries == 1000) return -errno;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void Register(Queue* queue, const ReceivePlan* plan, const Memory* area, const Memory* refill) {
  io_uring_params params = {};
  params.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE;
  params.cq_entries = 8192;
  int result = io_uring_queue_init_params(256, &queue->ring, &params);
  Require(result == 0, "io_uring_queue_init_params", result);

  uapi::AreaReg area_reg = {};
  area_reg.addr = reinterpret_cast<uint64_t>(area->base());
  area_reg.len = area->bytes();
  uapi::RegionDesc region = {};
  region.user_addr = reinterpret_cast<uint64_t>(refill->base());
  region.size = refill->bytes();
  region.flags = uapi::kRegionTypeUser;
  uapi::IfqReg ifq = {};
  ifq.if_idx = if_nametoindex(plan->interface.c_str());
  ifq.if_rxq = plan->rx_queue;
  ifq.rq_entries = uapi::kMaxRefillEntries;
  ifq.area_ptr = reinterpret_cast<uint64_t>(&area_reg);
  ifq.region_ptr = reinterpret_cast<uint64_t>(&region);
  result = RegisterWhenFree(queue, &ifq);
  Require(result == 0, "IORING_REGISTER_ZCRX_IFQ", result);

  queue->area = area->base();
  queue->area_token = area_reg.rq_area_token;
  queue->zcrx_id = ifq.zcrx_id;
  queue->rq_kernel_head = reinterpret_cast<uint32_t*>(refill->base() + ifq.offsets.head);
  queue->rq_kernel_tail = reinterpret_cast<uint32_t*>(refill->base() + ifq.offsets.tail);
  queue->rqes = reinterpret_cast<uapi::Rqe*>(refill->base() + ifq.offsets.rqes);
  queue->rq_entries = ifq.rq_entries;
}

void Arm(Queue* queue, int socket, uint32_t number, ReceiveCounts* counts) {
  io_uring_sqe* sqe = io_uring_get_sqe(&queue->ring);
  if (sqe == nullptr) {
    io_uring_submit(&queue->ring);
    ++counts->system_calls;
    sqe = io_uring_get_sqe(&queue->ring);
  }
  *sqe = {};
  sqe->opcode = uapi::kOpRecvZc;
  sqe->fd = socket;
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->file_index = queue->zcrx_id;  // zcrx_ifq_idx, in the same place
  sqe->user_data = number;
}

// Into the refill ring; the kernel sees it with the next store of the tail. False if there is no room: there
// are more pieces than entries, and the kernel only takes from here what the NIC needs.
inline bool GiveBack(Queue* queue, uint64_t offset) {
  if (queue->rq_tail - queue->rq_head == queue->rq_entries) {
    queue->rq_head = __atomic_load_n(queue->rq_kernel_head, __ATOMIC_ACQUIRE);
    if (queue->rq_tail - queue->rq_head == queue->rq_entries) return false;
  }
  uapi::Rqe* rqe = &queue->rqes[queue->rq_tail++ & (queue->rq_entries - 1)];
  rqe->off = (offset & ~kAreaMask) | queue->area_token;
  rqe->len = 0;
  rqe->pad = 0;
  return true;
}

// Everything that the completion queue has.
void TakeCompletions(Queue* queue, std::span<const int> sockets, Arrivals* arrivals, ReceiveCounts* counts) {
  const io_uring_cq* cq = &queue->ring.cq;
  const uint32_t mask = *cq->kring_mask;
  const uint32_t begin = *cq->khead;
  const uint32_t end = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
  for (uint32_t head = begin; head != end; ++head) {
    const io_uring_cqe* cqe = &cq->cqes[size_t{head & mask} * 2];
    const auto number = static_cast<uint32_t>(cqe->user_data);
    if ((cqe->flags & IORING_CQE_F_MORE) != 0) {
      const uint64_t offset = cqe->big_cqe[0];
      arrivals->Add(number, queue->area + (offset & ~kAreaMask), static_cast<size_t>(cqe->res));
      queue->held[queue->held_tail++ & queue->held_mask] = offset;
      while (queue->held_tail - queue->held_head > queue->held_most &&
             GiveBack(queue, queue->held[queue->held_head & queue->held_mask])) {
        ++queue->held_head;
      }
    } else if (cqe->res == 0) {
      arrivals->End(number);
      close(sockets[number]);
    } else {
      Require(cqe->res == -ENOSPC || cqe->res == -ENOMEM, "IORING_OP_RECV_ZC", cqe->res);
      Arm(queue, sockets[number], number, counts);
    }
  }
  counts->completions += end - begin;
  __atomic_store_n(cq->khead, end, __ATOMIC_RELEASE);
  __atomic_store_n(queue->rq_kernel_tail, queue->rq_tail, __ATOMIC_RELEASE);
}

class CLoop final : public Contender {
 public:
  explicit CLoop(const ReceivePlan& plan)
      : area_(plan.region_bytes()),
        // Its header is smaller than a page.
        refill_(size_t{uapi::kMaxRefillEntries} * sizeof(uapi::Rqe) + kPieceBytes),
        held_(std::bit_ceil(2 * plan.region_bytes() / kPieceBytes)) {
    Register(&queue_, &plan, &area_, &refill_);
    queue_.held = held_.data();
    queue_.held_mask = static_cast<uint32_t>(held_.size() - 1);
    queue_.held_most = static_cast<uint32_t>(plan.kept_pieces());
  }
  ~CLoop() override { io_uring_queue_exit(&queue_.ring); }

  void Receive(std::span<const int> sockets, Arrivals& arrivals) override {
    for (uint32_t number = 0; number < sockets.size(); ++number) {
      Arm(&queue_, sockets[number], number, &counts_);
    }
    while (arrivals.open() > 0) {
      const int result = io_uring_submit_and_wait(&queue_.ring, 1);
      Require(result >= 0 || result == -EINTR, "io_uring_submit_and_wait", result);
      ++counts_.system_calls;
      TakeCompletions(&queue_, sockets, &arrivals, &counts_);
    }
  }

 private:
  Memory area_;
  Memory refill_;
  std::vector<uint64_t> held_;
  Queue queue_ = {};
};

}  // namespace

std::unique_ptr<Contender> MakeCLoop(const ReceivePlan& plan) { return std::make_unique<CLoop>(plan); }

}  // namespace zcrx::bench
