// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/reservations.h"
#include "zcrx/status.h"

namespace zcrx::ctl {
namespace {

// The one named, or those that nobody else would undo.
absl::StatusOr<std::vector<uint32_t>> Wanted(const Arguments& arguments) {
  std::vector<uint32_t> ids;
  if (arguments.operands.size() > 1) {
    uint32_t id = 0;
    if (!absl::SimpleAtoi(arguments.operands[1], &id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", arguments.operands[1], "\" is no reservation's number"));
    }
    ids.push_back(id);
    return ids;
  }
  const auto list = netdev::ListReservations(arguments.operands[0], absl::GetFlag(FLAGS_state_directory));
  if (!list.ok()) return list.status();
  for (const netdev::ReservationInfo& reservation : *list) {
    if (reservation.pid == 0) ids.push_back(reservation.id);
  }
  return ids;
}

}  // namespace

absl::StatusOr<Outcome> Down(const Arguments& arguments) {
  const std::string& interface = arguments.operands[0];
  const absl::StatusOr<std::vector<uint32_t>> ids = Wanted(arguments);
  if (!ids.ok()) return ids.status();
  Outcome outcome;
  outcome.json = {{"interface", interface}, {"released", Json::array()}, {"left", Json::array()}};
  for (const uint32_t id : *ids) {
    absl::Status released = netdev::ReleaseReservation(interface, id, absl::GetFlag(FLAGS_state_directory));
    // ABORTED: it is undone, but for what others have changed.
    if (!released.ok() && !absl::IsAborted(released)) return released;
    outcome.json["released"].push_back(id);
    absl::StrAppend(&outcome.text, "reservation ", id, " of ", interface, " is undone\n");
    if (released.ok()) continue;
    const std::string left(released.message());
    outcome.json["left"].push_back(left);
    absl::StrAppend(&outcome.text, "  ", left, "\n");
    outcome.exit_code = kExitWrong;
  }
  if (ids->empty())
    absl::StrAppend(&outcome.text, interface, " has no reservation that outlives its process\n");
  return outcome;
}

}  // namespace zcrx::ctl
