// SPDX-License-Identifier: Apache-2.0
//
// What lib/netdev makes of replies of the kernel, also of ones no kernel would send.
#include <gtest/gtest.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "lib/netdev/messages.h"
#include "lib/netdev/netlink.h"
#include "lib/uapi/netlink.h"
#include "tests/unit/netlink_bytes.h"
#include "zcrx/netdev.h"

namespace zcrx::netdev {
namespace {

TEST(Messages, Link) {
  ifinfomsg header = {};
  header.ifi_index = 12;
  header.ifi_flags = IFF_UP;
  Bytes reply = Bytes().Raw(header);
  reply.Text(IFLA_IFNAME, "a0");
  reply.Attribute(IFLA_MTU, uint32_t{9000});
  reply.Attribute(IFLA_NUM_RX_QUEUES, uint32_t{8});
  reply.Nest(IFLA_XDP, Bytes().Attribute(IFLA_XDP_ATTACHED, uint8_t{XDP_ATTACHED_SKB}));
  reply.Text(IFLA_PARENT_DEV_BUS_NAME, "pci").Text(IFLA_PARENT_DEV_NAME, "0000:03:00.0");
  reply.Attribute(4000, uint32_t{1});  // of a future kernel
  const auto link = ParseLink(reply.get());
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_EQ(link->name, "a0");
  EXPECT_EQ(link->index, 12u);
  EXPECT_TRUE(link->up);
  EXPECT_TRUE(link->xdp_attached);
  EXPECT_EQ(link->rx_queues_max, 8u);
  EXPECT_EQ(link->mtu, 9000u);
  EXPECT_EQ(link->parent_bus, "pci");
  EXPECT_EQ(link->parent_device, "0000:03:00.0");
}

TEST(Messages, Channels) {
  Bytes reply = Generic();
  reply.Attribute(ETHTOOL_A_CHANNELS_RX_COUNT, uint32_t{2}).Attribute(ETHTOOL_A_CHANNELS_RX_MAX, uint32_t{3});
  reply.Attribute(ETHTOOL_A_CHANNELS_COMBINED_COUNT, uint32_t{4});
  reply.Attribute(ETHTOOL_A_CHANNELS_COMBINED_MAX, uint32_t{64});
  const auto channels = ParseChannels(reply.get());
  ASSERT_TRUE(channels.ok()) << channels.status();
  EXPECT_EQ(channels->rx.count, 2u);
  EXPECT_EQ(channels->rx.max, 3u);
  EXPECT_EQ(channels->tx.count, 0u);
  EXPECT_EQ(channels->tx.max, 0u);
  EXPECT_EQ(channels->combined.count, 4u);
  EXPECT_EQ(channels->combined.max, 64u);
}

Bytes Bit(const char* name, bool set) {
  Bytes bit =
      Bytes().Attribute(ETHTOOL_A_BITSET_BIT_INDEX, uint32_t{9}).Text(ETHTOOL_A_BITSET_BIT_NAME, name);
  if (set) bit.Attribute(ETHTOOL_A_BITSET_BIT_VALUE, nullptr, 0);
  return bit;
}

// A set without a mask lists what is set, and no values.
Bytes SetBits(std::initializer_list<const char*> names) {
  Bytes bits;
  for (const char* name : names) bits.Nest(ETHTOOL_A_BITSET_BITS_BIT, Bit(name, false));
  return Bytes()
      .Attribute(ETHTOOL_A_BITSET_NOMASK, nullptr, 0)
      .Attribute(ETHTOOL_A_BITSET_SIZE, uint32_t{64})
      .Nest(ETHTOOL_A_BITSET_BITS, bits);
}

TEST(Messages, Features) {
  const Bytes changeable = Bytes()
                               .Nest(ETHTOOL_A_BITSET_BITS_BIT, Bit("rx-checksum", true))
                               .Nest(ETHTOOL_A_BITSET_BITS_BIT, Bit("rx-gro-hw", false))
                               .Nest(ETHTOOL_A_BITSET_BITS_BIT, Bit("rx-ntuple-filter", true));
  Bytes reply = Generic();
  reply.Nest(ETHTOOL_A_FEATURES_NOCHANGE, SetBits({"highdma"}));
  reply.Nest(ETHTOOL_A_FEATURES_ACTIVE, SetBits({"rx-gro-hw", "highdma"}));
  reply.Nest(ETHTOOL_A_FEATURES_WANTED, SetBits({"rx-ntuple-filter"}));
  reply.Nest(ETHTOOL_A_FEATURES_HW, Bytes().Nest(ETHTOOL_A_BITSET_BITS, changeable));
  const auto features = ParseFeatures(reply.get());
  ASSERT_TRUE(features.ok()) << features.status();
  ASSERT_TRUE(features->ntuple_filters.has_value());
  EXPECT_FALSE(features->ntuple_filters->on);
  EXPECT_FALSE(features->ntuple_filters->fixed);
  EXPECT_TRUE(features->ntuple_filters->requested);
  ASSERT_TRUE(features->rx_gro_hw.has_value());
  EXPECT_TRUE(features->rx_gro_hw->on);
  EXPECT_TRUE(features->rx_gro_hw->fixed);
  EXPECT_FALSE(features->rx_gro_hw->requested);
}

TEST(Messages, UnknownFeaturesAreAbsent) {
  for (const Bytes& reply :
       {Generic(), Generic().Nest(ETHTOOL_A_FEATURES_HW, SetBits({"highdma"})),
        Generic().Nest(ETHTOOL_A_FEATURES_HW, Bytes().Attribute(ETHTOOL_A_BITSET_VALUE, uint32_t{1}))}) {
    const auto features = ParseFeatures(reply.get());
    ASSERT_TRUE(features.ok()) << features.status();
    EXPECT_FALSE(features->ntuple_filters.has_value());
  }
}

TEST(Messages, RingsOfAnOldKernelAreAbsentValues) {
  const auto rings = ParseRings(Generic().Attribute(ETHTOOL_A_RINGS_RX, uint32_t{512}).get());
  ASSERT_TRUE(rings.ok()) << rings.status();
  EXPECT_EQ(rings->header_split, HeaderSplit::kUnknown);
  EXPECT_EQ(rings->header_split_threshold, std::nullopt);
  EXPECT_EQ(rings->rx, 512u);
  EXPECT_EQ(rings->rx_max, std::nullopt);
}

TEST(Messages, Rings) {
  Bytes reply = Generic();
  reply.Attribute(ETHTOOL_A_RINGS_TCP_DATA_SPLIT, uint8_t{ETHTOOL_TCP_DATA_SPLIT_ENABLED});
  reply.Attribute(uapi::kEthtoolAttrRingsHdsThresh, uint32_t{0});
  reply.Attribute(uapi::kEthtoolAttrRingsHdsThreshMax, uint32_t{1024});
  const auto rings = ParseRings(reply.get());
  ASSERT_TRUE(rings.ok()) << rings.status();
  EXPECT_EQ(rings->header_split, HeaderSplit::kEnabled);
  EXPECT_EQ(rings->header_split_threshold, 0u);
  EXPECT_EQ(rings->header_split_threshold_max, 1024u);
}

Bytes RssReply(std::initializer_list<uint32_t> table) {
  const std::vector<uint32_t> entries(table);
  return Generic().Attribute(uapi::kEthtoolAttrRssIndir, entries.data(), entries.size() * sizeof(uint32_t));
}

TEST(Messages, RssContextsInAnyOrder) {
  const auto contexts = ParseRss({
      RssReply({3, 3}).Attribute(uapi::kEthtoolAttrRssContext, uint32_t{2}).get(),
      RssReply({0, 1})
          .Attribute(uapi::kEthtoolAttrRssHfunc, uint32_t{1})
          .Attribute(uapi::kEthtoolAttrRssHkey, "\x01\x02\x03", 3)
          .get(),
      RssReply({2}).Attribute(uapi::kEthtoolAttrRssContext, uint32_t{1}).get(),
  });
  ASSERT_TRUE(contexts.ok()) << contexts.status();
  ASSERT_EQ(contexts->size(), 3u);
  const RssContext& first = contexts->front();
  EXPECT_EQ(first.id, 0u);
  EXPECT_EQ(first.table, std::vector<uint32_t>({0, 1}));
  EXPECT_EQ(first.hash_function, "toeplitz");
  EXPECT_EQ(first.hash_key, std::vector<std::byte>({std::byte{1}, std::byte{2}, std::byte{3}}));
  EXPECT_EQ((*contexts)[1].id, 1u);
  EXPECT_EQ((*contexts)[2].id, 2u);
  EXPECT_EQ((*contexts)[2].table, std::vector<uint32_t>({3, 3}));
  EXPECT_EQ((*contexts)[2].hash_function, "");
}

Bytes QueueReply(uint32_t id, uint32_t type) {
  return Generic()
      .Attribute(uapi::kNetdevAttrQueueId, id)
      .Attribute(uapi::kNetdevAttrQueueType, type)
      .Attribute(uapi::kNetdevAttrQueueIfindex, uint32_t{3});
}

std::vector<RxQueue> Queues(const std::vector<Payload>& replies) {
  auto queues = ParseRxQueues(replies);
  EXPECT_TRUE(queues.ok()) << queues.status();
  return queues.ok() ? *std::move(queues) : std::vector<RxQueue>();
}

// What is said of a receive queue by one attribute.
RxQueue QueueWith(const std::function<void(Bytes&)>& attribute) {
  Bytes reply = QueueReply(1, uapi::kNetdevQueueTypeRx);
  attribute(reply);
  const std::vector<RxQueue> queues = Queues({reply.get()});
  EXPECT_EQ(queues.size(), 1u);
  return queues.empty() ? RxQueue() : queues.front();
}

TEST(Messages, QueueOwners) {
  RxQueue queue = QueueWith([](Bytes&) {});
  EXPECT_EQ(queue.id, 1u);
  EXPECT_FALSE(queue.io_uring || queue.xdp_socket || queue.leased || queue.dmabuf.has_value());
  EXPECT_FALSE(queue.napi.has_value());

  // 6.15 sends an empty nest, 7.0 says how large the buffers are, in 4 or 8 bytes.
  queue = QueueWith([](Bytes& reply) { reply.Nest(uapi::kNetdevAttrQueueIoUring, Bytes()); });
  EXPECT_TRUE(queue.io_uring);
  EXPECT_EQ(queue.io_uring_buffer_bytes, std::nullopt);
  queue = QueueWith([](Bytes& reply) {
    reply.Attribute(uapi::kNetdevAttrQueueNapiId, uint32_t{77});
    reply.Nest(uapi::kNetdevAttrQueueIoUring,
               Bytes().Attribute(uapi::kNetdevAttrIoUringRxBufLen, uint32_t{4096}));
  });
  EXPECT_EQ(queue.io_uring_buffer_bytes, 4096u);
  ASSERT_TRUE(queue.napi.has_value());
  EXPECT_EQ(queue.napi->id, 77u);
  queue = QueueWith([](Bytes& reply) {
    reply.Nest(uapi::kNetdevAttrQueueIoUring,
               Bytes().Attribute(uapi::kNetdevAttrIoUringRxBufLen, uint64_t{4096}));
  });
  EXPECT_EQ(queue.io_uring_buffer_bytes, 4096u);

  queue = QueueWith([](Bytes& reply) { reply.Attribute(uapi::kNetdevAttrQueueDmabuf, uint32_t{5}); });
  EXPECT_EQ(queue.dmabuf, 5u);
  queue = QueueWith([](Bytes& reply) { reply.Nest(uapi::kNetdevAttrQueueXsk, Bytes()); });
  EXPECT_TRUE(queue.xdp_socket);
  queue = QueueWith([](Bytes& reply) { reply.Nest(uapi::kNetdevAttrQueueLease, Bytes()); });
  EXPECT_TRUE(queue.leased);
}

TEST(Messages, QueuesInAnyOrder) {
  const std::vector<RxQueue> queues =
      Queues({QueueReply(2, uapi::kNetdevQueueTypeRx).get(), QueueReply(0, uapi::kNetdevQueueTypeTx).get(),
              QueueReply(0, uapi::kNetdevQueueTypeRx).get(), QueueReply(1, uapi::kNetdevQueueTypeRx).get()});
  ASSERT_EQ(queues.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(queues[i].id, i);
}

Bytes NapiReply(uint32_t id) {
  return Generic()
      .Attribute(uapi::kNetdevAttrNapiId, id)
      .Attribute(uapi::kNetdevAttrNapiIfindex, uint32_t{3});
}

TEST(Messages, NapisOfQueuesInAnyOrder) {
  std::vector<RxQueue> queues(3);
  queues[0].napi.emplace().id = 10;
  queues[1].napi.emplace().id = 11;
  const absl::Status status =
      AddNapis({NapiReply(11).Attribute(uapi::kNetdevAttrNapiIrq, uint32_t{40}).get(),
                NapiReply(99).Attribute(uapi::kNetdevAttrNapiIrq, uint32_t{41}).get(),
                NapiReply(10).Attribute(uapi::kNetdevAttrNapiPid, uint32_t{1234}).get()},
               queues);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(queues[0].napi->irq, std::nullopt);
  EXPECT_EQ(queues[0].napi->thread, 1234u);
  EXPECT_EQ(queues[1].napi->irq, 40u);
  EXPECT_EQ(queues[1].napi->thread, std::nullopt);
  EXPECT_FALSE(queues[2].napi.has_value());
}

Bytes StatsReply(uint32_t interface, uint32_t type, uint32_t id) {
  return Generic()
      .Attribute(uapi::kNetdevAttrQstatsIfindex, interface)
      .Attribute(uapi::kNetdevAttrQstatsQueueType, type)
      .Attribute(uapi::kNetdevAttrQstatsQueueId, id);
}

TEST(Messages, CountersOfQueuesInAnyOrder) {
  std::vector<RxQueue> queues(2);
  queues[1].id = 1;
  const auto packets = [](Bytes reply, uint32_t count) {
    return reply.Attribute(uapi::kNetdevAttrQstatsRxPackets, count).get();
  };
  const absl::Status status =
      AddQueueStats({packets(StatsReply(3, uapi::kNetdevQueueTypeTx, 0), 1),
                     packets(StatsReply(4, uapi::kNetdevQueueTypeRx, 0), 2),
                     packets(StatsReply(3, uapi::kNetdevQueueTypeRx, 7), 3),
                     StatsReply(3, uapi::kNetdevQueueTypeRx, 1)
                         .Attribute(uapi::kNetdevAttrQstatsRxBytes, uint64_t{1} << 40)
                         .Attribute(uapi::kNetdevAttrQstatsRxAllocFail, uint32_t{5})
                         .Attribute(uapi::kNetdevAttrQstatsRxHwDrops, uint32_t{6})
                         .Attribute(uapi::kNetdevAttrQstatsRxHwDropOverruns, uint32_t{7})
                         .get(),
                     packets(StatsReply(3, uapi::kNetdevQueueTypeRx, 0), 4)},
                    3, queues);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(queues[0].stats.packets, 4u);
  EXPECT_EQ(queues[0].stats.bytes, std::nullopt);
  EXPECT_EQ(queues[1].stats.packets, std::nullopt);
  EXPECT_EQ(queues[1].stats.bytes, uint64_t{1} << 40);
  EXPECT_EQ(queues[1].stats.alloc_failures, 5u);
  EXPECT_EQ(queues[1].stats.hw_drops, 6u);
  EXPECT_EQ(queues[1].stats.hw_drop_overruns, 7u);
}

Bytes PoolReply(uint64_t id) { return Generic().Attribute(uapi::kNetdevAttrPagePoolId, id); }

TEST(Messages, PagePoolsInAnyOrder) {
  const std::vector<Payload> replies = {
      PoolReply(uint64_t{1} << 33)
          .Attribute(uapi::kNetdevAttrPagePoolIfindex, uint32_t{3})
          .Attribute(uapi::kNetdevAttrPagePoolInflight, uint64_t{5})
          .Attribute(uapi::kNetdevAttrPagePoolInflightMem, uint64_t{1} << 40)
          .Attribute(uapi::kNetdevAttrPagePoolDetachTime, uint32_t{86400})
          .Attribute(uapi::kNetdevAttrPagePoolDmabuf, uint32_t{9})
          .get(),
      PoolReply(8).Attribute(uapi::kNetdevAttrPagePoolIfindex, uint32_t{4}).get(),
      PoolReply(9).get(),  // of an interface that is gone
      PoolReply(7)
          .Attribute(uapi::kNetdevAttrPagePoolIfindex, uint32_t{3})
          .Attribute(uapi::kNetdevAttrPagePoolNapiId, uint32_t{77})
          .Nest(uapi::kNetdevAttrPagePoolIoUring,
                Bytes().Attribute(uapi::kNetdevAttrIoUringRxBufLen, uint32_t{4096}))
          .get(),
  };
  const auto pools = ParsePagePools(replies, 3);
  ASSERT_TRUE(pools.ok()) << pools.status();
  ASSERT_EQ(pools->size(), 2u);
  EXPECT_EQ((*pools)[0].id, 7u);
  EXPECT_EQ((*pools)[0].napi_id, 77u);
  EXPECT_TRUE((*pools)[0].io_uring);
  EXPECT_EQ((*pools)[0].io_uring_buffer_bytes, 4096u);
  EXPECT_EQ((*pools)[0].inflight, std::nullopt);
  EXPECT_EQ((*pools)[1].id, uint64_t{1} << 33);
  EXPECT_EQ((*pools)[1].napi_id, std::nullopt);
  EXPECT_FALSE((*pools)[1].io_uring);
  EXPECT_EQ((*pools)[1].inflight, 5u);
  EXPECT_EQ((*pools)[1].inflight_bytes, uint64_t{1} << 40);
  EXPECT_EQ((*pools)[1].detached_at_seconds, 86400u);
  EXPECT_EQ((*pools)[1].dmabuf, 9u);
  EXPECT_EQ(ParsePagePools(replies, std::nullopt)->size(), 4u);
}

Bytes PoolStatsReply(uint32_t id) {
  return Generic().Nest(uapi::kNetdevAttrPagePoolStatsInfo,
                        Bytes().Attribute(uapi::kNetdevAttrPagePoolId, id));
}

TEST(Messages, CountersOfPagePools) {
  std::vector<PagePool> pools(2);
  pools[0].id = 7;
  pools[1].id = 8;
  const absl::Status status = AddPagePoolStats(
      {PoolStatsReply(9).Attribute(uapi::kNetdevAttrPagePoolStatsAllocFast, uint32_t{1}).get(),
       PoolStatsReply(8)
           .Attribute(uapi::kNetdevAttrPagePoolStatsAllocFast, uint64_t{2})
           .Attribute(uapi::kNetdevAttrPagePoolStatsRecycleReleasedRefcnt, uint32_t{3})
           .get()},
      pools);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(pools[0].stats.alloc_fast, std::nullopt);
  EXPECT_EQ(pools[1].stats.alloc_fast, 2u);
  EXPECT_EQ(pools[1].stats.recycle_released_refcnt, 3u);
  EXPECT_EQ(pools[1].stats.alloc_slow, std::nullopt);
}

// Every parser, asked whether it takes a reply.
struct Parser {
  const char* name;
  std::function<bool(const Payload&)> takes;
  Bytes good;  // as long as it can be cut anywhere
};

std::vector<Parser> Parsers() {
  ifinfomsg header = {};
  std::vector<Parser> parsers = {
      {"link", [](const Payload& reply) { return ParseLink(reply).ok(); },
       Bytes().Raw(header).Attribute(IFLA_MTU, uint32_t{1500})},
      {"channels", [](const Payload& reply) { return ParseChannels(reply).ok(); },
       Generic().Attribute(ETHTOOL_A_CHANNELS_RX_COUNT, uint32_t{2})},
      {"features", [](const Payload& reply) { return ParseFeatures(reply).ok(); },
       Generic().Nest(ETHTOOL_A_FEATURES_HW, SetBits({"highdma"}))},
      {"rings", [](const Payload& reply) { return ParseRings(reply).ok(); },
       Generic().Attribute(ETHTOOL_A_RINGS_RX, uint32_t{512})},
      {"RSS", [](const Payload& reply) { return ParseRss({reply}).ok(); }, RssReply({1, 2})},
      {"queue", [](const Payload& reply) { return ParseRxQueues({reply}).ok(); },
       QueueReply(1, uapi::kNetdevQueueTypeRx)},
      {"NAPI",
       [](const Payload& reply) {
         std::vector<RxQueue> queues(1);
         return AddNapis({reply}, queues).ok();
       },
       NapiReply(1)},
      {"queue counters",
       [](const Payload& reply) {
         std::vector<RxQueue> queues(1);
         return AddQueueStats({reply}, 3, queues).ok();
       },
       StatsReply(3, uapi::kNetdevQueueTypeRx, 0)},
      {"page pool", [](const Payload& reply) { return ParsePagePools({reply}, 3).ok(); }, PoolReply(1)},
      {"page pool counters",
       [](const Payload& reply) {
         std::vector<PagePool> pools(1);
         return AddPagePoolStats({reply}, pools).ok();
       },
       PoolStatsReply(1)},
  };
  return parsers;
}

TEST(Messages, TruncatedRepliesAreErrors) {
  for (const Parser& parser : Parsers()) {
    const Payload& good = parser.good.get();
    EXPECT_TRUE(parser.takes(good)) << parser.name;
    // An attribute that is cut off wholly is one that is missing: so only within the first.
    const size_t begin = parser.name == std::string("link") ? sizeof(ifinfomsg) : sizeof(genlmsghdr);
    nlattr first;
    memcpy(&first, good.data() + begin, sizeof(first));
    for (size_t size = 0; size < begin + first.nla_len; ++size) {
      if (size == begin) continue;
      const Payload part(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_FALSE(parser.takes(part)) << parser.name << ", " << size << " bytes";
    }
  }
}

TEST(Messages, AttributesOfFutureKernelsAreSkipped) {
  for (Parser& parser : Parsers()) {
    parser.good.Attribute(4000, uint16_t{1}).Nest(4001, Bytes().Attribute(1, uint32_t{1}));
    EXPECT_TRUE(parser.takes(parser.good.get())) << parser.name;
  }
}

TEST(Messages, LyingAttributeLengthsAreErrors) {
  for (Parser& parser : Parsers()) {
    for (const uint16_t length : {0, 3, 5000}) {
      Bytes reply = parser.good;
      reply.Raw(nlattr{length, 4000});
      EXPECT_FALSE(parser.takes(reply.get())) << parser.name << ", " << length;
    }
  }
}

TEST(Messages, WrongSizesAreErrorsNotGuesses) {
  const auto wrong = [](const Bytes& start, int number, auto value) {
    return Bytes(start).Attribute(number, value).get();
  };
  const uint16_t two_bytes = 1;
  const uint32_t four_bytes = 1;
  const uint64_t too_large = uint64_t{1} << 32;
  const Bytes queue = QueueReply(1, uapi::kNetdevQueueTypeRx);
  const Bytes stats = StatsReply(3, uapi::kNetdevQueueTypeRx, 0);
  std::vector<RxQueue> queues(1);
  std::vector<PagePool> pools(1);
  EXPECT_FALSE(ParseChannels(wrong(Generic(), ETHTOOL_A_CHANNELS_RX_COUNT, two_bytes)).ok());
  EXPECT_FALSE(ParseRings(wrong(Generic(), ETHTOOL_A_RINGS_RX, two_bytes)).ok());
  EXPECT_FALSE(ParseRings(wrong(Generic(), ETHTOOL_A_RINGS_TCP_DATA_SPLIT, four_bytes)).ok());
  EXPECT_FALSE(ParseRss({wrong(Generic(), uapi::kEthtoolAttrRssIndir, two_bytes)}).ok());
  EXPECT_FALSE(ParseRxQueues({wrong(Generic(), uapi::kNetdevAttrQueueId, two_bytes)}).ok());
  EXPECT_FALSE(ParseRxQueues({wrong(queue, uapi::kNetdevAttrQueueNapiId, too_large)}).ok());
  EXPECT_FALSE(AddNapis({wrong(NapiReply(1), uapi::kNetdevAttrNapiIrq, two_bytes)}, queues).ok());
  EXPECT_FALSE(AddQueueStats({wrong(stats, uapi::kNetdevAttrQstatsRxBytes, two_bytes)}, 3, queues).ok());
  EXPECT_FALSE(ParsePagePools({wrong(PoolReply(1), uapi::kNetdevAttrPagePoolInflight, two_bytes)}, 3).ok());
  EXPECT_FALSE(
      AddPagePoolStats({wrong(PoolStatsReply(1), uapi::kNetdevAttrPagePoolStatsAllocFast, two_bytes)}, pools)
          .ok());
  // Also within a nest.
  const Bytes provider = Bytes().Attribute(uapi::kNetdevAttrIoUringRxBufLen, two_bytes);
  EXPECT_FALSE(ParseRxQueues({Bytes(queue).Nest(uapi::kNetdevAttrQueueIoUring, provider).get()}).ok());
  EXPECT_FALSE(ParsePagePools({PoolReply(1).Nest(uapi::kNetdevAttrPagePoolIoUring, provider).get()}, 3).ok());
}

TEST(Messages, RepliesThatDoNotSayOfWhatAreErrors) {
  std::vector<RxQueue> queues(1);
  std::vector<PagePool> pools(1);
  const std::vector<Payload> nothing = {Generic().get()};
  EXPECT_FALSE(ParseRxQueues(nothing).ok());
  EXPECT_FALSE(AddNapis(nothing, queues).ok());
  EXPECT_FALSE(AddQueueStats(nothing, 3, queues).ok());
  EXPECT_FALSE(ParsePagePools(nothing, 3).ok());
  EXPECT_FALSE(AddPagePoolStats(nothing, pools).ok());
}

}  // namespace
}  // namespace zcrx::netdev
