// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/c_loop.h"

namespace zcrx::bench {

using uapi::kAreaMask;

// What does not change is in variables: the compiler does not know that a tally is no part of the loop.

void ReceiveByMainQueue(CLoop* loop) {
  const io_uring_cqe* const cqes = loop->cqes;
  const uint32_t cq_mask = loop->cq_mask;
  uapi::Rqe* const rqes = loop->rqes;
  const uint32_t rq_mask = loop->rq_mask;
  const std::byte* const area = loop->area;
  const uint64_t area_token = loop->area_token;
  uint32_t head = *loop->cq_head;
  uint32_t rq_tail = *loop->rq_tail;
  const uint32_t tail = __atomic_load_n(loop->cq_tail, __ATOMIC_ACQUIRE);
  for (; head != tail; ++head) {
    const io_uring_cqe* cqe = &cqes[size_t{head & cq_mask} * 2];
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
      ++loop->ended;
      continue;
    }
    const uint64_t offset = cqe->big_cqe[0] & ~kAreaMask;
    // The pointer that the request carried. NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto* tally = reinterpret_cast<Tally*>(cqe->user_data);
    tally->Add(area + offset, static_cast<uint32_t>(cqe->res));
    uapi::Rqe* rqe = &rqes[rq_tail++ & rq_mask];
    rqe->off = offset | area_token;
    rqe->len = static_cast<uint32_t>(cqe->res);
    rqe->pad = 0;
  }
  __atomic_store_n(loop->cq_head, head, __ATOMIC_RELEASE);
  __atomic_store_n(loop->rq_tail, rq_tail, __ATOMIC_RELEASE);
}

void ReceiveByRbufRing(CLoop* loop) {
  const io_uring_cqe* const cqes = loop->cqes;
  const uint32_t cq_mask = loop->cq_mask;
  const uapi::RbufCqe* const rbufs = loop->rbufs;
  const uint32_t rbuf_mask = loop->rbuf_mask;
  uapi::Rqe* const rqes = loop->rqes;
  const uint32_t rq_mask = loop->rq_mask;
  const std::byte* const area = loop->area;
  const uint64_t area_token = loop->area_token;
  uint32_t head = *loop->cq_head;
  uint32_t rbuf_head = *loop->rbuf_head;
  uint32_t rq_tail = *loop->rq_tail;
  // The kernel has stored the tail of the rbuf ring before it shows a completion.
  const uint32_t tail = __atomic_load_n(loop->cq_tail, __ATOMIC_ACQUIRE);
  for (; head != tail; ++head) {
    const io_uring_cqe* cqe = &cqes[head & cq_mask];
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
      ++loop->ended;
      continue;
    }
    // The pointer that the request carried. NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto* tally = reinterpret_cast<Tally*>(cqe->user_data);
    for (const uint32_t end = rbuf_head + static_cast<uint32_t>(cqe->res); rbuf_head != end; ++rbuf_head) {
      const uapi::RbufCqe* rbuf = &rbufs[rbuf_head & rbuf_mask];
      const uint64_t offset = rbuf->off & ~kAreaMask;
      tally->Add(area + offset, rbuf->len);
      uapi::Rqe* rqe = &rqes[rq_tail++ & rq_mask];
      rqe->off = offset | area_token;
      rqe->len = rbuf->len;
      rqe->pad = 0;
    }
  }
  __atomic_store_n(loop->cq_head, head, __ATOMIC_RELEASE);
  __atomic_store_n(loop->rbuf_head, rbuf_head, __ATOMIC_RELEASE);
  __atomic_store_n(loop->rq_tail, rq_tail, __ATOMIC_RELEASE);
}

}  // namespace zcrx::bench
