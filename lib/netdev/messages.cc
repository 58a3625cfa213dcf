// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/messages.h"

#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include <array>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {
namespace {

// The attributes of one reply or nest, by number up to `kMax`.
template <int kMax>
class Attributes {
 public:
  using Policy = std::array<nla_policy, kMax + 1>;

  // `skip` bytes precede the attributes. `kind` names the reply in errors.
  static absl::StatusOr<Attributes> Of(const Payload& reply, size_t skip, const Policy& policy,
                                       const char* kind) {
    skip = NLMSG_ALIGN(skip);
    Attributes attributes;
    if (reply.size() < skip ||
        nla_parse(attributes.table_.data(), kMax,
                  reinterpret_cast<nlattr*>(const_cast<std::byte*>(reply.data()) + skip),
                  static_cast<int>(reply.size() - skip), const_cast<nla_policy*>(policy.data())) < 0) {
      return absl::DataLossError(absl::StrCat("malformed netlink reply: ", kind));
    }
    return attributes;
  }

  static absl::StatusOr<Attributes> OfNest(nlattr* nest, const Policy& policy, const char* kind) {
    Attributes attributes;
    if (nla_parse_nested(attributes.table_.data(), kMax, nest, const_cast<nla_policy*>(policy.data())) < 0) {
      return absl::DataLossError(absl::StrCat("malformed netlink reply: ", kind));
    }
    return attributes;
  }

  nlattr* Raw(int number) const { return table_[number]; }
  bool Has(int number) const { return table_[number] != nullptr; }
  std::optional<uint32_t> U32(int number) const {
    if (!Has(number)) return std::nullopt;
    return nla_get_u32(table_[number]);
  }
  std::optional<uint8_t> U8(int number) const {
    if (!Has(number)) return std::nullopt;
    return nla_get_u8(table_[number]);
  }
  std::string String(int number) const {
    if (!Has(number)) return {};
    const auto* begin = static_cast<const char*>(nla_data(table_[number]));
    return std::string(begin, strnlen(begin, static_cast<size_t>(nla_len(table_[number]))));
  }

 private:
  // Not an array: g++ 12 merges the functions of different kMax and then warns about bounds.
  std::vector<nlattr*> table_ = std::vector<nlattr*>(kMax + 1);
};

nla_policy OfType(uint16_t type) {
  nla_policy policy = {};
  policy.type = type;
  return policy;
}

}  // namespace

absl::StatusOr<Link> ParseLink(const Payload& reply) {
  constexpr int kMax = IFLA_PARENT_DEV_BUS_NAME;
  Attributes<kMax>::Policy policy = {};
  policy[IFLA_NUM_RX_QUEUES] = OfType(NLA_U32);
  policy[IFLA_XDP] = OfType(NLA_NESTED);
  auto attributes = Attributes<kMax>::Of(reply, sizeof(ifinfomsg), policy, "link");
  if (!attributes.ok()) return attributes.status();

  ifinfomsg header;
  memcpy(&header, reply.data(), sizeof(header));
  Link link;
  link.name = attributes->String(IFLA_IFNAME);
  link.index = static_cast<uint32_t>(header.ifi_index);
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.rx_queues_max = attributes->U32(IFLA_NUM_RX_QUEUES).value_or(1);
  link.parent_bus = attributes->String(IFLA_PARENT_DEV_BUS_NAME);
  link.parent_device = attributes->String(IFLA_PARENT_DEV_NAME);
  if (nlattr* nest = attributes->Raw(IFLA_XDP)) {
    Attributes<IFLA_XDP_ATTACHED>::Policy xdp_policy = {};
    xdp_policy[IFLA_XDP_ATTACHED] = OfType(NLA_U8);
    auto xdp = Attributes<IFLA_XDP_ATTACHED>::OfNest(nest, xdp_policy, "link, XDP");
    if (!xdp.ok()) return xdp.status();
    link.xdp_attached = xdp->U8(IFLA_XDP_ATTACHED).value_or(XDP_ATTACHED_NONE) != XDP_ATTACHED_NONE;
  }
  return link;
}

absl::StatusOr<uint32_t> ParseRxChannels(const Payload& reply) {
  constexpr int kMax = ETHTOOL_A_CHANNELS_COMBINED_COUNT;
  Attributes<kMax>::Policy policy = {};
  policy[ETHTOOL_A_CHANNELS_RX_COUNT] = OfType(NLA_U32);
  policy[ETHTOOL_A_CHANNELS_COMBINED_COUNT] = OfType(NLA_U32);
  auto attributes = Attributes<kMax>::Of(reply, sizeof(genlmsghdr), policy, "ethtool channels");
  if (!attributes.ok()) return attributes.status();
  return attributes->U32(ETHTOOL_A_CHANNELS_RX_COUNT).value_or(0) +
         attributes->U32(ETHTOOL_A_CHANNELS_COMBINED_COUNT).value_or(0);
}

