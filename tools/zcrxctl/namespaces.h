// SPDX-License-Identifier: Apache-2.0
//
// The network namespaces that have a name (ip netns).
#ifndef ZCRX_TOOLS_ZCRXCTL_NAMESPACES_H_
#define ZCRX_TOOLS_ZCRXCTL_NAMESPACES_H_

#include <string>
#include <vector>

namespace zcrx::ctl {

// Those that have an interface of this name. Empty also without CAP_SYS_ADMIN, which it takes to look.
std::vector<std::string> NamespacesWith(const std::string& interface);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_NAMESPACES_H_
