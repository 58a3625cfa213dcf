// SPDX-License-Identifier: Apache-2.0
//
// A network interface, as set-up code needs to know it. Everything in this room
// works in the network namespace of the calling thread, by synchronous calls,
// and is thread-compatible.
#ifndef ZCRX_LIB_NETDEV_INTERFACE_H_
#define ZCRX_LIB_NETDEV_INTERFACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace zcrx::inline v0::netdev {

// A snapshot; nothing of it is kept up to date.
struct Interface {
  std::string name;
  uint32_t index = 0;
  bool up = false;
  bool xdp_attached = false;     // in any mode
  uint32_t rx_queues = 0;        // in use; queue numbers are below it
  std::string driver;            // empty if unknown
  std::optional<int> numa_node;  // of the NIC; absent for virtual interfaces and on machines with one node
};

// `name` may be an alternative name. NotFound if this network namespace has no
// such interface.
absl::StatusOr<Interface> FindInterface(std::string_view name);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_INTERFACE_H_
