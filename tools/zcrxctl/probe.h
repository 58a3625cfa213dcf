// SPDX-License-Identifier: Apache-2.0
//
// The proof: a queue is registered for real, and let go of again.
#ifndef ZCRX_TOOLS_ZCRXCTL_PROBE_H_
#define ZCRX_TOOLS_ZCRXCTL_PROBE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace zcrx::ctl {

// Errors as Runtime::Create(). The NIC restarts the queue twice.
absl::Status TryQueue(const std::string& interface, uint32_t queue);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_PROBE_H_
