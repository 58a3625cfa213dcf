// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/top_rates.h"

#include <algorithm>

namespace zcrx::ctl {
namespace {

using Count = std::optional<uint64_t>;

bool IsSame(const TopEntry& a, const TopEntry& b) {
  if (a.interface != b.interface || a.rx_queue != b.rx_queue ||
      a.runtime.has_value() != b.runtime.has_value())
    return false;
  return !a.runtime.has_value() ||
         (a.runtime->pid == b.runtime->pid && a.runtime->page.runtime == b.runtime->page.runtime &&
          a.runtime->page.started_at_ns == b.runtime->page.started_at_ns);
}

// A count that falls has begun anew.
std::optional<double> Rate(const Count& before, const Count& now, double seconds) {
  if (!before.has_value() || !now.has_value() || *now < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(*now - *before) / seconds;
}

Count PacketsOf(const TopEntry& entry) {
  return entry.queue.has_value() ? entry.queue->packets : std::nullopt;
}

Count CopiedOf(const StatsPage& page) {
  return page.copied_bytes == StatsPage::kNotCounted ? Count() : page.copied_bytes;
}

// A page is as old as the last time that something happened; its counts belong to that time, not to the
// sample's. If nothing had happened for a while before the first one, the time up to it was not a part of it.
double SecondsBetween(const StatsPage& before, const StatsPage& now, double interval) {
  if (now.published_at_ns <= before.published_at_ns) return interval;
  return std::min(static_cast<double>(now.published_at_ns - before.published_at_ns) / 1e9, interval + 1);
}

TopRates RatesOf(const TopEntry& before, const TopEntry& now, double interval) {
  TopRates rates;
  rates.packets = Rate(PacketsOf(before), PacketsOf(now), interval);
  rates.more_failures = FailuresOf(now) > FailuresOf(before);
  if (!now.runtime.has_value()) return rates;
  const StatsPage& page = now.runtime->page;
  const StatsPage& earlier = before.runtime->page;
  const double seconds = SecondsBetween(earlier, page, interval);
  rates.zero_copy_bytes = Rate(earlier.zero_copy_bytes(), page.zero_copy_bytes(), seconds);
  rates.copied_bytes = Rate(CopiedOf(earlier), CopiedOf(page), seconds);
  return rates;
}

}  // namespace

uint64_t FailuresOf(const TopEntry& entry) {
  return (entry.queue.has_value() ? entry.queue->alloc_failures.value_or(0) : 0) +
         (entry.runtime.has_value() ? entry.runtime->page.rearms_no_buffer : 0);
}

std::vector<TopRates> RatesOf(const TopSample& before, const TopSample& now) {
  const double interval = std::chrono::duration<double>(now.time - before.time).count();
  std::vector<TopRates> all;
  for (const TopEntry& entry : now.entries) {
    const auto same = std::find_if(before.entries.begin(), before.entries.end(),
                                   [&entry](const TopEntry& other) { return IsSame(entry, other); });
    all.push_back(same != before.entries.end() && interval > 0 ? RatesOf(*same, entry, interval)
                                                               : TopRates());
  }
  return all;
}

}  // namespace zcrx::ctl
