// SPDX-License-Identifier: Apache-2.0
//
// What the command lines of the examples have in common. Abseil's own --help
// exits with 1 in the version of Debian 12, and lists flags that are not ours.
#ifndef ZCRX_EXAMPLES_COMMAND_LINE_H_
#define ZCRX_EXAMPLES_COMMAND_LINE_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"

// Ends the program with 2. (Abseil ends it with 1 if a flag is unknown or not readable.)
[[noreturn]] inline void WrongUsage(const std::string& what) {
  fprintf(stderr, "%s (--help lists the flags)\n", what.c_str());
  exit(2);
}

// Parses the flags. --help prints `about` and the flags that files in the
// directory examples define, and exits with 0.
inline void ParseCommandLine(int argc, char** argv, const std::string& about) {
  bool help = false;
  for (int i = 1; i < argc; ++i) help |= std::string_view(argv[i]) == "--help";
  if (!help) {
    const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
    if (rest.size() > 1) WrongUsage(std::string("flags begin with --, unlike \"") + rest[1] + "\"");
    return;
  }
  printf("%s\n\nFlags (--NAME=VALUE):\n", about.c_str());
  std::map<std::string, const absl::CommandLineFlag*> ours;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::StrContains(flag->Filename(), "/examples/")) ours.emplace(name, flag);
  }
  for (const auto& [name, flag] : ours) {
    printf("  --%-20s %s (default: \"%s\")\n", name.c_str(), flag->Help().c_str(),
           flag->DefaultValue().c_str());
  }
  exit(0);
}

#endif  // ZCRX_EXAMPLES_COMMAND_LINE_H_
