// SPDX-License-Identifier: Apache-2.0
//
// How the user would call us, for commands that we print.
#ifndef ZCRX_TOOLS_ZCRXCTL_SELF_H_
#define ZCRX_TOOLS_ZCRXCTL_SELF_H_

#include <string>

namespace zcrx::ctl {

// "zcrxctl" where a shell finds us by that name, else our path; with --state_directory if that is not the
// usual one.
std::string OwnCommand();

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_SELF_H_
