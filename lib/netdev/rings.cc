// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rings.h"

#include <linux/ethtool_netlink.h>

#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<RingSettings> GetRings(const Interface& interface) {
  auto reply = EthtoolGet(interface, ETHTOOL_MSG_RINGS_GET, ETHTOOL_A_RINGS_HEADER, "rings");
  if (!reply.ok()) return reply.status();
  if (!reply->has_value()) return RingSettings();
  return ParseRings(**reply);
}

absl::Status SetHeaderSplit(const Interface& interface, bool on) {
  const auto rings = GetRings(interface);
  if (!rings.ok()) return rings.status();
  return EthtoolSet(
      interface, ETHTOOL_MSG_RINGS_SET, ETHTOOL_A_RINGS_HEADER,
      [&](Request& request) {
        const uint8_t split = on ? ETHTOOL_TCP_DATA_SPLIT_ENABLED : ETHTOOL_TCP_DATA_SPLIT_DISABLED;
        request.Put(ETHTOOL_A_RINGS_TCP_DATA_SPLIT, split);
        // Kernels before 6.14 would refuse the whole request for an attribute they do not know.
        if (on && rings->header_split_threshold.has_value()) {
          request.Put(uapi::kEthtoolAttrRingsHdsThresh, uint32_t{0});
        }
      },
      on ? "switching on header split" : "switching off header split");
}

}  // namespace zcrx::inline v0::netdev
