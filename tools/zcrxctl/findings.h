// SPDX-License-Identifier: Apache-2.0
//
// What stands in the way of zero-copy receive, judged from facts alone: pure
// functions.
#ifndef ZCRX_TOOLS_ZCRXCTL_FINDINGS_H_
#define ZCRX_TOOLS_ZCRXCTL_FINDINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/zcrxctl/fixes.h"
#include "tools/zcrxctl/json.h"
#include "tools/zcrxctl/machine.h"
#include "tools/zcrxctl/queue_facts.h"
#include "zcrx/netdev.h"

namespace zcrx::ctl {

struct Finding {
  std::string id;    // "header-split-off"
  std::string what;  // a sentence
  std::string fix;   // a command for a shell; empty if no command helps
};

// `self` is our own program, for commands of ours.
std::vector<Finding> JudgeMachine(const Machine& machine, const Question& question, const std::string& self);
std::vector<Finding> JudgeNic(const NicFacts& facts, const Question& question, const std::string& self);

// There is no interface of the name here; `elsewhere` are the named network namespaces that have it.
Finding JudgeMissing(const Question& question, const std::vector<std::string>& elsewhere,
                     const std::vector<std::string>& better_interfaces, const std::string& self);

// Whether the interface is of a kind that can receive without a copy, as far as is known.
bool IsOfAKindThatCan(const netdev::Interface& interface);

struct QueueVerdict {
  uint32_t queue = 0;
  bool free = false;  // nobody has it, or has reserved it
  bool good = false;  // and nothing else arrives there
  std::string words;
};
std::vector<QueueVerdict> JudgeQueues(const NicFacts& facts);

Json ToJson(const std::vector<Finding>& findings);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_FINDINGS_H_
