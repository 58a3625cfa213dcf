// SPDX-License-Identifier: Apache-2.0
//
// Where the buffers of receive queues come from.
#ifndef ZCRX_LIB_NETDEV_PAGE_POOLS_H_
#define ZCRX_LIB_NETDEV_PAGE_POOLS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// In ascending order of id. Empty if the kernel does not tell (before 6.8), or if
// the interface is down and everything came back.
absl::StatusOr<std::vector<PagePool>> GetPagePools(const Interface& interface);

// Those of all interfaces of this network namespace; in the initial one also of
// interfaces that are gone.
absl::StatusOr<std::vector<PagePool>> GetAllPagePools();

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_PAGE_POOLS_H_
