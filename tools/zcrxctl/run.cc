// SPDX-License-Identifier: Apache-2.0
//
// A server that owns no capability: we register its queues, and it inherits them.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/child.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/reservations.h"
#include "tools/zcrxctl/user.h"
#include "zcrx/inherit.h"

namespace zcrx::ctl {
namespace {

// A server that crashes at once must not keep the NIC busy.
constexpr unsigned kRestartPauseSeconds = 1;

absl::StatusOr<std::vector<PreparedQueue>> Prepare(const std::string& interface,
                                                   const std::vector<uint32_t>& rx_queues) {
  std::vector<PreparedQueue> queues;
  for (const uint32_t rx_queue : rx_queues) {
    RuntimeOptions options;
    options.interface_queue = {.interface = interface,
                               .rx_queue = rx_queue,
                               .pool = {.bytes = size_t{absl::GetFlag(FLAGS_region_mib)} << 20}};
    absl::StatusOr<PreparedQueue> queue = PreparedQueue::Create(options);
    if (!queue.ok()) return queue.status();
    queues.push_back(*std::move(queue));
  }
  return queues;
}

// The server's exit status, after its last run.
absl::StatusOr<int> RunServer(ChildRunner& runner, const std::string& interface,
                              const std::vector<uint32_t>& rx_queues, const User& user,
                              const std::vector<std::string>& command) {
  while (true) {
    // Anew each time: a queue ends with the server that has inherited it.
    absl::StatusOr<std::vector<PreparedQueue>> queues = Prepare(interface, rx_queues);
    if (!queues.ok()) return queues.status();
    const auto become = [&]() -> absl::Status {
      absl::Status became = BecomeUser(user);
      return became.ok() ? PassOn(*queues) : became;
    };
    const int status = runner.Run(FillIn(command, interface, rx_queues), {},
                                  {.in_child = become, .in_parent = [&] { queues->clear(); }});
    const bool crashed = status != 0 && status != kCannotRun && status != kNoProgram;
    if (!crashed || runner.ended() || !absl::GetFlag(FLAGS_restart)) return status;
    fprintf(stderr, "zcrxctl: %s has ended with status %d, and is started again\n", command[0].c_str(),
            status);
    sleep(kRestartPauseSeconds);
  }
}

}  // namespace

absl::StatusOr<Outcome> Run(const Arguments& arguments) {
  if (arguments.command.empty())
    return absl::InvalidArgumentError("the server's command is missing behind --");
  const absl::StatusOr<User> user = FindUser(absl::GetFlag(FLAGS_user));
  if (!user.ok()) return user.status();
  const absl::StatusOr<netdev::ReservationOptions> options =
      ReservationOptionsFromFlags(arguments.operands[0]);
  if (!options.ok()) return options.status();
  // Before anything is changed, so that no signal leaves it so.
  ChildRunner runner;
  absl::StatusOr<netdev::NicReservation> reservation = netdev::NicReservation::Make(*options);
  if (!reservation.ok()) return reservation.status();
  fprintf(stderr, "zcrxctl: queues %s of %s are for %s\n",
          absl::StrJoin(reservation->rx_queues(), ",").c_str(), options->interface.c_str(),
          arguments.command[0].c_str());
  const absl::StatusOr<int> status =
      RunServer(runner, options->interface, reservation->rx_queues(), *user, arguments.command);
  const int exit_code = ReleaseAfter(status.value_or(kExitWrong), *reservation);
  if (!status.ok()) return status.status();
  return Outcome{.text = "", .json = {}, .exit_code = exit_code};
}

}  // namespace zcrx::ctl
