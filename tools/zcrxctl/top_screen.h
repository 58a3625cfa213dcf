// SPDX-License-Identifier: Apache-2.0
//
// A sample as lines of text, as many as there is room for.
#ifndef ZCRX_TOOLS_ZCRXCTL_TOP_SCREEN_H_
#define ZCRX_TOOLS_ZCRXCTL_TOP_SCREEN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/zcrxctl/style.h"
#include "tools/zcrxctl/top_rates.h"
#include "tools/zcrxctl/top_sample.h"

namespace zcrx::ctl {

struct ScreenSize {
  size_t columns = SIZE_MAX;
  size_t lines = SIZE_MAX;
};

// In at most five characters: "999", "1.23k", "12.3M".
std::string Short(double number);

// At most `size`. What there is no room for is left out, and how many queues that are is said. `rates` are
// those of the sample's entries.
std::vector<std::string> Draw(const TopSample& sample, const std::vector<TopRates>& rates, ScreenSize size,
                              const Style& style);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_TOP_SCREEN_H_
