// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rings.h"

#include <linux/ethtool_netlink.h>

#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {
namespace {

uint8_t ToEthtool(HeaderSplit split) {
  switch (split) {
    case HeaderSplit::kUnknown:
      return ETHTOOL_TCP_DATA_SPLIT_UNKNOWN;
    case HeaderSplit::kDisabled:
      return ETHTOOL_TCP_DATA_SPLIT_DISABLED;
    case HeaderSplit::kEnabled:
      break;
  }
  return ETHTOOL_TCP_DATA_SPLIT_ENABLED;
}

}  // namespace

const char* NameOf(HeaderSplit split) {
  switch (split) {
    case HeaderSplit::kUnknown:
      break;
    case HeaderSplit::kDisabled:
      return "off";
    case HeaderSplit::kEnabled:
      return "on";
  }
  return "unknown";
}

absl::StatusOr<RingSettings> GetRings(const Interface& interface) {
  auto reply = EthtoolGet(interface, ETHTOOL_MSG_RINGS_GET, ETHTOOL_A_RINGS_HEADER, "rings");
  if (!reply.ok()) return reply.status();
  if (!reply->has_value()) return RingSettings();
  return ParseRings(**reply);
}

absl::Status SetRings(const Interface& interface, std::optional<HeaderSplit> split,
                      std::optional<uint32_t> threshold) {
  return EthtoolSet(
      interface, ETHTOOL_MSG_RINGS_SET, ETHTOOL_A_RINGS_HEADER,
      [&](Request& request) {
        if (split.has_value()) request.Put(ETHTOOL_A_RINGS_TCP_DATA_SPLIT, ToEthtool(*split));
        if (threshold.has_value()) request.Put(uapi::kEthtoolAttrRingsHdsThresh, *threshold);
      },
      "setting header split");
}

absl::Status SetHeaderSplit(const Interface& interface, bool on) {
  const auto rings = GetRings(interface);
  if (!rings.ok()) return rings.status();
  // Kernels before 6.14 would refuse the whole request for an attribute they do not know.
  const bool threshold = on && rings->header_split_threshold.has_value();
  return SetRings(interface, on ? HeaderSplit::kEnabled : HeaderSplit::kDisabled,
                  threshold ? std::optional<uint32_t>(0) : std::nullopt);
}

}  // namespace zcrx::inline v0::netdev
