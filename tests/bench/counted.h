// SPDX-License-Identifier: Apache-2.0
//
// Names for callgrind, which is told (count_instructions.sh) to count the
// instructions of a thread between begin and end of a BenchCounted*, but for
// those of a BenchAside* inside it.
#ifndef ZCRX_TESTS_BENCH_COUNTED_H_
#define ZCRX_TESTS_BENCH_COUNTED_H_

#include <cstdint>

namespace zcrx::bench {
class Receiver;
class SyntheticKernel;
class Worker;
}  // namespace zcrx::bench

extern "C" {
void BenchCountedRun(zcrx::bench::Receiver& receiver, uint64_t turns);
void BenchCountedDrop(zcrx::bench::Worker& worker);
void BenchAsideKernel(zcrx::bench::SyntheticKernel& kernel);  // Turn()
void BenchAsideHandOver(zcrx::bench::Worker& worker);
// Counted like its surroundings; what is inside can be told apart.
void BenchCompletions(zcrx::bench::Receiver& receiver);
}

#endif  // ZCRX_TESTS_BENCH_COUNTED_H_
