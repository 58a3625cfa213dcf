// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "zcrx/status.h"

namespace zcrx::ctl {

absl::StatusOr<User> FindUser(const std::string& name_or_number) {
  uid_t number = 0;
  const passwd* entry = getpwnam(name_or_number.c_str());
  if (entry == nullptr && absl::SimpleAtoi(name_or_number, &number)) entry = getpwuid(number);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no user \"", name_or_number, "\"; fix: --user=NAME of one that exists"));
  }
  if (entry->pw_uid == 0) {
    return absl::InvalidArgumentError(
        "--user is root, who has all capabilities; fix: another user, or \"up --exec\"");
  }
  return User{.name = entry->pw_name, .uid = entry->pw_uid, .gid = entry->pw_gid};
}

absl::Status BecomeUser(const User& user) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "PR_SET_NO_NEW_PRIVS");
  // Where nobody else keeps them, capabilities go with the last of the three user ids of root
  // (capabilities(7)).
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return ErrnoStatus(errno, "PR_SET_KEEPCAPS");
  if (initgroups(user.name.c_str(), user.gid) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
      setresuid(user.uid, user.uid, user.uid) != 0) {
    return ErrnoStatus(errno, absl::StrCat("becoming the user ", user.name));
  }
  return absl::OkStatus();
}

}  // namespace zcrx::ctl
