// SPDX-License-Identifier: Apache-2.0
//
// zcrxctl sets NICs up for zero-copy receive, and says what is wrong with them: see
// zcrxctl.8.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "tools/zcrxctl/arguments.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/failure.h"
#include "tools/zcrxctl/flags.h"
#include "zcrx/status.h"

namespace {

using zcrx::ctl::Json;
using zcrx::ctl::Outcome;

void PrintJson(const Json& json) {
  // Names of processes may be anything.
  printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

int Fail(const absl::Status& status) {
  const std::string message = zcrx::ctl::FailureWords(status);
  const int error = zcrx::ErrnoOf(status);
  const bool usage = absl::IsInvalidArgument(status) && error == 0;
  if (absl::GetFlag(FLAGS_json)) PrintJson({{"error", message}, {"errno", error}});
  fprintf(stderr, "zcrxctl: %s\n%s", message.c_str(), usage ? "(zcrxctl --help says how it is used)\n" : "");
  return usage ? zcrx::ctl::kExitUsage : zcrx::ctl::kExitWrong;
}

}  // namespace

int main(int argc, char** argv) {
  auto line = zcrx::ctl::ParseLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.ok()) return Fail(line.status());
  if (line->help) {
    fputs(zcrx::ctl::Help(line->command).c_str(), stdout);
    return zcrx::ctl::kExitFine;
  }
  line->arguments.style = zcrx::ctl::Style::OfStdout();
  const absl::StatusOr<Outcome> outcome = line->command->run(line->arguments);
  if (!outcome.ok()) return Fail(outcome.status());
  if (!absl::GetFlag(FLAGS_json)) {
    fputs(outcome->text.c_str(), stdout);
  } else if (!outcome->json.is_null()) {
    PrintJson(outcome->json);
  }
  return outcome->exit_code;
}
