// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/self.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
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

std::string Quote(const std::string& word) {
  bool plain = !word.empty();
  for (const char c : word) {
    plain &= absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
             std::string("-_./=:,@%+").find(c) != std::string::npos;
  }
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string OwnCommand() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::string command = error || IsOnPath(program) ? std::string(kName) : Quote(program.string());
  const std::string directory = absl::GetFlag(FLAGS_state_directory);
  if (directory != absl::FindCommandLineFlag("state_directory")->DefaultValue())
    absl::StrAppend(&command, " --state_directory=", Quote(directory));
  return command;
}

}  // namespace zcrx::ctl
