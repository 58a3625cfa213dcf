// SPDX-License-Identifier: Apache-2.0
//
// A sample for scripts: all of it.
#ifndef ZCRX_TOOLS_ZCRXCTL_TOP_JSON_H_
#define ZCRX_TOOLS_ZCRXCTL_TOP_JSON_H_

#include <vector>

#include "tools/zcrxctl/json.h"
#include "tools/zcrxctl/top_rates.h"
#include "tools/zcrxctl/top_sample.h"

namespace zcrx::ctl {

Json ToJson(const TopSample& sample, const std::vector<TopRates>& rates);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_TOP_JSON_H_
