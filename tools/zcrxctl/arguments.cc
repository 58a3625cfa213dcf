// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/arguments.h"

#include <algorithm>
#include <iterator>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace zcrx::ctl {
namespace {

// Of every subcommand.
constexpr const char* kCommonFlags[] = {"json", "state_directory"};

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

bool Takes(const Command& command, const std::string& flag) {
  const auto is_it = [&flag](const char* name) { return flag == name; };
  return std::any_of(std::begin(kCommonFlags), std::end(kCommonFlags), is_it) ||
         std::any_of(command.flags.begin(), command.flags.end(), is_it);
}

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

bool IsOurs(const std::string& flag) {
  return std::any_of(Commands().begin(), Commands().end(),
                     [&flag](const Command& command) { return Takes(command, flag); });
}

// Sets the flag that words[i] names; moves `i` to its last word. Returns the flag's name.
absl::StatusOr<std::string> SetFlag(const std::vector<std::string>& words, size_t& i) {
  const std::string word(absl::StripPrefix(words[i], "--"));
  const size_t equals = word.find('=');
  std::string name = word.substr(0, equals);
  std::replace(name.begin(), name.end(), '-', '_');
  absl::CommandLineFlag* flag = IsOurs(name) ? absl::FindCommandLineFlag(name) : nullptr;
  const bool negated = flag == nullptr && absl::StartsWith(name, "no") && IsOurs(name.substr(2));
  if (negated) {
    name = name.substr(2);
    flag = absl::FindCommandLineFlag(name);
  }
  if (flag == nullptr || (negated && !flag->IsOfType<bool>()))
    return Wrong(absl::StrCat("there is no option \"", words[i], "\""));
  std::string value;
  if (equals != std::string::npos) {
    value = word.substr(equals + 1);
  } else if (flag->IsOfType<bool>()) {
    value = negated ? "false" : "true";
  } else if (i + 1 < words.size()) {
    value = words[++i];
  } else {
    return Wrong(absl::StrCat("option ", words[i], " needs a value"));
  }
  std::string error;
  if (!flag->ParseFrom(value, &error))
    return Wrong(absl::StrCat("--", name, ": \"", value, "\" is no value of it"));
  return name;
}

absl::Status CheckLine(const ParsedLine& line, const std::vector<std::string>& flags, bool dashes) {
  const Command& command = *line.command;
  for (const std::string& flag : flags) {
    if (!Takes(command, flag)) return Wrong(absl::StrCat(command.name, " has no option --", flag));
  }
  const size_t count = line.arguments.operands.size();
  if (count < command.least || count > command.most)
    return Wrong(absl::StrCat("usage: zcrxctl ", command.name, " ", command.operands));
  if (dashes && !command.takes_command)
    return Wrong(absl::StrCat(command.name, " takes no command behind --"));
  return absl::OkStatus();
}

void AppendFlagHelp(const char* name, std::string& help) {
  const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  const std::string value = flag->IsOfType<bool>() ? "" : "=...";
  absl::StrAppendFormat(&help, "  --%-22s %s\n", name + value, flag->Help());
}

}  // namespace

absl::StatusOr<ParsedLine> ParseLine(const std::vector<std::string>& words) {
  ParsedLine line;
  std::vector<std::string> flags;
  const auto dashes = std::find(words.begin(), words.end(), "--");
  const std::vector<std::string> ours(words.begin(), dashes);
  for (size_t i = 0; i < ours.size(); ++i) {
    const std::string& word = ours[i];
    if (word == "--help" || word == "-h") {
      line.help = true;
    } else if (absl::StartsWith(word, "--")) {
      const absl::StatusOr<std::string> flag = SetFlag(ours, i);
      if (!flag.ok()) return flag.status();
      flags.push_back(*flag);
    } else if (absl::StartsWith(word, "-")) {
      return Wrong(absl::StrCat("there is no option \"", word, "\""));
    } else if (line.command != nullptr) {
      line.arguments.operands.push_back(word);
    } else {
      line.command = FindCommand(word);
      if (line.command == nullptr) return Wrong(absl::StrCat("there is no subcommand \"", word, "\""));
    }
  }
  if (dashes != words.end()) line.arguments.command.assign(dashes + 1, words.end());
  if (line.help) return line;
  if (line.command == nullptr) return Wrong("no subcommand is named");
  if (absl::Status checked = CheckLine(line, flags, dashes != words.end()); !checked.ok()) return checked;
  return line;
}

std::string Help(const Command* command) {
  std::string help;
  if (command != nullptr) {
    absl::StrAppend(&help, "usage: zcrxctl ", command->name, " ", command->operands, "\n\n", command->about,
                    "\n\n");
    for (const char* flag : command->flags) AppendFlagHelp(flag, help);
  } else {
    absl::StrAppend(&help, "usage: zcrxctl SUBCOMMAND ... [OPTION...]\n\n",
                    "Sets NICs up for zero-copy receive, and says what is wrong with them.\n\n");
    for (const Command& each : Commands()) {
      absl::StrAppendFormat(&help, "  %-36s %s\n", absl::StrCat(each.name, " ", each.operands), each.about);
    }
    absl::StrAppend(&help, "\n\"zcrxctl SUBCOMMAND --help\" lists its options. Of all:\n");
  }
  for (const char* flag : kCommonFlags) AppendFlagHelp(flag, help);
  absl::StrAppend(&help, "\nexit status: 0 fine, 1 something is wrong or not possible, 2 wrong usage\n");
  return help;
}

absl::StatusOr<std::vector<uint16_t>> ParsePorts(const std::string& text) {
  std::vector<uint16_t> ports;
  for (const absl::string_view word : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(word, &port) || port == 0 || port > UINT16_MAX)
      return Wrong(absl::StrCat("--port: \"", word, "\" is no port from 1 to 65535"));
    ports.push_back(static_cast<uint16_t>(port));
  }
  return ports;
}

}  // namespace zcrx::ctl
