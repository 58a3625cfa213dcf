// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rings.h"

#include <linux/ethtool_netlink.h>

#include <vector>

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
  const uint32_t split = on ? ETHTOOL_TCP_DATA_SPLIT_ENABLED : ETHTOOL_TCP_DATA_SPLIT_DISABLED;
  std::vector<EthtoolSetting> settings = {{ETHTOOL_A_RINGS_TCP_DATA_SPLIT, split, /*is_u8=*/true}};
  // Kernels before 6.14 would refuse the whole request for an attribute they do not know.
  if (on && rings->header_split_threshold.has_value()) {
    settings.push_back({uapi::kEthtoolAttrRingsHdsThresh, 0});
  }
  return EthtoolSet(interface, ETHTOOL_MSG_RINGS_SET, ETHTOOL_A_RINGS_HEADER, settings,
                    on ? "switching on header split" : "switching off header split");
}

}  // namespace zcrx::inline v0::netdev
