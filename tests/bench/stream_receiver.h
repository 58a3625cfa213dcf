// SPDX-License-Identifier: Apache-2.0
//
// Receiving as programs do: a Runtime, Streams, and a coroutine for each. All of it
// is the library's, but for the kernel behind the receive path.
#ifndef ZCRX_TESTS_BENCH_STREAM_RECEIVER_H_
#define ZCRX_TESTS_BENCH_STREAM_RECEIVER_H_

#include <memory>

#include "tests/bench/receiver.h"

namespace zcrx::bench {

// By ReceiveBatch() or by Receive().
std::unique_ptr<Receiver> MakeStreamReceiver(const Traffic& traffic, bool batches);

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_STREAM_RECEIVER_H_
