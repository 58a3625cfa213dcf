// SPDX-License-Identifier: Apache-2.0
//
// What stands in the way of zero-copy receive, judged from facts alone: pure
// functions.
#ifndef ZCRX_LIB_NETDEV_FINDINGS_H_
#define ZCRX_LIB_NETDEV_FINDINGS_H_

#include <string>
#include <vector>

#include "lib/netdev/queue_facts.h"
#include "zcrx/examination.h"

namespace zcrx::inline v0::netdev {

// `self` is how zcrxctl is called, for commands of it.
std::vector<Finding> JudgeNic(const NicFacts& facts, const Question& question, const std::string& self);

// There is no interface of the name here; `elsewhere` are the named network namespaces that have it.
Finding JudgeMissing(const Question& question, const std::vector<std::string>& elsewhere,
                     const std::vector<std::string>& better_interfaces, const std::string& self);

std::vector<QueueVerdict> JudgeQueues(const NicFacts& facts);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_FINDINGS_H_
