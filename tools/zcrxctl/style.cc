// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/style.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace zcrx::ctl {

Style Style::OfStdout() {
  const char* no_color = std::getenv("NO_COLOR");
  return Style(isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0'));
}

std::string Style::Paint(const char* code, const std::string& text) const {
  return colours_ ? absl::StrCat("\x1b[", code, "m", text, "\x1b[0m") : text;
}

}  // namespace zcrx::ctl
