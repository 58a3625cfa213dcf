// SPDX-License-Identifier: Apache-2.0
//
// Finds network interfaces. Everything in this room works in the network
// namespace of the calling thread, by synchronous calls, and is thread-safe.
#ifndef ZCRX_LIB_NETDEV_INTERFACE_H_
#define ZCRX_LIB_NETDEV_INTERFACE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// `name` may be an alternative name. NotFound if this network namespace has no
// such interface.
absl::StatusOr<Interface> FindInterface(std::string_view name);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_INTERFACE_H_
