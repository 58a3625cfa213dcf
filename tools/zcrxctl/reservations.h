// SPDX-License-Identifier: Apache-2.0
//
// What plan, up, down, restore and status have in common: reservations by the
// options, in words and as JSON.
#ifndef ZCRX_TOOLS_ZCRXCTL_RESERVATIONS_H_
#define ZCRX_TOOLS_ZCRXCTL_RESERVATIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/zcrxctl/json.h"
#include "zcrx/nic_reservation.h"

namespace zcrx::ctl {

// By --queues, --port, --address and --state_directory.
absl::StatusOr<netdev::ReservationOptions> ReservationOptionsFromFlags(const std::string& interface);

std::string Describe(const netdev::ReservationInfo& reservation);

Json ToJson(const netdev::ReservationInfo& reservation);
Json ToJson(const std::vector<netdev::Change>& changes);

// Undoes a reservation that was held while a command ran. The exit status: the command's `status`; 1 if that
// was fine and something could not be undone, which is said on stderr.
int ReleaseAfter(int status, netdev::NicReservation& reservation);

// Of this network namespace.
absl::StatusOr<std::vector<std::string>> AllInterfaces();

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_RESERVATIONS_H_
