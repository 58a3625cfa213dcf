// SPDX-License-Identifier: Apache-2.0
//
// The io_uring of the contenders that are written on liburing.
#ifndef ZCRX_TESTS_BENCH_RECEIVE_RING_H_
#define ZCRX_TESTS_BENCH_RECEIVE_RING_H_

#include <liburing.h>

#include <cerrno>
#include <cstdint>

#include "tests/bench/receive.h"

namespace zcrx::bench {

// As the runtime's: the same sizes and set-up.
class PlainRing {
 public:
  PlainRing() {
    io_uring_params params = {};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = 8192;
    const int result = io_uring_queue_init_params(256, &ring_, &params);
    Require(result == 0, "io_uring_queue_init_params", result);
  }
  ~PlainRing() { io_uring_queue_exit(&ring_); }
  PlainRing(const PlainRing&) = delete;
  PlainRing& operator=(const PlainRing&) = delete;

  io_uring* get() { return &ring_; }

  io_uring_sqe* Prepare(ReceiveCounts& counts) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) return sqe;
    io_uring_submit(&ring_);
    ++counts.system_calls;
    return io_uring_get_sqe(&ring_);
  }

  // Submits, waits, and calls `handle` with each completion.
  template <typename Function>
  void Turn(ReceiveCounts& counts, Function handle) {
    const int result = io_uring_submit_and_wait(&ring_, 1);
    Require(result >= 0 || result == -EINTR, "io_uring_submit_and_wait", result);
    ++counts.system_calls;
    unsigned head;
    unsigned count = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      handle(*cqe);
      ++count;
    }
    io_uring_cq_advance(&ring_, count);
    counts.completions += count;
  }

 private:
  io_uring ring_ = {};
};

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_RECEIVE_RING_H_
