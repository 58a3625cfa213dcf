// SPDX-License-Identifier: Apache-2.0
//
// A thread that Buffers are handed to, a batch at a time, and that drops them.
#ifndef ZCRX_TESTS_BENCH_WORKER_H_
#define ZCRX_TESTS_BENCH_WORKER_H_

#include <chrono>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "zcrx/buffer.h"

namespace zcrx::bench {

class Worker {
 public:
  Worker() : thread_([this](const std::stop_token& stop) { Work(stop); }) {}
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Add(Buffer buffer) { buffers_.push_back(std::move(buffer)); }
  // Waits until the thread has dropped them.
  void HandOver();
  // What the thread does.
  void Drop() { buffers_.clear(); }

  // Spent in HandOver() while nothing was dropped.
  std::chrono::nanoseconds time_lost() const { return waited_ - dropping_; }

 private:
  void Work(const std::stop_token& stop);

  std::vector<Buffer> buffers_;
  std::binary_semaphore full_{0};
  std::binary_semaphore empty_{0};
  std::chrono::nanoseconds waited_ = {};
  std::chrono::nanoseconds dropping_ = {};
  std::jthread thread_;  // the last, as it uses all the others
};

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_WORKER_H_
