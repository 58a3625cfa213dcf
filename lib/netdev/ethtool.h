// SPDX-License-Identifier: Apache-2.0
//
// The two ways to ask ethtool: the netlink family, and the ioctl for what the
// family lacks (ntuple rules) or has only in young kernels (setting the RSS
// table: 6.17).
#ifndef ZCRX_LIB_NETDEV_ETHTOOL_H_
#define ZCRX_LIB_NETDEV_ETHTOOL_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/netlink.h"

namespace zcrx::inline v0::netdev {

// The reply to the netlink command `command` about `interface`; absent if the
// kernel or the driver does not have it. `header` is the number of the attribute
// that names the interface. Errors read "`what` of INTERFACE: ...".
absl::StatusOr<std::optional<Payload>> EthtoolGet(const Interface& interface, uint8_t command, int header,
                                                  std::string_view what);

// Sets attributes, all or none, by the netlink command `command`.
struct EthtoolSetting {
  int attribute;
  uint32_t value;
  bool is_u8 = false;
};
absl::Status EthtoolSet(const Interface& interface, uint8_t command, int header,
                        const std::vector<EthtoolSetting>& settings, std::string_view what);

// `command` is one of the structs of <linux/ethtool.h>, which begin with the
// command's number. Errors read "`what` of INTERFACE: errno text".
absl::Status EthtoolIoctl(const Interface& interface, void* command, std::string_view what);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_ETHTOOL_H_
