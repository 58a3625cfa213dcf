// SPDX-License-Identifier: Apache-2.0
//
// How many queues an interface has.
#ifndef ZCRX_LIB_NETDEV_CHANNELS_H_
#define ZCRX_LIB_NETDEV_CHANNELS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// Absent if the driver has a fixed number of queues.
absl::StatusOr<std::optional<Channels>> GetChannels(const Interface& interface);

// Sets the kinds that are given and leaves the others. Takes the link down for a
// moment with many drivers. Needs CAP_NET_ADMIN.
struct ChannelCounts {
  std::optional<uint32_t> rx = std::nullopt;
  std::optional<uint32_t> tx = std::nullopt;
  std::optional<uint32_t> combined = std::nullopt;
};
absl::Status SetChannels(const Interface& interface, const ChannelCounts& counts);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_CHANNELS_H_
