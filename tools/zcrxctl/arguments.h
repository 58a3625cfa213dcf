// SPDX-License-Identifier: Apache-2.0
//
// Takes the command line apart. Abseil's own parser would end the program with 1 for
// a wrong option, and takes every option anywhere.
#ifndef ZCRX_TOOLS_ZCRXCTL_ARGUMENTS_H_
#define ZCRX_TOOLS_ZCRXCTL_ARGUMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/zcrxctl/command.h"

namespace zcrx::ctl {

struct ParsedLine {
  const Command* command = nullptr;  // none: help was asked for, of all
  bool help = false;
  Arguments arguments;
};

// Sets the flags. INVALID_ARGUMENT, in words, for what is wrong.
absl::StatusOr<ParsedLine> ParseLine(const std::vector<std::string>& words);

std::string Help(const Command* command);

// "6001,6002"; INVALID_ARGUMENT for what is no port.
absl::StatusOr<std::vector<uint16_t>> ParsePorts(const std::string& text);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_ARGUMENTS_H_
