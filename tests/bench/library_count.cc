// SPDX-License-Identifier: Apache-2.0
//
// Receives from the synthetic kernel by one of the ways of receiver.h, and prints
// allocations and system calls for each buffer, and stores of the refill ring's tail
// for each turn. Under callgrind the instructions are counted: count_instructions.sh.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "tests/allocation_counter.h"
#include "tests/bench/counted.h"
#include "tests/bench/receiver.h"

namespace {

// So many that all streams have had a few turns, and what is kept has been allocated.
uint64_t WarmUpTurns(const zcrx::bench::Traffic& traffic) {
  const uint64_t streams_per_turn = std::max<uint64_t>(1, traffic.batch / traffic.pass);
  return std::max<uint64_t>(1000, 4 * traffic.streams / streams_per_turn);
}

uint32_t Number(const char* text) { return static_cast<uint32_t>(strtoul(text, nullptr, 10)); }

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<zcrx::bench::Receiver> receiver;
  if (argc == 8) {
    const zcrx::bench::Traffic traffic = {.rbuf = std::string_view(argv[2]) == "rbuf",
                                          .streams = Number(argv[3]),
                                          .pass = Number(argv[4]),
                                          .batch = Number(argv[6]),
                                          .pieces = Number(argv[5])};
    receiver = zcrx::bench::MakeReceiver(argv[1], traffic);
  }
  if (receiver == nullptr) {
    (void)fputs(
        "usage: library_count c|ledger|workers|receive|batch main|rbuf STREAMS PASS PIECES BATCH TURNS\n",
        stderr);
    return 2;
  }
  const uint64_t turns = Number(argv[7]);
  receiver->Run(WarmUpTurns(receiver->kernel().traffic()));
  const uint64_t allocations = zcrx::AllocationCount();
  const uint64_t refilled_turns = receiver->kernel().refilled_turns();
  const uint64_t system_calls = receiver->system_calls();
  BenchCountedRun(*receiver, turns);
  const double buffers = static_cast<double>(turns) * receiver->kernel().traffic().batch;
  printf(
      "%.4f %.4f %.4f\n", static_cast<double>(zcrx::AllocationCount() - allocations) / buffers,
      static_cast<double>(receiver->system_calls() - system_calls) / buffers,
      static_cast<double>(receiver->kernel().refilled_turns() - refilled_turns) / static_cast<double>(turns));
  const zcrx::bench::Tally tally = receiver->Finish();
  const zcrx::bench::Tally& posted = receiver->kernel().posted();
  if (tally.bytes == posted.bytes && tally.sum == posted.sum) return 0;
  (void)fputs("not all that was posted has been received\n", stderr);
  return 1;
}
