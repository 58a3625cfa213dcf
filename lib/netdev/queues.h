// SPDX-License-Identifier: Apache-2.0
//
// The receive queues and who owns them.
#ifndef ZCRX_LIB_NETDEV_QUEUES_H_
#define ZCRX_LIB_NETDEV_QUEUES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// In ascending order of id; of the NAPI the id only, and no counters. Empty if the
// kernel does not tell (before 6.8), or if the interface is down.
absl::StatusOr<std::vector<RxQueue>> GetRxQueues(const Interface& interface);

// The same with everything.
absl::StatusOr<std::vector<RxQueue>> GetRxQueueDetails(const Interface& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_QUEUES_H_
