// SPDX-License-Identifier: Apache-2.0
//
// The two ways to ask ethtool: the netlink family, and the ioctl for what the
// family lacks (flow rules, the driver's name) or has only in young kernels (RSS:
// 6.12 for reading all of it, 6.17 for setting).
#ifndef ZCRX_LIB_NETDEV_ETHTOOL_H_
#define ZCRX_LIB_NETDEV_ETHTOOL_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/netlink.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// The reply to the netlink command `command` about `interface`; absent if the
// kernel or the driver does not have it. `header` is the number of the attribute
// that names the interface. Errors read "`what` of INTERFACE: ...".
absl::StatusOr<std::optional<Payload>> EthtoolGet(const Interface& interface, uint8_t command, int header,
                                                  std::string_view what);

// The same of a command that lists several objects of an interface.
absl::StatusOr<std::optional<std::vector<Payload>>> EthtoolDump(const Interface& interface, uint8_t command,
                                                                int header, std::string_view what);

// Sets the attributes that `fill` puts, all or none, by the netlink command `command`.
absl::Status EthtoolSet(const Interface& interface, uint8_t command, int header, const Request::Fill& fill,
                        std::string_view what);

// `command` is one of the structs of <linux/ethtool.h>, which begin with the
// command's number. Errors read "`what` of INTERFACE: errno text".
absl::Status EthtoolIoctl(const Interface& interface, void* command, std::string_view what);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_ETHTOOL_H_
