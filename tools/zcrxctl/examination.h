// SPDX-License-Identifier: Apache-2.0
//
// What doctor has found, for doctor to show and for explain to go by.
#ifndef ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_
#define ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_

#include <vector>

#include "absl/status/statusor.h"
#include "zcrx/examination.h"

namespace zcrx::ctl {

using netdev::Examination;
using netdev::Finding;
using netdev::Question;
using netdev::QueueVerdict;

// With the fixes as commands of this very program.
absl::StatusOr<Examination> ExamineOne(const Question& question);

// All interfaces of this network namespace.
absl::StatusOr<std::vector<Examination>> ExamineAll(const Question& question);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_EXAMINATION_H_
