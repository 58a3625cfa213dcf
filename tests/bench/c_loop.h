// SPDX-License-Identifier: Apache-2.0
//
// The shortest correct loop that receives without a copy, as one writes it by hand
// in C: the measure for the library. It knows one area, trusts the kernel, hands
// nothing out and gives each piece back as soon as it has looked at it.
#ifndef ZCRX_TESTS_BENCH_C_LOOP_H_
#define ZCRX_TESTS_BENCH_C_LOOP_H_

#include <liburing.h>

#include <cstddef>
#include <cstdint>

#include "lib/uapi/zcrx.h"
#include "tests/bench/synthetic_kernel.h"

namespace zcrx::bench {

struct CLoop {
  uint32_t* cq_head;
  uint32_t* cq_tail;
  const io_uring_cqe* cqes;
  uint32_t cq_mask;
  uint32_t* rbuf_head;
  const uapi::RbufCqe* rbufs;
  uint32_t rbuf_mask;
  uint32_t* rq_tail;
  uapi::Rqe* rqes;  // as many as there are pieces, or more: it cannot be full
  uint32_t rq_mask;
  const std::byte* area;
  uint64_t area_token;
  uint64_t ended;  // requests that have to be armed again, or whose stream has ended
};

// One batch: everything that the completion queue has. `user_data` is a Tally.
void ReceiveByMainQueue(CLoop* loop);
void ReceiveByRbufRing(CLoop* loop);

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_C_LOOP_H_
