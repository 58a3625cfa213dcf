// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's netlink replies say: pure functions from the bytes of replies
// to values, so that they can be tested with bytes no kernel would send.
// Attributes that are missing are absent values; attributes that are unknown are
// skipped; attributes of a wrong size make the reply an error, never a guess.
// Replies to one request may come in any order.
#ifndef ZCRX_LIB_NETDEV_MESSAGES_H_
#define ZCRX_LIB_NETDEV_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/netlink.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// The kernel's name of the feature that flow rules need.
inline constexpr char kNtupleFilters[] = "rx-ntuple-filter";

// RTM_NEWLINK.
struct Link {
  std::string name;
  uint32_t index = 0;
  bool up = false;
  uint32_t mtu = 0;
  bool xdp_attached = false;
  uint32_t rx_queues_max = 0;  // allocated, not in use
  // The device behind the interface, empty for virtual interfaces: "pci", "0000:03:00.0".
  std::string parent_bus;
  std::string parent_device;
};
absl::StatusOr<Link> ParseLink(const Payload& reply);

// The replies to ETHTOOL_MSG_*_GET.
absl::StatusOr<Channels> ParseChannels(const Payload& reply);
absl::StatusOr<Features> ParseFeatures(const Payload& reply);
absl::StatusOr<RingSettings> ParseRings(const Payload& reply);
// By id.
absl::StatusOr<std::vector<RssContext>> ParseRss(const std::vector<Payload>& replies);

// NETDEV_CMD_QUEUE_GET: the receive queues by id, of their NAPIs the ids only.
absl::StatusOr<std::vector<RxQueue>> ParseRxQueues(const std::vector<Payload>& replies);
// NETDEV_CMD_NAPI_GET and NETDEV_CMD_QSTATS_GET: more about these queues, which
// are of the interface with that index. What is of other queues is left out.
absl::Status AddNapis(const std::vector<Payload>& replies, std::vector<RxQueue>& queues);
absl::Status AddQueueStats(const std::vector<Payload>& replies, uint32_t interface_index,
                           std::vector<RxQueue>& queues);

// NETDEV_CMD_PAGE_POOL_GET: the pools of that interface, or all, by id.
absl::StatusOr<std::vector<PagePool>> ParsePagePools(const std::vector<Payload>& replies,
                                                     std::optional<uint32_t> interface_index);
// NETDEV_CMD_PAGE_POOL_STATS_GET.
absl::Status AddPagePoolStats(const std::vector<Payload>& replies, std::vector<PagePool>& pools);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_MESSAGES_H_
