// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/stats_publisher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

constexpr size_t kWords = sizeof(StatsPage) / sizeof(uint64_t);
constexpr size_t kSequenceWord = offsetof(StatsPage, sequence) / sizeof(uint64_t);

uint64_t Nanoseconds(std::chrono::nanoseconds time) { return static_cast<uint64_t>(time.count()); }

// Of the calling thread; 0 without /proc.
uint64_t NetworkNamespace() {
  struct stat file = {};
  return stat("/proc/thread-self/ns/net", &file) == 0 ? file.st_ino : 0;
}

uint32_t NextRuntimeNumber() {
  // Relaxed: a number is all that is wanted.
  static std::atomic<uint32_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

void WriteStatsPage(const StatsPage& page, uint64_t* memory) {
  const auto words = std::bit_cast<std::array<uint64_t, kWords>>(page);
  const std::atomic_ref<uint64_t> sequence(memory[kSequenceWord]);
  // Relaxed: what this thread, the only one that writes, has stored itself.
  const uint64_t before = sequence.load(std::memory_order_relaxed);
  // Relaxed: each of the stores below brings it along.
  sequence.store(before + 1, std::memory_order_relaxed);
  for (size_t i = 0; i < kWords; ++i) {
    // Release: who sees a new word sees the odd sequence, too, and begins again.
    if (i != kSequenceWord) std::atomic_ref(memory[i]).store(words[i], std::memory_order_release);
  }
  // Release: who sees the even sequence sees all of the words.
  sequence.store(before + 2, std::memory_order_release);
}

absl::StatusOr<std::unique_ptr<StatsPublisher>> StatsPublisher::Create(const StatsQueue* queue) {
  Mapping memory = Mapping::MapShareable(sizeof(StatsPage), {.name = kStatsFileName, .others_read = true});
  if (memory.empty()) return ErrnoStatus(errno, "mapping the stats page");
  std::unique_ptr<StatsPublisher> publisher(new StatsPublisher(std::move(memory)));
  StatsPage& page = publisher->page_;
  page.bytes = sizeof(page);
  page.pid = getpid();
  page.runtime = NextRuntimeNumber();
  page.started_at_ns = Nanoseconds(std::chrono::system_clock::now().time_since_epoch());
  page.netns = NetworkNamespace();
  if (queue != nullptr) {
    page.zero_copy = 1;
    page.interface_index = queue->interface_index;
    queue->interface.copy(page.name.data(), page.name.size() - 1);
    page.rx_queue = queue->rx_queue;
    page.shared = queue->shared ? 1 : 0;
  }
  return publisher;
}

void StatsPublisher::Publish(const RuntimeStats& stats, const ReceivePath& path) {
  const Clock::time_point began = Clock::now();
  published_activity_ = path.activity();
  page_.published_at_ns = Nanoseconds(began.time_since_epoch());
  page_.piece_bytes = path.piece_bytes();
  page_.pool_pieces = stats.pool_pieces;
  page_.region_bytes = stats.pool_pieces * path.piece_bytes();
  if (stats.interface_queue.has_value()) {
    page_.region_bytes = stats.interface_queue->pool_bytes;
    page_.refill_lag = stats.interface_queue->refill_lag;
  }
  page_.pieces_out = stats.buffers_out;
  page_.pieces_out_peak = stats.buffers_out_peak;
  page_.bytes_received = stats.bytes_received;
  page_.fragments_received = stats.fragments_received;
  page_.copied_bytes = stats.copied_bytes.value_or(StatsPage::kNotCounted);
  page_.copied_fragments = stats.copied_fragments.value_or(StatsPage::kNotCounted);
  page_.rearms_no_buffer = stats.rearms_no_buffer;
  page_.rearms_no_space = stats.rearms_no_space;
  page_.misplaced_streams = stats.misplaced_streams;
  page_.pressure_high = stats.pressure.now == Pressure::kHigh ? 1 : 0;
  page_.pressure_rises = stats.pressure.rises;
  page_.paused_streams = stats.pressure.paused;
  page_.copied_out_bytes = stats.pressure.copied_out_bytes;
  page_.holders = {};
  page_.holder_count = path.FindHolders(page_.holders);
  WriteStatsPage(page_, reinterpret_cast<uint64_t*>(memory_.base()));
  const Clock::time_point ended = Clock::now();
  // With very many streams it takes a while to find the holders.
  due_ = ended + std::max(kPeriod, kLeastRest * (ended - began));
}

}  // namespace zcrx::inline v0::internal
