// SPDX-License-Identifier: Apache-2.0
//
// What of the machine and of the process stands in the way of zero-copy receive,
// judged from facts alone.
#ifndef ZCRX_TOOLS_ZCRXCTL_MACHINE_FINDINGS_H_
#define ZCRX_TOOLS_ZCRXCTL_MACHINE_FINDINGS_H_

#include <string>
#include <vector>

#include "tools/zcrxctl/machine.h"
#include "zcrx/examination.h"

namespace zcrx::ctl {

using netdev::Finding;
using netdev::Question;

// `self` is our own program, for commands of ours.
std::vector<Finding> JudgeMachine(const Machine& machine, const Question& question, const std::string& self);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_MACHINE_FINDINGS_H_
