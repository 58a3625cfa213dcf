// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/messages.h"

#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "lib/netdev/attributes.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {
namespace {

// A reply of a generic netlink family.
class GenericMessage : public Message {
 public:
  GenericMessage(const Payload& reply, const char* kind) : Message(reply, sizeof(genlmsghdr), kind) {}
};

// A bit of an ethtool bitset, as the kernel sends it unless it is asked for the compact form: a set with a
// mask lists all bits that there are, one without those that are set. Absent if it is not listed.
std::optional<bool> Bit(const std::optional<Attributes>& bitset, std::string_view name) {
  const auto bits = bitset.has_value() ? bitset->Nest(ETHTOOL_A_BITSET_BITS) : std::nullopt;
  if (!bits.has_value()) return std::nullopt;
  for (const Attributes& bit : bits->Nests(ETHTOOL_A_BITSET_BITS_BIT)) {
    if (bit.Text(ETHTOOL_A_BITSET_BIT_NAME) == name) {
      return bitset->Has(ETHTOOL_A_BITSET_NOMASK) || bit.Has(ETHTOOL_A_BITSET_BIT_VALUE);
    }
  }
  return std::nullopt;
}

// The names of the bits of ETH_RSS_HASH_*.
std::string HashFunction(std::optional<uint32_t> bits) {
  switch (bits.value_or(0)) {
    case 1:
      return "toeplitz";
    case 2:
      return "xor";
    case 4:
      return "crc32";
    default:
      return {};
  }
}

// The nest that says that an io_uring brought the memory. Before 7.0 it is empty.
template <typename T>
void ReadIoUring(const std::optional<Attributes>& nest, T& owned) {
  if (!nest.has_value()) return;
  owned.io_uring = true;
  owned.io_uring_buffer_bytes = nest->U32(uapi::kNetdevAttrIoUringRxBufLen);
}

// Not std::sort: in what it assigns, g++ 12 takes optional members for uninitialized ones when it optimises.
template <typename T>
void SortById(std::vector<T>& objects) {
  std::multimap<uint64_t, T> sorted;
  for (T& object : objects) {
    const uint64_t id = object.id;
    sorted.emplace(id, std::move(object));
  }
  objects.clear();
  for (auto& [id, object] : sorted) objects.push_back(std::move(object));
}

RssContext ReadRssContext(const Attributes& attributes) {
  RssContext context;
  context.id = attributes.U32(uapi::kEthtoolAttrRssContext).value_or(0);
  context.hash_function = HashFunction(attributes.U32(uapi::kEthtoolAttrRssHfunc));
  context.table = attributes.U32Array(uapi::kEthtoolAttrRssIndir);
  const auto key = attributes.Bytes(uapi::kEthtoolAttrRssHkey);
  context.hash_key.assign(key.begin(), key.end());
  return context;
}

RxQueue ReadRxQueue(const Attributes& attributes) {
  RxQueue queue;
  queue.id = attributes.Required(attributes.U32(uapi::kNetdevAttrQueueId));
  if (const auto napi = attributes.U32(uapi::kNetdevAttrQueueNapiId)) queue.napi.emplace().id = *napi;
  queue.dmabuf = attributes.U32(uapi::kNetdevAttrQueueDmabuf);
  queue.xdp_socket = attributes.Has(uapi::kNetdevAttrQueueXsk);
  queue.leased = attributes.Has(uapi::kNetdevAttrQueueLease);
  ReadIoUring(attributes.Nest(uapi::kNetdevAttrQueueIoUring), queue);
  return queue;
}

QueueStats ReadQueueStats(const Attributes& attributes) {
  return {.packets = attributes.Uint(uapi::kNetdevAttrQstatsRxPackets),
          .bytes = attributes.Uint(uapi::kNetdevAttrQstatsRxBytes),
          .alloc_failures = attributes.Uint(uapi::kNetdevAttrQstatsRxAllocFail),
          .hw_drops = attributes.Uint(uapi::kNetdevAttrQstatsRxHwDrops),
          .hw_drop_overruns = attributes.Uint(uapi::kNetdevAttrQstatsRxHwDropOverruns)};
}

PagePool ReadPagePool(const Attributes& attributes) {
  PagePool pool;
  pool.id = attributes.Required(attributes.Uint(uapi::kNetdevAttrPagePoolId));
  pool.napi_id = attributes.U32(uapi::kNetdevAttrPagePoolNapiId);
  pool.inflight = attributes.Uint(uapi::kNetdevAttrPagePoolInflight);
  pool.inflight_bytes = attributes.Uint(uapi::kNetdevAttrPagePoolInflightMem);
  pool.detached_at_seconds = attributes.Uint(uapi::kNetdevAttrPagePoolDetachTime);
  pool.dmabuf = attributes.U32(uapi::kNetdevAttrPagePoolDmabuf);
  ReadIoUring(attributes.Nest(uapi::kNetdevAttrPagePoolIoUring), pool);
  return pool;
}

PagePoolStats ReadPagePoolStats(const Attributes& attributes) {
  return {
      .alloc_fast = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocFast),
      .alloc_slow = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocSlow),
      .alloc_slow_high_order = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocSlowHighOrder),
      .alloc_empty = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocEmpty),
      .alloc_refill = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocRefill),
      .alloc_waive = attributes.Uint(uapi::kNetdevAttrPagePoolStatsAllocWaive),
      .recycle_cached = attributes.Uint(uapi::kNetdevAttrPagePoolStatsRecycleCached),
      .recycle_cache_full = attributes.Uint(uapi::kNetdevAttrPagePoolStatsRecycleCacheFull),
      .recycle_ring = attributes.Uint(uapi::kNetdevAttrPagePoolStatsRecycleRing),
      .recycle_ring_full = attributes.Uint(uapi::kNetdevAttrPagePoolStatsRecycleRingFull),
      .recycle_released_refcnt = attributes.Uint(uapi::kNetdevAttrPagePoolStatsRecycleReleasedRefcnt),
  };
}

}  // namespace

