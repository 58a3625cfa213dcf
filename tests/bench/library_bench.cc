// SPDX-License-Identifier: Apache-2.0
//
// How long each way of receiving from the synthetic kernel takes for a buffer. What
// the kernel does is not in it, but for about 40 ns per turn of reading the clock.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "tests/bench/receiver.h"

namespace zcrx::bench {
namespace {

constexpr uint64_t kTurns = 1000;

void Measure(benchmark::State& state, const std::string& name, const Traffic& traffic) {
  const std::unique_ptr<Receiver> receiver = MakeReceiver(name, traffic);
  receiver->Run(kTurns);
  for ([[maybe_unused]] auto _ : state) {
    const auto aside = receiver->time_aside();
    const auto start = std::chrono::steady_clock::now();
    receiver->Run(kTurns);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    const auto ours = elapsed - (receiver->time_aside() - aside);
    state.SetIterationTime(std::chrono::duration<double>(ours).count());
  }
  const auto buffers = static_cast<double>(kTurns * traffic.batch);
  // In seconds.
  state.counters["per_buffer"] = benchmark::Counter(
      buffers, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Add(const std::string& title, const char* name, const Traffic& traffic) {
  benchmark::RegisterBenchmark(title.c_str(), Measure, name, traffic)->UseManualTime();
}

std::string Title(const char* name, const Traffic& traffic) {
  return std::string(name) + (traffic.rbuf ? "/rbuf/" : "/main/") + std::to_string(traffic.streams) + "/" +
         std::to_string(traffic.pass);
}

// What a buffer costs.
void RegisterLibrary() {
  for (const bool rbuf : {false, true}) {
    for (const uint32_t streams : {1, 1000}) {
      for (const uint32_t pass : {16, 1}) {
        for (const char* name : {"c", "ledger", "workers", "receive", "batch"}) {
          const Traffic traffic = {
              .rbuf = rbuf, .streams = streams, .pass = pass, .batch = 64, .pieces = 1024};
          Add(Title(name, traffic), name, traffic);
        }
      }
    }
  }
}

// What it costs where there is more: STREAMS/PIECES.
void RegisterScale() {
  for (const auto& [streams, pieces] :
       {std::pair(1, 1024), std::pair(10, 1024), std::pair(100, 1024), std::pair(1000, 1024),
        std::pair(10'000, 1024), std::pair(1000, 16'384), std::pair(1000, 65'536)}) {
    for (const bool rbuf : {false, true}) {
      for (const char* name : {"receive", "batch"}) {
        const Traffic traffic = {.rbuf = rbuf,
                                 .streams = static_cast<uint32_t>(streams),
                                 .pass = 16,
                                 .batch = 64,
                                 .pieces = static_cast<uint32_t>(pieces)};
        Add("scale/" + Title(name, traffic) + "/" + std::to_string(pieces), name, traffic);
      }
    }
  }
}

}  // namespace
}  // namespace zcrx::bench

int main(int argc, char** argv) {
  zcrx::bench::RegisterLibrary();
  zcrx::bench::RegisterScale();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
