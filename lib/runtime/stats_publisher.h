// SPDX-License-Identifier: Apache-2.0
//
// The writing side of zcrx/stats_page.h: when the page of a runtime is due, and how
// it is written so that readers never get half of it.
#ifndef ZCRX_LIB_RUNTIME_STATS_PUBLISHER_H_
#define ZCRX_LIB_RUNTIME_STATS_PUBLISHER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/ifq/mapping.h"
#include "lib/receive/receive_path.h"
#include "zcrx/runtime.h"
#include "zcrx/stats_page.h"

namespace zcrx::inline v0::internal {

inline constexpr char kStatsFileName[] = "zcrx-stats";

// The words of `page` go to `memory`, which has as many and is aligned for them, under its sequence lock. One
// writer.
void WriteStatsPage(const StatsPage& page, uint64_t* memory);

// Where a runtime receives from.
struct StatsQueue {
  std::string interface;
  uint32_t interface_index = 0;
  uint32_t rx_queue = 0;
  bool shared = false;
};

// Belongs to the thread of the runtime.
class StatsPublisher {
 public:
  using Clock = std::chrono::steady_clock;

  // Changes are published so long after the last time, or later: it takes no more than a hundredth of the
  // time.
  static constexpr std::chrono::nanoseconds kPeriod = std::chrono::milliseconds(250);
  static constexpr int kLeastRest = 100;

  // With a page that says who; `queue` is null on the copy path. Errors are those of memory files (EMFILE).
  static absl::StatusOr<std::unique_ptr<StatsPublisher>> Create(const StatsQueue* queue);

  // When the page has to be written, as it differs from what `path` says now; the end of time if it does not.
  Clock::time_point due(const ReceivePath& path) const {
    return path.activity() == published_activity_ ? Clock::time_point::max() : due_;
  }
  // Whether that is now. For each turn: asks no clock.
  bool IsDue(const ReceivePath& path) const {
    return path.now() >= due_ && due(path) != Clock::time_point::max();
  }

  // `stats` of the runtime that receives by `path`.
  void Publish(const RuntimeStats& stats, const ReceivePath& path);

 private:
  explicit StatsPublisher(Mapping memory) : memory_(std::move(memory)) {}

  Mapping memory_;
  StatsPage page_;
  Clock::time_point due_ = Clock::time_point::min();
  uint64_t published_activity_ = 0;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RUNTIME_STATS_PUBLISHER_H_
