// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/channels.h"

#include <linux/ethtool_netlink.h>

#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<std::optional<Channels>> GetChannels(const Interface& interface) {
  const auto reply = EthtoolGet(interface, ETHTOOL_MSG_CHANNELS_GET, ETHTOOL_A_CHANNELS_HEADER, "channels");
  if (!reply.ok()) return reply.status();
  if (!reply->has_value()) return std::nullopt;
  return ParseChannels(**reply);
}

absl::Status SetChannels(const Interface& interface, const ChannelCounts& counts) {
  return EthtoolSet(
      interface, ETHTOOL_MSG_CHANNELS_SET, ETHTOOL_A_CHANNELS_HEADER,
      [&counts](Request& request) {
        if (counts.rx.has_value()) request.Put(ETHTOOL_A_CHANNELS_RX_COUNT, *counts.rx);
        if (counts.tx.has_value()) request.Put(ETHTOOL_A_CHANNELS_TX_COUNT, *counts.tx);
        if (counts.combined.has_value()) request.Put(ETHTOOL_A_CHANNELS_COMBINED_COUNT, *counts.combined);
      },
      "setting the channels");
}

}  // namespace zcrx::inline v0::netdev
