// SPDX-License-Identifier: Apache-2.0
//
// Receive side scaling: the table by which the NIC spreads flows that no rule
// claims. By ioctl, because netlink can set it only since 6.17.
#ifndef ZCRX_LIB_NETDEV_RSS_H_
#define ZCRX_LIB_NETDEV_RSS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/interface.h"

namespace zcrx::inline v0::netdev {

// Queue numbers by hash. Empty if the driver has no table.
absl::StatusOr<std::vector<uint32_t>> GetRssTable(const Interface& interface);

// Spreads over the queues 0 to `queues` - 1, so that the ones behind get nothing
// but what rules send there.
absl::Status SpreadRss(const Interface& interface, uint32_t queues);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RSS_H_
