// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/failure.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/reservations.h"

namespace zcrx::ctl {

absl::StatusOr<Outcome> Restore(const Arguments& arguments) {
  const bool all = absl::GetFlag(FLAGS_all);
  if (all != arguments.operands.empty())
    return absl::InvalidArgumentError("restore takes either an interface or --all");
  absl::StatusOr<std::vector<std::string>> interfaces = arguments.operands;
  if (all) interfaces = AllInterfaces();
  if (!interfaces.ok()) return interfaces.status();
  Outcome outcome;
  outcome.json = Json::array();
  for (const std::string& interface : *interfaces) {
    const auto count = netdev::RestoreNic(interface, absl::GetFlag(FLAGS_state_directory));
    // One that fails must not keep the others from being restored.
    const std::string message = FailureWords(count.status());
    outcome.json.push_back({{"interface", interface}, {"restored", count.value_or(0)}, {"error", message}});
    if (!count.ok()) {
      outcome.exit_code = kExitWrong;
      absl::StrAppend(&outcome.text, interface, ": ", message, "\n");
    } else {
      absl::StrAppend(&outcome.text, interface, ": ", *count,
                      " reservations of processes that are gone, undone\n");
    }
  }
  return outcome;
}

}  // namespace zcrx::ctl
