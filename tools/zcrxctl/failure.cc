// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/failure.h"

#include <cerrno>

#include "zcrx/status.h"

namespace zcrx::ctl {

std::string FailureWords(const absl::Status& status) {
  std::string words(status.message());
  const int error = ErrnoOf(status);
  if (error == EPERM || error == EACCES) words += "; fix: run it as root, in the initial user namespace";
  return words;
}

}  // namespace zcrx::ctl