absl::StatusOr<Link> ParseLink(const Payload& reply) {
  const Message message(reply, sizeof(ifinfomsg), "link");
  if (absl::Status status = message.status(); !status.ok()) return status;
  ifinfomsg header;
  memcpy(&header, reply.data(), sizeof(header));
  const Attributes& attributes = message.attributes();
  Link link;
  link.name = attributes.Text(IFLA_IFNAME);
  link.index = static_cast<uint32_t>(header.ifi_index);
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.mtu = attributes.U32(IFLA_MTU).value_or(0);
  link.rx_queues_max = attributes.U32(IFLA_NUM_RX_QUEUES).value_or(1);
  link.parent_bus = attributes.Text(IFLA_PARENT_DEV_BUS_NAME);
  link.parent_device = attributes.Text(IFLA_PARENT_DEV_NAME);
  if (const auto xdp = attributes.Nest(IFLA_XDP)) {
    link.xdp_attached = xdp->U8(IFLA_XDP_ATTACHED).value_or(XDP_ATTACHED_NONE) != XDP_ATTACHED_NONE;
  }
  if (absl::Status status = message.status(); !status.ok()) return status;
  return link;
}

absl::StatusOr<Channels> ParseChannels(const Payload& reply) {
  const GenericMessage message(reply, "ethtool channels");
  const auto kind = [&message](int count, int max) {
    const Attributes& attributes = message.attributes();
    return Channels::Kind{attributes.U32(count).value_or(0), attributes.U32(max).value_or(0)};
  };
  Channels channels;
  channels.rx = kind(ETHTOOL_A_CHANNELS_RX_COUNT, ETHTOOL_A_CHANNELS_RX_MAX);
  channels.tx = kind(ETHTOOL_A_CHANNELS_TX_COUNT, ETHTOOL_A_CHANNELS_TX_MAX);
  channels.combined = kind(ETHTOOL_A_CHANNELS_COMBINED_COUNT, ETHTOOL_A_CHANNELS_COMBINED_MAX);
  if (absl::Status status = message.status(); !status.ok()) return status;
  return channels;
}

absl::StatusOr<Features> ParseFeatures(const Payload& reply) {
  const GenericMessage message(reply, "ethtool features");
  const Attributes& attributes = message.attributes();
  const auto changeable = attributes.Nest(ETHTOOL_A_FEATURES_HW);
  const auto wanted = attributes.Nest(ETHTOOL_A_FEATURES_WANTED);
  const auto active = attributes.Nest(ETHTOOL_A_FEATURES_ACTIVE);
  const auto never = attributes.Nest(ETHTOOL_A_FEATURES_NOCHANGE);
  const auto feature = [&](std::string_view name) -> std::optional<Feature> {
    const auto can_change = Bit(changeable, name);
    if (!can_change.has_value()) return std::nullopt;
    return Feature{.on = Bit(active, name).value_or(false),
                   .fixed = !*can_change || Bit(never, name).value_or(false),
                   .requested = Bit(wanted, name).value_or(false)};
  };
  Features features;
  features.ntuple_filters = feature(kNtupleFilters);
  features.rx_gro_hw = feature("rx-gro-hw");
  if (absl::Status status = message.status(); !status.ok()) return status;
  return features;
}

