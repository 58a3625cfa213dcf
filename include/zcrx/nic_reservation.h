// SPDX-License-Identifier: Apache-2.0
//
// A NicReservation sets a NIC up for zero-copy receive, and puts it back exactly
// as it was: header/data split, flow rules on, queues that nothing else is sent
// to, and a rule for each flow into them. For programs that own their NIC, in
// place of five ethtool commands and of nobody who undoes them:
//
//   zcrx::netdev::ReservationOptions options;
//   options.interface = "eth0";
//   options.queues = 2;
//   options.flows = {{.port = 5001}};
//   auto reservation = zcrx::netdev::NicReservation::Make(options);
//   if (!reservation.ok()) return reservation.status();
//   for (uint32_t queue : reservation->rx_queues()) ...  // to InterfaceQueueOptions or ServerOptions
//
// Each step is written to a file below /run/zcrx before it is done, so that
// RestoreNic() (`zcrxctl restore`) can undo what a process has left that was
// killed. Several reservations on one NIC, of any processes, know of each other by
// that file: what they have in common goes back with the last of them. What
// somebody else has changed meanwhile is reported, and left as it is.
//
// All of it needs CAP_NET_ADMIN, works in the network namespace of the calling
// thread, and blocks. Thread-safe functions; the class is thread-compatible.
#ifndef ZCRX_NIC_RESERVATION_H_
#define ZCRX_NIC_RESERVATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace zcrx::inline v0::netdev {

// TCP that is to arrive at the reserved queues.
struct Flow {
  uint16_t port = 0;    // local; from 1
  std::string address;  // local, numeric; empty: any, IPv4 and IPv6
};

// One step of a set-up.
struct Change {
  std::string what;     // "header/data split: off -> on"
  std::string command;  // that ethtool(8) would do it by
};

struct ReservationOptions {
  std::string interface;
  // Receive queues for these flows alone. They are chosen; several get the flows by RSS.
  uint32_t queues = 1;
  std::vector<Flow> flows;
  // Where the files of reservations are kept: on a file system that a reboot empties, as it does the NIC.
  std::string state_directory = "/run/zcrx";
  // It stays when the process ends, until Release() of another, by its number.
  bool outlive_process = false;
  // Is told of each step, before it is done and after.
  std::function<void(const Change& change, bool done)> progress = nullptr;
};

// What Make() would do now. Changes nothing, and needs no privileges where reading needs none. Errors as
// Make().
absl::StatusOr<std::vector<Change>> PlanReservation(const ReservationOptions& options);

// Move-only.
class NicReservation {
 public:
  // Does what PlanReservation() says, step by step, and reads each back. If one fails, what has been done is
  // undone. Errors: InvalidArgument for options that make no sense; NotFound for the interface;
  // FailedPrecondition, with the fix, for what a reservation does not change (interface down, XDP program,
  // too few queues, no flow rules in the driver); else the kernel's errno and words, EPERM among them.
  static absl::StatusOr<NicReservation> Make(const ReservationOptions& options);

  NicReservation(NicReservation&&) noexcept;
  NicReservation& operator=(NicReservation&&) noexcept;
  // Release(), unless options.outlive_process.
  ~NicReservation();

  // Its number among those of the NIC.
  uint32_t id() const;
  const std::vector<uint32_t>& rx_queues() const;
  // What has been done.
  const std::vector<Change>& changes() const;

  // Undoes it. ABORTED, with a sentence for each thing, if something is not as it was left: that is
  // not touched, all else is undone. A second call does nothing.
  absl::Status Release();

 private:
  struct State;
  explicit NicReservation(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// One reservation, of any process.
struct ReservationInfo {
  uint32_t id = 0;
  int pid = 0;         // of the process that made it; 0: it outlives its process
  bool alive = false;  // that process exists, or none is needed
  std::vector<uint32_t> rx_queues;
  std::vector<Flow> flows;
};

// Those on the interface, by number.
absl::StatusOr<std::vector<ReservationInfo>> ListReservations(
    const std::string& interface, const std::string& state_directory = "/run/zcrx");

// Undoes the reservation `id`, whose ever it is. Errors as NicReservation::Release(); NotFound.
absl::Status ReleaseReservation(const std::string& interface, uint32_t id,
                                const std::string& state_directory = "/run/zcrx");

// Undoes the reservations whose processes are gone, and steps that one has died in. How many; errors as
// NicReservation::Release().
absl::StatusOr<uint32_t> RestoreNic(const std::string& interface,
                                    const std::string& state_directory = "/run/zcrx");

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_NIC_RESERVATION_H_
