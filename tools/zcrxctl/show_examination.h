// SPDX-License-Identifier: Apache-2.0
//
// What doctor prints of an interface, for people and for programs.
#ifndef ZCRX_TOOLS_ZCRXCTL_SHOW_EXAMINATION_H_
#define ZCRX_TOOLS_ZCRXCTL_SHOW_EXAMINATION_H_

#include <string>
#include <vector>

#include "tools/zcrxctl/examination.h"
#include "tools/zcrxctl/json.h"
#include "tools/zcrxctl/style.h"

namespace zcrx::ctl {

Json ToJson(const Examination& examination);
Json ToJson(const std::vector<Finding>& findings);

// `whole`: with all that is known of the NIC, not the findings alone.
// `able`: nothing is wrong with the machine.
std::string Describe(const Examination& examination, bool able, bool whole, const Style& style);

void AppendFindings(const std::vector<Finding>& findings, const Style& style, std::string& text);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_SHOW_EXAMINATION_H_