absl::StatusOr<RingSettings> ParseRings(const Payload& reply) {
  const GenericMessage message(reply, "ethtool rings");
  const Attributes& attributes = message.attributes();
  RingSettings rings;
  rings.rx = attributes.U32(ETHTOOL_A_RINGS_RX);
  rings.rx_max = attributes.U32(ETHTOOL_A_RINGS_RX_MAX);
  rings.header_split_threshold = attributes.U32(uapi::kEthtoolAttrRingsHdsThresh);
  rings.header_split_threshold_max = attributes.U32(uapi::kEthtoolAttrRingsHdsThreshMax);
  switch (attributes.U8(ETHTOOL_A_RINGS_TCP_DATA_SPLIT).value_or(ETHTOOL_TCP_DATA_SPLIT_UNKNOWN)) {
    case ETHTOOL_TCP_DATA_SPLIT_DISABLED:
      rings.header_split = HeaderSplit::kDisabled;
      break;
    case ETHTOOL_TCP_DATA_SPLIT_ENABLED:
      rings.header_split = HeaderSplit::kEnabled;
      break;
    default:
      break;
  }
  if (absl::Status status = message.status(); !status.ok()) return status;
  return rings;
}

absl::StatusOr<std::vector<RssContext>> ParseRss(const std::vector<Payload>& replies) {
  std::vector<RssContext> contexts;
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "ethtool RSS");
    contexts.push_back(ReadRssContext(message.attributes()));
    if (absl::Status status = message.status(); !status.ok()) return status;
  }
  SortById(contexts);
  return contexts;
}

absl::StatusOr<std::vector<RxQueue>> ParseRxQueues(const std::vector<Payload>& replies) {
  std::vector<RxQueue> queues;
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "netdev queue");
    const uint32_t type = message.attributes().Required(message.attributes().U32(uapi::kNetdevAttrQueueType));
    const RxQueue queue = ReadRxQueue(message.attributes());
    if (absl::Status status = message.status(); !status.ok()) return status;
    if (type == uapi::kNetdevQueueTypeRx) queues.push_back(queue);
  }
  SortById(queues);
  return queues;
}

absl::Status AddNapis(const std::vector<Payload>& replies, std::vector<RxQueue>& queues) {
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "netdev NAPI");
    Napi napi;
    napi.id = message.attributes().Required(message.attributes().U32(uapi::kNetdevAttrNapiId));
    napi.irq = message.attributes().U32(uapi::kNetdevAttrNapiIrq);
    napi.thread = message.attributes().U32(uapi::kNetdevAttrNapiPid);
    if (absl::Status status = message.status(); !status.ok()) return status;
    for (RxQueue& queue : queues) {
      if (queue.napi.has_value() && queue.napi->id == napi.id) queue.napi = napi;
    }
  }
  return absl::OkStatus();
}

absl::Status AddQueueStats(const std::vector<Payload>& replies, uint32_t interface_index,
                           std::vector<RxQueue>& queues) {
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "netdev queue counters");
    const Attributes& attributes = message.attributes();
    const uint32_t index = attributes.Required(attributes.U32(uapi::kNetdevAttrQstatsIfindex));
    const uint32_t type = attributes.Required(attributes.U32(uapi::kNetdevAttrQstatsQueueType));
    const uint32_t id = attributes.Required(attributes.U32(uapi::kNetdevAttrQstatsQueueId));
    const QueueStats stats = ReadQueueStats(attributes);
    if (absl::Status status = message.status(); !status.ok()) return status;
    if (index != interface_index || type != uapi::kNetdevQueueTypeRx) continue;
    for (RxQueue& queue : queues) {
      if (queue.id == id) queue.stats = stats;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PagePool>> ParsePagePools(const std::vector<Payload>& replies,
                                                     std::optional<uint32_t> interface_index) {
  std::vector<PagePool> pools;
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "netdev page pool");
    const PagePool pool = ReadPagePool(message.attributes());
    const auto index = message.attributes().U32(uapi::kNetdevAttrPagePoolIfindex);
    if (absl::Status status = message.status(); !status.ok()) return status;
    if (!interface_index.has_value() || index == interface_index) pools.push_back(pool);
  }
  SortById(pools);
  return pools;
}

absl::Status AddPagePoolStats(const std::vector<Payload>& replies, std::vector<PagePool>& pools) {
  for (const Payload& reply : replies) {
    const GenericMessage message(reply, "netdev page pool counters");
    const auto info = message.attributes().Nest(uapi::kNetdevAttrPagePoolStatsInfo);
    const uint64_t id = message.attributes().Required(
        info.has_value() ? info->Uint(uapi::kNetdevAttrPagePoolId) : std::nullopt);
    const PagePoolStats stats = ReadPagePoolStats(message.attributes());
    if (absl::Status status = message.status(); !status.ok()) return status;
    for (PagePool& pool : pools) {
      if (pool.id == id) pool.stats = stats;
    }
  }
  return absl::OkStatus();
}

}  // namespace zcrx::inline v0::netdev
