// SPDX-License-Identifier: Apache-2.0
//
// What stands in the way of zero-copy receive on a NIC, each thing with the command
// that mends it: what `zcrxctl doctor` prints, for programs. Errors of
// Runtime::Create() have it already; ask yourself to tell before you try, or to
// look at a NIC whose traffic arrives elsewhere:
//
//   zcrx::netdev::Question question = {.interface = "eth0", .queue = 1, .port = 5001};
//   absl::StatusOr<zcrx::netdev::Examination> examination = zcrx::netdev::Examine(question);
//   if (!examination.ok()) return examination.status();
//   for (const zcrx::netdev::Finding& finding : examination->findings)
//     std::cerr << finding.what << "; fix: " << finding.fix << "\n";
//
// It looks at the NIC in the network namespace of the calling thread, by netlink,
// and changes nothing; what the kernel tells nobody but root is left out for
// others. Kernel, limits and capabilities are another matter: ProbeKernel(), and
// the doctor.
//
// The structs are thread-compatible, the functions thread-safe; they block.
#ifndef ZCRX_EXAMINATION_H_
#define ZCRX_EXAMINATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "zcrx/netdev.h"
#include "zcrx/nic_reservation.h"

namespace zcrx::inline v0::netdev {

// "Would a server on this port get zero copy from this queue?"
struct Question {
  std::string interface;
  std::optional<uint32_t> queue = std::nullopt;  // absent: from any
  std::optional<uint16_t> port = std::nullopt;   // TCP, local; absent: how packets get there is not asked
};

struct Finding {
  std::string id;    // "header-split-off"; docs/zcrxctl.md lists them
  std::string what;  // a sentence
  std::string fix;   // a command for a shell, which works as it stands; empty if no command helps
};

struct QueueVerdict {
  uint32_t queue = 0;
  bool free = false;  // nobody has it, or has reserved it
  bool good = false;  // and nothing else arrives there
  std::string words;
};

struct Examination {
  std::string interface;
  std::optional<NicState> nic;  // absent: there is no such interface
  std::vector<ReservationInfo> reservations;
  std::vector<QueueVerdict> queues;
  std::vector<Finding> findings;  // none: nothing stands in the way
};

struct ExaminationOptions {
  // As of ReservationOptions.
  std::string state_directory = "/run/zcrx";
  // How zcrxctl is called in the fixes.
  std::string zcrxctl = "zcrxctl";
};

// An interface that is not there is a finding. Errors: those of ReadNic() and ListReservations(), but
// NotFound.
absl::StatusOr<Examination> Examine(const Question& question, const ExaminationOptions& options = {});

// Whether the interface is of a kind that can receive without a copy, as far as is known: by its driver.
bool IsOfAKindThatCan(const Interface& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_EXAMINATION_H_
