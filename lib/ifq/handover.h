// SPDX-License-Identifier: Apache-2.0
//
// A registered interface queue on its way from the process that has registered it
// to the one that receives from it: see include/zcrx/inherit.h.
#ifndef ZCRX_LIB_IFQ_HANDOVER_H_
#define ZCRX_LIB_IFQ_HANDOVER_H_

#include <liburing.h>
#include <net/if.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::internal {

// What the other process must know, as bytes in a file.
struct QueueDescription {
  static constexpr uint64_t kMagic = 0x3151'5852'435a;  // "ZCRXQ1"

  uint64_t magic = kMagic;
  uint64_t bytes = sizeof(QueueDescription);  // differs between versions that differ
  io_uring_params ring = {};
  uapi::IfqReg registration = {};  // as the kernel has filled it in
  uapi::RbufCqReg rbuf = {};       // no entries: no rbuf ring
  uint64_t area_token = 0;
  uint64_t rings_bytes = 0;
  uint64_t stats_offset = 0;
  uint64_t region_bytes = 0;
  uint64_t piece_bytes = 0;
  uint32_t rx_queue = 0;
  std::array<char, IFNAMSIZ> interface = {};
};

// File descriptors of one queue.
struct QueueFds {
  int ring = -1;
  int description = -1;
  int rings = -1;
  int region = -1;

  std::array<int, 4> all() const { return {ring, description, rings, region}; }
};

inline constexpr char kInheritVariable[] = "ZCRX_INHERIT";

// Its value for a process, and what that says.
std::string InheritValue(int pid, const std::vector<QueueFds>& queues);
absl::StatusOr<std::vector<QueueFds>> ParseInheritValue(const std::string& value, int pid);

// A sealed file with the description.
absl::StatusOr<int> WriteDescription(const QueueDescription& description);
absl::StatusOr<QueueDescription> ReadDescription(int fd);

// An inherited queue, for one runtime: a second time it is FAILED_PRECONDITION. OUT_OF_RANGE if there are
// fewer.
struct TakenQueue {
  QueueFds fds;  // the caller's
  QueueDescription description;
};
absl::StatusOr<TakenQueue> TakeInheritedQueue(uint32_t number);

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_HANDOVER_H_
