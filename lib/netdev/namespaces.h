// SPDX-License-Identifier: Apache-2.0
//
// The network namespaces that have a name (ip netns).
#ifndef ZCRX_LIB_NETDEV_NAMESPACES_H_
#define ZCRX_LIB_NETDEV_NAMESPACES_H_

#include <string>
#include <vector>

namespace zcrx::inline v0::netdev {

// Those that have an interface of this name. Empty also without CAP_SYS_ADMIN, which it takes to look.
std::vector<std::string> NamespacesWith(const std::string& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_NAMESPACES_H_
