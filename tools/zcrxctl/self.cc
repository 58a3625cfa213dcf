// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/self.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/netdev/fixes.h"
#include "tools/zcrxctl/flags.h"

namespace zcrx::ctl {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "zcrxctl";

// The first of that name on PATH is `program`.
bool IsOnPath(const fs::path& program) {
  const char* path = std::getenv("PATH");
  for (const absl::string_view directory :
       absl::StrSplit(path != nullptr ? path : "", ':', absl::SkipEmpty())) {
    const fs::path candidate = fs::path(std::string(directory)) / kName;
    std::error_code error;
    if (fs::exists(candidate, error)) return fs::equivalent(candidate, program, error);
  }
  return false;
}

}  // namespace

std::string OwnCommand() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::string command = error || IsOnPath(program) ? std::string(kName) : netdev::Quote(program.string());
  const std::string directory = absl::GetFlag(FLAGS_state_directory);
  if (directory != absl::FindCommandLineFlag("state_directory")->DefaultValue())
    absl::StrAppend(&command, " --state_directory=", netdev::Quote(directory));
  return command;
}

}  // namespace zcrx::ctl
