// SPDX-License-Identifier: Apache-2.0
//
// Receive queues and who owns them.
#ifndef ZCRX_LIB_NETDEV_QUEUES_H_
#define ZCRX_LIB_NETDEV_QUEUES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/netdev/interface.h"

namespace zcrx::inline v0::netdev {

// A queue has at most one owner that brought its memory. A kernel reports only
// the kinds of owner it knows.
struct RxQueue {
  uint32_t id = 0;
  std::optional<uint32_t> napi_id;
  bool io_uring = false;                          // zero-copy receive of some io_uring
  std::optional<uint32_t> io_uring_buffer_bytes;  // since 7.0
  std::optional<uint32_t> dmabuf;                 // devmem TCP; number of the binding
  bool xdp_socket = false;                        // AF_XDP, zero copy
  bool leased = false;                            // to a virtual interface
};

// In ascending order of id. Empty if the kernel does not tell (before 6.8), or
// if the interface is down.
absl::StatusOr<std::vector<RxQueue>> GetRxQueues(const Interface& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_QUEUES_H_
