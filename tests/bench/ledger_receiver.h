// SPDX-License-Identifier: Apache-2.0
//
// Receiving by the library's parts that know no streams.
#ifndef ZCRX_TESTS_BENCH_LEDGER_RECEIVER_H_
#define ZCRX_TESTS_BENCH_LEDGER_RECEIVER_H_

#include <memory>

#include "tests/bench/receiver.h"

namespace zcrx::bench {

// Drops each Buffer at once.
std::unique_ptr<Receiver> MakeLedgerReceiver(const Traffic& traffic);
// Has another thread drop them, a batch at a time.
std::unique_ptr<Receiver> MakeWorkersReceiver(const Traffic& traffic);

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_LEDGER_RECEIVER_H_
