// SPDX-License-Identifier: Apache-2.0
//
// What there is to count at one time: the receive queues that the kernel tells of,
// joined with the runtimes that publish stats (zcrx/stats_page.h).
#ifndef ZCRX_TOOLS_ZCRXCTL_TOP_SAMPLE_H_
#define ZCRX_TOOLS_ZCRXCTL_TOP_SAMPLE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "zcrx/netdev.h"
#include "zcrx/stats_page.h"

namespace zcrx::ctl {

// Who has made a page of stats, and what it says.
struct PublishedPage {
  std::string process;  // as a terminal may show it
  PublishedStats stats;
};

struct TopRuntime {
  std::string process;
  int pid = 0;
  uint32_t uid = 0;
  StatsPage page;
};

// A receive queue, a runtime, or both. Of a queue that several runtimes receive from there is one for each.
struct TopEntry {
  std::string interface;                      // empty: a runtime that copies
  std::optional<uint32_t> rx_queue;           // absent: the same
  std::string owner;                          // as OwnerOf() has it
  std::optional<netdev::QueueStats> queue;    // absent: the kernel tells nothing of it here
  std::optional<netdev::PagePool> page_pool;  // the one it has now
  std::optional<TopRuntime> runtime;
};

struct TopSample {
  std::chrono::steady_clock::time_point time;
  std::vector<TopEntry> entries;        // by interface, those in use first, by queue and process
  std::vector<std::string> unreadable;  // pages, with the reason
  uint64_t detached_pools = 0;          // that wait for the last of their pieces
  uint64_t detached_pieces = 0;         // these
};

struct TopFacts {
  std::vector<netdev::NicState> nics;
  std::vector<PublishedPage> pages;
  uint64_t netns = 0;     // the network namespace of these NICs
  bool one_only = false;  // the user has named the one NIC that there is: all of its queues, and nothing else
};

TopSample JoinFacts(const TopFacts& facts);

// `interface`: that one only. Errors are those of ReadNic().
absl::StatusOr<TopSample> TakeSample(const std::optional<std::string>& interface);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_TOP_SAMPLE_H_
