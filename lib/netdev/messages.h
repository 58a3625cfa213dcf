// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's netlink replies say: pure functions from the bytes of one
// reply to values, so that they can be tested with bytes no kernel would send.
// Attributes that are missing are absent values; attributes that are unknown are
// skipped; attributes that are too short make the reply an error, never a guess.
#ifndef ZCRX_LIB_NETDEV_MESSAGES_H_
#define ZCRX_LIB_NETDEV_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "lib/netdev/netlink.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"

namespace zcrx::inline v0::netdev {

// RTM_NEWLINK.
struct Link {
  std::string name;
  uint32_t index = 0;
  bool up = false;
  bool xdp_attached = false;
  uint32_t rx_queues_max = 0;  // allocated, not in use
  // The device behind the interface, empty for virtual interfaces: "pci", "0000:03:00.0".
  std::string parent_bus;
  std::string parent_device;
};
absl::StatusOr<Link> ParseLink(const Payload& reply);

// ETHTOOL_MSG_CHANNELS_GET_REPLY: the number of receive queues in use.
absl::StatusOr<uint32_t> ParseRxChannels(const Payload& reply);

// ETHTOOL_MSG_RINGS_GET_REPLY.
absl::StatusOr<RingSettings> ParseRings(const Payload& reply);

// NETDEV_CMD_QUEUE_GET; absent if the queue is not a receive queue.
absl::StatusOr<std::optional<RxQueue>> ParseRxQueue(const Payload& reply);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_MESSAGES_H_
