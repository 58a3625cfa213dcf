// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/child.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/reservations.h"

namespace zcrx::ctl {
namespace {

using netdev::NicReservation;
using netdev::ReservationOptions;

Outcome Made(const ReservationOptions& options, const NicReservation& reservation) {
  Outcome outcome;
  outcome.json = {{"interface", options.interface},
                  {"id", reservation.id()},
                  {"queues", reservation.rx_queues()},
                  {"changes", ToJson(reservation.changes())}};
  for (const netdev::Change& change : reservation.changes())
    absl::StrAppend(&outcome.text, change.what, "\n");
  absl::StrAppend(&outcome.text, "reservation ", reservation.id(), " of ", options.interface, ": queues ",
                  absl::StrJoin(reservation.rx_queues(), ","), "\n");
  return outcome;
}

// What we say goes to stderr: stdout is the command's.
absl::StatusOr<Outcome> RunInside(const ReservationOptions& options, const Arguments& arguments) {
  // Before anything is changed, so that no signal leaves it so.
  ChildRunner runner;
  absl::StatusOr<NicReservation> reservation = NicReservation::Make(options);
  if (!reservation.ok()) return reservation.status();
  const Outcome made = Made(options, *reservation);
  fputs(absl::GetFlag(FLAGS_json) ? absl::StrCat(made.json.dump(), "\n").c_str() : made.text.c_str(), stderr);
  const std::map<std::string, std::string> environment = {
      {"ZCRX_INTERFACE", options.interface}, {"ZCRX_QUEUES", absl::StrJoin(reservation->rx_queues(), ",")}};
  const int status =
      runner.Run(FillIn(arguments.command, options.interface, reservation->rx_queues()), environment);
  return Outcome{.text = "", .json = {}, .exit_code = ReleaseAfter(status, *reservation)};
}

}  // namespace

absl::StatusOr<Outcome> Up(const Arguments& arguments) {
  absl::StatusOr<ReservationOptions> options = ReservationOptionsFromFlags(arguments.operands[0]);
  if (!options.ok()) return options.status();
  const bool exec = absl::GetFlag(FLAGS_exec);
  if (exec == arguments.command.empty())
    return absl::InvalidArgumentError("--exec and a command behind -- go together");
  if (exec) return RunInside(*options, arguments);
  options->outlive_process = true;
  const absl::StatusOr<NicReservation> reservation = NicReservation::Make(*options);
  if (!reservation.ok()) return reservation.status();
  return Made(*options, *reservation);
}

}  // namespace zcrx::ctl
