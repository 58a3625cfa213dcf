// SPDX-License-Identifier: Apache-2.0
//
// Ways of receiving from the synthetic kernel: by hand, and by more and more of
// the library. All look at the first byte of each fragment and give it back.
#ifndef ZCRX_TESTS_BENCH_RECEIVER_H_
#define ZCRX_TESTS_BENCH_RECEIVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "tests/bench/synthetic_kernel.h"

namespace zcrx::bench {

class Receiver {
 public:
  virtual ~Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Turns the loop, and the kernel with it.
  virtual void Run(uint64_t turns) = 0;
  // One part of a turn: from the kernel's word to what a consumer can be given.
  virtual void TakeCompletions() = 0;
  // What the consumers have come to. Nothing can be received any more.
  virtual Tally Finish() = 0;

  const SyntheticKernel& kernel() const { return kernel_; }
  // Part of the time spent in Run() that is not the receiver's.
  virtual std::chrono::nanoseconds time_aside() const { return kernel_.time(); }
  // Calls of io_uring_enter(2).
  virtual uint64_t system_calls() const { return 0; }

 protected:
  explicit Receiver(const Traffic& traffic) : kernel_(traffic), tallies_(traffic.streams) {}

  Tally Total() const;

  SyntheticKernel kernel_;
  std::vector<Tally> tallies_;  // one for each stream
};

// Null if there is none of that name:
//   c        the loop of c_loop.h
//   ledger   completion queue, ledger, Buffers and refill ring; no streams
//   workers  the same, but another thread drops the Buffers
//   receive  a Runtime with Streams, and a coroutine for each that awaits Receive()
//   batch    the same with ReceiveBatch()
std::unique_ptr<Receiver> MakeReceiver(std::string_view name, const Traffic& traffic);

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_RECEIVER_H_
