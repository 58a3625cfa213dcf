// SPDX-License-Identifier: Apache-2.0
//
// What docs/guide.md says that can be seen from outside is there: the static
// probes in the built library, the log events in its sources. And the other way round.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace zcrx {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Guide() { return ReadFile(std::filesystem::path(ZCRX_SOURCE_DIRECTORY) / "docs/guide.md"); }

// What the first group of `pattern` matches, at all places.
std::set<std::string> Matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> matches;
  for (std::sregex_iterator i(text.begin(), text.end(), regex), end; i != end; ++i) matches.insert((*i)[1]);
  return matches;
}

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  char part[4096];
  while (const size_t bytes = fread(part, 1, sizeof(part), pipe)) output.append(part, bytes);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return output;
}

// Each probe of the library with its number of arguments.
std::map<std::string, size_t> BuiltProbes() {
  std::map<std::string, size_t> probes;
  std::istringstream notes(OutputOf("LC_ALL=C readelf -n '" ZCRX_LIBRARY "'"));
  std::string line;
  std::string name;
  while (std::getline(notes, line)) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex(" *Provider: (.*)"))) {
      EXPECT_EQ(match[1], "zcrx");
    } else if (std::regex_match(line, match, std::regex(" *Name: (.*)"))) {
      name = match[1];
    } else if (std::regex_match(line, match, std::regex(" *Arguments: (.*)"))) {
      // As "8@%rax -4@$28 8@-40(%rbp)".
      const std::string arguments = match[1];
      const auto count = static_cast<size_t>(std::count(arguments.begin(), arguments.end(), '@'));
      EXPECT_TRUE(probes.emplace(name, count).first->second == count) << name << ": " << arguments;
    }
  }
  return probes;
}

TEST(ProbeTest, LibraryHasThemAll) {
#ifndef ZCRX_HAVE_SYS_SDT_H
  GTEST_SKIP() << "built without sys/sdt.h (on Debian: systemtap-sdt-dev)";
#endif
  EXPECT_EQ(BuiltProbes(), (std::map<std::string, size_t>{{"copied_out", 2},
                                                          {"fragment_received", 3},
                                                          {"pieces_returned", 2},
                                                          {"pressure_changed", 3},
                                                          {"receive_rearmed", 2},
                                                          {"stream_paused", 2},
                                                          {"stream_resumed", 1}}));
}

TEST(ProbeTest, GuideHasAOneLinerForEach) {
#ifndef ZCRX_HAVE_SYS_SDT_H
  GTEST_SKIP() << "built without sys/sdt.h (on Debian: systemtap-sdt-dev)";
#endif
  std::set<std::string> built;
  for (const auto& [name, arguments] : BuiltProbes()) built.insert(name);
  EXPECT_EQ(Matches(Guide(), "bpftrace -e 'usdt:[^:]*:zcrx:([a-z_]+) "), built);
}

TEST(LogEventTest, GuideHasEach) {
  std::set<std::string> told;
  for (const auto& file : std::filesystem::recursive_directory_iterator(ZCRX_SOURCE_DIRECTORY "/lib")) {
    if (file.path().extension() != ".cc") continue;
    // The name is what comes after the severity, of which there may be a choice.
    told.merge(Matches(ReadFile(file.path()), "LogSeverity::k[A-Z][a-z]+,\\s*\"([a-z_.]+)\""));
  }
  EXPECT_EQ(told.count("runtime.copy"), 1u) << "the pattern does not find what is there";
  EXPECT_EQ(Matches(Guide(), "\n\\| `([a-z_]+\\.[a-z_]+)` \\| (?:info|warning|error) \\|"), told);
}

}  // namespace
}  // namespace zcrx
