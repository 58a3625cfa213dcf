// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/worker.h"

#include "tests/bench/counted.h"

namespace zcrx::bench {

using Clock = std::chrono::steady_clock;

Worker::~Worker() {
  thread_.request_stop();
  full_.release();
}

void Worker::HandOver() {
  const auto start = Clock::now();
  full_.release();
  empty_.acquire();
  waited_ += Clock::now() - start;
}

void Worker::Work(const std::stop_token& stop) {
  while (true) {
    full_.acquire();
    if (stop.stop_requested()) return;
    const auto start = Clock::now();
    BenchCountedDrop(*this);
    dropping_ += Clock::now() - start;
    empty_.release();
  }
}

}  // namespace zcrx::bench
