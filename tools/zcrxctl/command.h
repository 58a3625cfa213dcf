// SPDX-License-Identifier: Apache-2.0
//
// What a subcommand is. To add one: a file with its function, and a row in the
// table of commands.cc.
#ifndef ZCRX_TOOLS_ZCRXCTL_COMMAND_H_
#define ZCRX_TOOLS_ZCRXCTL_COMMAND_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/zcrxctl/json.h"
#include "tools/zcrxctl/style.h"

namespace zcrx::ctl {

inline constexpr int kExitFine = 0;
inline constexpr int kExitWrong = 1;  // something is wrong, or not possible
inline constexpr int kExitUsage = 2;

// What stands behind the subcommand, without the options.
struct Arguments {
  std::vector<std::string> operands;
  std::vector<std::string> command;  // behind --
  Style style = Style(false);
};

// What a subcommand has to say, in both ways.
struct Outcome {
  std::string text;
  Json json;
  int exit_code = kExitFine;
};

struct Command {
  const char* name;
  const char* operands;  // in words: "IF [ID]"
  size_t least;          // operands
  size_t most;
  bool takes_command;  // behind --
  std::vector<const char*> flags;
  const char* about;
  // An error with INVALID_ARGUMENT is wrong usage (exit status 2), any other one is 1.
  absl::StatusOr<Outcome> (*run)(const Arguments& arguments);
};

// All of them, in the order in which --help lists them.
std::span<const Command> Commands();

// The subcommands' functions, each in the file of its name.
absl::StatusOr<Outcome> Doctor(const Arguments& arguments);
absl::StatusOr<Outcome> Plan(const Arguments& arguments);
absl::StatusOr<Outcome> Up(const Arguments& arguments);
absl::StatusOr<Outcome> Down(const Arguments& arguments);
absl::StatusOr<Outcome> Restore(const Arguments& arguments);
absl::StatusOr<Outcome> Status(const Arguments& arguments);
absl::StatusOr<Outcome> Top(const Arguments& arguments);
absl::StatusOr<Outcome> Explain(const Arguments& arguments);
absl::StatusOr<Outcome> Run(const Arguments& arguments);
absl::StatusOr<Outcome> SetSplit(const Arguments& arguments);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_COMMAND_H_