absl::StatusOr<RingSettings> ParseRings(const Payload& reply) {
  constexpr int kMax = uapi::kEthtoolAttrRingsMax;
  Attributes<kMax>::Policy policy = {};
  policy[ETHTOOL_A_RINGS_RX] = OfType(NLA_U32);
  policy[ETHTOOL_A_RINGS_RX_MAX] = OfType(NLA_U32);
  policy[ETHTOOL_A_RINGS_TCP_DATA_SPLIT] = OfType(NLA_U8);
  policy[uapi::kEthtoolAttrRingsHdsThresh] = OfType(NLA_U32);
  policy[uapi::kEthtoolAttrRingsHdsThreshMax] = OfType(NLA_U32);
  auto attributes = Attributes<kMax>::Of(reply, sizeof(genlmsghdr), policy, "ethtool rings");
  if (!attributes.ok()) return attributes.status();

  RingSettings rings;
  rings.rx = attributes->U32(ETHTOOL_A_RINGS_RX);
  rings.rx_max = attributes->U32(ETHTOOL_A_RINGS_RX_MAX);
  rings.header_split_threshold = attributes->U32(uapi::kEthtoolAttrRingsHdsThresh);
  rings.header_split_threshold_max = attributes->U32(uapi::kEthtoolAttrRingsHdsThreshMax);
  switch (attributes->U8(ETHTOOL_A_RINGS_TCP_DATA_SPLIT).value_or(ETHTOOL_TCP_DATA_SPLIT_UNKNOWN)) {
    case ETHTOOL_TCP_DATA_SPLIT_DISABLED:
      rings.header_split = HeaderSplit::kDisabled;
      break;
    case ETHTOOL_TCP_DATA_SPLIT_ENABLED:
      rings.header_split = HeaderSplit::kEnabled;
      break;
    default:
      break;
  }
  return rings;
}

absl::StatusOr<std::optional<RxQueue>> ParseRxQueue(const Payload& reply) {
  constexpr int kMax = uapi::kNetdevAttrQueueMax;
  Attributes<kMax>::Policy policy = {};
  policy[uapi::kNetdevAttrQueueId] = OfType(NLA_U32);
  policy[uapi::kNetdevAttrQueueType] = OfType(NLA_U32);
  policy[uapi::kNetdevAttrQueueNapiId] = OfType(NLA_U32);
  policy[uapi::kNetdevAttrQueueDmabuf] = OfType(NLA_U32);
  policy[uapi::kNetdevAttrQueueIoUring] = OfType(NLA_NESTED);
  auto attributes = Attributes<kMax>::Of(reply, sizeof(genlmsghdr), policy, "netdev queue");
  if (!attributes.ok()) return attributes.status();
  if (!attributes->Has(uapi::kNetdevAttrQueueId) || !attributes->Has(uapi::kNetdevAttrQueueType)) {
    return absl::DataLossError("malformed netlink reply: netdev queue without id or type");
  }
  if (*attributes->U32(uapi::kNetdevAttrQueueType) != uapi::kNetdevQueueTypeRx) return std::nullopt;

  RxQueue queue;
  queue.id = *attributes->U32(uapi::kNetdevAttrQueueId);
  queue.napi_id = attributes->U32(uapi::kNetdevAttrQueueNapiId);
  queue.dmabuf = attributes->U32(uapi::kNetdevAttrQueueDmabuf);
  queue.xdp_socket = attributes->Has(uapi::kNetdevAttrQueueXsk);
  queue.leased = attributes->Has(uapi::kNetdevAttrQueueLease);
  if (nlattr* nest = attributes->Raw(uapi::kNetdevAttrQueueIoUring)) {
    queue.io_uring = true;
    Attributes<uapi::kNetdevAttrIoUringMax>::Policy provider_policy = {};
    provider_policy[uapi::kNetdevAttrIoUringRxBufLen] = OfType(NLA_U32);
    auto provider =
        Attributes<uapi::kNetdevAttrIoUringMax>::OfNest(nest, provider_policy, "netdev queue, io_uring");
    if (!provider.ok()) return provider.status();
    queue.io_uring_buffer_bytes = provider->U32(uapi::kNetdevAttrIoUringRxBufLen);
  }
  return queue;
}

}  // namespace zcrx::inline v0::netdev
