// SPDX-License-Identifier: Apache-2.0
//
// What doctor has found, for doctor to show and for explain to go by.
#ifndef ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_
#define ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/zcrxctl/findings.h"

namespace zcrx::ctl {

struct Examination {
  std::string interface;
  std::optional<NicFacts> facts;  // absent: there is no such interface
  std::vector<QueueVerdict> queues;
  std::vector<Finding> findings;
};

absl::StatusOr<Examination> Examine(const Question& question);

// All interfaces of this network namespace.
absl::StatusOr<std::vector<Examination>> ExamineAll(const Question& question);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_
