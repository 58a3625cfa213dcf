// SPDX-License-Identifier: Apache-2.0
#ifndef ZCRX_TOOLS_ZCRXCTL_FAILURE_H_
#define ZCRX_TOOLS_ZCRXCTL_FAILURE_H_

#include <string>

#include "absl/status/status.h"

namespace zcrx::ctl {

// What is said of an error: its message, and for want of privileges how to get them.
std::string FailureWords(const absl::Status& status);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_FAILURE_H_
