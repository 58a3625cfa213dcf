// SPDX-License-Identifier: Apache-2.0
//
// Asks the netlink family "netdev".
#ifndef ZCRX_LIB_NETDEV_NETDEV_FAMILY_H_
#define ZCRX_LIB_NETDEV_NETDEV_FAMILY_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/netdev/netlink.h"

namespace zcrx::inline v0::netdev {

// The replies to a command that lists objects; none if the kernel or the driver
// does not have it. Errors read "`what`: ...".
absl::StatusOr<std::vector<Payload>> NetdevDump(uint8_t command, const Request::Fill& fill,
                                                std::string_view what);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_NETDEV_FAMILY_H_
