// SPDX-License-Identifier: Apache-2.0
//
// What has happened from one sample to the next.
#ifndef ZCRX_TOOLS_ZCRXCTL_TOP_RATES_H_
#define ZCRX_TOOLS_ZCRXCTL_TOP_RATES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "tools/zcrxctl/top_sample.h"

namespace zcrx::ctl {

// Per second. Absent: not counted, or the entry is new.
struct TopRates {
  std::optional<double> packets;
  std::optional<double> zero_copy_bytes;
  std::optional<double> copied_bytes;
  bool more_failures = false;  // than before
};

// How often memory was missing: to the NIC (alloc_failures), and to the kernel for what it had to copy.
uint64_t FailuresOf(const TopEntry& entry);

// For each entry of `now`, in their order.
std::vector<TopRates> RatesOf(const TopSample& before, const TopSample& now);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_TOP_RATES_H_
