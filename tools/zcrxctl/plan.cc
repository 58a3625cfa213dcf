// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/reservations.h"

namespace zcrx::ctl {

absl::StatusOr<Outcome> Plan(const Arguments& arguments) {
  const auto options = ReservationOptionsFromFlags(arguments.operands[0]);
  if (!options.ok()) return options.status();
  const absl::StatusOr<std::vector<netdev::Change>> changes = netdev::PlanReservation(*options);
  if (!changes.ok()) return changes.status();
  Outcome outcome;
  outcome.json = {{"interface", options->interface}, {"changes", ToJson(*changes)}};
  for (const netdev::Change& change : *changes)
    absl::StrAppend(&outcome.text, change.what, "\n    ", change.command, "\n");
  return outcome;
}

}  // namespace zcrx::ctl
