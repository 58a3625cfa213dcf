// SPDX-License-Identifier: Apache-2.0
//
// Becoming somebody who may do less.
#ifndef ZCRX_TOOLS_ZCRXCTL_USER_H_
#define ZCRX_TOOLS_ZCRXCTL_USER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace zcrx::ctl {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// By name or number. INVALID_ARGUMENT if there is no such user, or if it is root.
absl::StatusOr<User> FindUser(const std::string& name_or_number);

// For this process, and all that it becomes, for good: the user, its groups, no capability, and none by
// executing a program that would have some.
absl::Status BecomeUser(const User& user);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_USER_H_
