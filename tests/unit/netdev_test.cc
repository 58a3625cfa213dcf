// SPDX-License-Identifier: Apache-2.0
//
// lib/netdev: what it makes of replies, also of ones no kernel would send, and
// the little that can be asked of any machine (the loopback interface).
#include <gtest/gtest.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "lib/netdev/interface.h"
#include "lib/netdev/messages.h"
#include "lib/netdev/netlink.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "lib/uapi/netlink.h"
#include "zcrx/status.h"

namespace zcrx::netdev {
namespace {

// Bytes of messages and attributes, padded as netlink pads them.
class Bytes {
 public:
  template <typename T>
  Bytes& Raw(const T& value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), begin, begin + sizeof(value));
    return Pad();
  }
  Bytes& Attribute(int type, const void* data, size_t size) {
    Raw(nlattr{static_cast<uint16_t>(sizeof(nlattr) + size), static_cast<uint16_t>(type)});
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
    return Pad();
  }
  template <typename T>
  Bytes& Attribute(int type, T value) {
    return Attribute(type, &value, sizeof(value));
  }
  Bytes& Text(int type, const std::string& text) { return Attribute(type, text.c_str(), text.size() + 1); }
  Bytes& Nest(int type, const Bytes& inner) {
    return Attribute(type | NLA_F_NESTED, inner.bytes_.data(), inner.bytes_.size());
  }
  Bytes& Message(uint16_t type, uint16_t flags, uint32_t sequence, const Bytes& payload) {
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + payload.bytes_.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    header.nlmsg_seq = sequence;
    Raw(header);
    bytes_.insert(bytes_.end(), payload.bytes_.begin(), payload.bytes_.end());
    return *this;
  }
  const Payload& get() const { return bytes_; }

 private:
  Bytes& Pad() {
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
  }
  Payload bytes_;
};

Bytes Generic() { return Bytes().Raw(genlmsghdr{1, 1, 0}); }

nlmsgerr Error(int error) {
  nlmsgerr message = {};
  message.error = -error;
  message.msg.nlmsg_len = NLMSG_HDRLEN;
  return message;
}

constexpr uint16_t kSomeType = 0x20;

TEST(Answer, CollectsOnlyItsOwnSequence) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, 0, 6, Bytes().Raw(uint32_t{1}));  // left over
  datagram.Message(kSomeType, 0, 7, Bytes().Raw(uint32_t{2}));
  datagram.Message(NLMSG_ERROR, 0, 6, Bytes().Raw(Error(EPERM)));  // left over
  AddToAnswer(datagram.get(), 7, answer);
  EXPECT_FALSE(answer.complete);
  ASSERT_EQ(answer.replies.size(), 1u);
  EXPECT_EQ(answer.replies[0], Bytes().Raw(uint32_t{2}).get());
  AddToAnswer(Bytes().Message(NLMSG_ERROR, 0, 7, Bytes().Raw(Error(0))).get(), 7, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, 0);
}

TEST(Answer, PassesOnTheKernelsWords) {
  Bytes payload = Bytes().Raw(Error(EINVAL)).Text(NLMSGERR_ATTR_MSG, "no: the queue is on holiday");
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, payload).get(), 1, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, EINVAL);
  EXPECT_EQ(answer.kernel_text, "no: the queue is on holiday");
}

TEST(Answer, FindsTheWordsBehindAnEchoedRequest) {
  nlmsgerr error = Error(EINVAL);
  error.msg.nlmsg_len = NLMSG_HDRLEN + 8;
  Bytes payload = Bytes().Raw(error).Raw(uint64_t{0}).Text(NLMSGERR_ATTR_MSG, "because");
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, payload).get(), 1, answer);
  EXPECT_EQ(answer.kernel_text, "because");
}

TEST(Answer, SurvivesAnEchoLengthThatLies) {
  nlmsgerr error = Error(EINVAL);
  error.msg.nlmsg_len = 0xfffffff0;
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, Bytes().Raw(error)).get(), 1, answer);
  EXPECT_EQ(answer.error, EINVAL);
  EXPECT_EQ(answer.kernel_text, "");
}

TEST(Answer, DumpEndsWithItsError) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, NLM_F_MULTI, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_DONE, NLM_F_MULTI, 1, Bytes().Raw(int32_t{-EOPNOTSUPP}));
  AddToAnswer(datagram.get(), 1, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, EOPNOTSUPP);
}

TEST(Answer, NoticesAnInterruptedDump) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, NLM_F_MULTI | NLM_F_DUMP_INTR, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_DONE, NLM_F_MULTI, 1, Bytes().Raw(int32_t{0}));
  AddToAnswer(datagram.get(), 1, answer);
  EXPECT_TRUE(answer.interrupted);
  EXPECT_EQ(answer.error, 0);
}

TEST(Answer, EveryTruncationIsAnErrorOrIncomplete) {
  Bytes datagram;
  datagram.Message(kSomeType, 0, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_ERROR, 0, 1, Bytes().Raw(Error(0)));
  for (size_t size = 0; size < datagram.get().size(); ++size) {
    const Payload part(datagram.get().begin(), datagram.get().begin() + static_cast<ptrdiff_t>(size));
    Answer answer;
    AddToAnswer(part, 1, answer);
    if (answer.complete) {
      EXPECT_EQ(answer.error, EBADMSG) << size;
    }
  }
}

TEST(Messages, Link) {
  ifinfomsg header = {};
  header.ifi_index = 12;
  header.ifi_flags = IFF_UP;
  Bytes reply = Bytes().Raw(header);
  reply.Text(IFLA_IFNAME, "a0");
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
  EXPECT_EQ(link->parent_bus, "pci");
  EXPECT_EQ(link->parent_device, "0000:03:00.0");
}

TEST(Messages, ChannelsCountCombinedAndReceiveOnly) {
  Bytes reply = Generic();
  reply.Attribute(ETHTOOL_A_CHANNELS_RX_COUNT, uint32_t{2});
  reply.Attribute(ETHTOOL_A_CHANNELS_TX_COUNT, uint32_t{100});
  reply.Attribute(ETHTOOL_A_CHANNELS_COMBINED_COUNT, uint32_t{4});
  EXPECT_EQ(*ParseRxChannels(reply.get()), 6u);
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

Bytes QueueReply(uint32_t id, uint32_t type) {
  return Generic()
      .Attribute(uapi::kNetdevAttrQueueId, id)
      .Attribute(uapi::kNetdevAttrQueueType, type)
      .Attribute(uapi::kNetdevAttrQueueIfindex, uint32_t{3});
}

TEST(Messages, QueueOwners) {
  auto queue = ParseRxQueue(QueueReply(1, uapi::kNetdevQueueTypeRx).get());
  ASSERT_TRUE(queue.ok() && queue->has_value());
  EXPECT_EQ((*queue)->id, 1u);
  EXPECT_FALSE((*queue)->io_uring || (*queue)->xdp_socket || (*queue)->leased ||
               (*queue)->dmabuf.has_value());

  // 6.15 sends an empty nest, 7.0 says how large the buffers are.
  queue = ParseRxQueue(
      QueueReply(1, uapi::kNetdevQueueTypeRx).Nest(uapi::kNetdevAttrQueueIoUring, Bytes()).get());
  ASSERT_TRUE(queue.ok() && queue->has_value());
  EXPECT_TRUE((*queue)->io_uring);
  EXPECT_EQ((*queue)->io_uring_buffer_bytes, std::nullopt);
  Bytes reply = QueueReply(1, uapi::kNetdevQueueTypeRx);
  reply.Attribute(uapi::kNetdevAttrQueueNapiId, uint32_t{77});
  reply.Nest(uapi::kNetdevAttrQueueIoUring,
             Bytes().Attribute(uapi::kNetdevAttrIoUringRxBufLen, uint32_t{4096}));
  queue = ParseRxQueue(reply.get());
  ASSERT_TRUE(queue.ok() && queue->has_value());
  EXPECT_EQ((*queue)->io_uring_buffer_bytes, 4096u);
  EXPECT_EQ((*queue)->napi_id, 77u);

  queue =
      ParseRxQueue(QueueReply(1, uapi::kNetdevQueueTypeRx).Attribute(uapi::kNetdevAttrQueueDmabuf, 5u).get());
  ASSERT_TRUE(queue.ok() && queue->has_value());
  EXPECT_EQ((*queue)->dmabuf, 5u);
  queue =
      ParseRxQueue(QueueReply(1, uapi::kNetdevQueueTypeRx).Nest(uapi::kNetdevAttrQueueXsk, Bytes()).get());
  ASSERT_TRUE(queue.ok() && queue->has_value());
  EXPECT_TRUE((*queue)->xdp_socket);

  queue = ParseRxQueue(QueueReply(1, uapi::kNetdevQueueTypeTx).get());
  ASSERT_TRUE(queue.ok());
  EXPECT_FALSE(queue->has_value());
}

TEST(Messages, ShortAttributesAreErrorsNotGuesses) {
  const uint16_t two_bytes = 1;
  EXPECT_FALSE(ParseRings(Generic().Attribute(ETHTOOL_A_RINGS_RX, two_bytes).get()).ok());
  EXPECT_FALSE(ParseRxChannels(Generic().Attribute(ETHTOOL_A_CHANNELS_RX_COUNT, two_bytes).get()).ok());
  EXPECT_FALSE(ParseRxQueue(Generic().Attribute(uapi::kNetdevAttrQueueId, two_bytes).get()).ok());
  EXPECT_FALSE(ParseRxQueue(Generic().get()).ok());
  EXPECT_FALSE(ParseRings({}).ok());
  EXPECT_FALSE(ParseLink(Generic().get()).ok());
}

TEST(Interface, Loopback) {
  const auto lo = FindInterface("lo");
  ASSERT_TRUE(lo.ok()) << lo.status();
  EXPECT_EQ(lo->name, "lo");
  EXPECT_EQ(lo->index, 1u);
  EXPECT_EQ(lo->rx_queues, 1u);
  EXPECT_EQ(lo->numa_node, std::nullopt);
  EXPECT_FALSE(lo->xdp_attached);
}

TEST(Interface, UnknownNamesAreNotFoundAndNamed) {
  const std::string names[] = {"nosuch0", "an-alternative-name-longer-than-fifteen", std::string(500, 'x'),
                               ""};
  for (const std::string& name : names) {
    const auto interface = FindInterface(name);
    EXPECT_EQ(interface.status().code(), absl::StatusCode::kNotFound) << interface.status();
    EXPECT_EQ(ErrnoOf(interface.status()), ENODEV);
    const std::string text(interface.status().message());
    EXPECT_NE(text.find('"' + name + '"'), std::string::npos) << text;
    EXPECT_NE(text.find("network namespace"), std::string::npos) << text;
  }
}

TEST(Interface, IsOfTheCallingThreadsNamespace) {
  std::thread([] {
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no right to make a network namespace";
    const auto lo = FindInterface("lo");
    ASSERT_TRUE(lo.ok()) << lo.status();
    EXPECT_FALSE(lo->up);  // a new namespace's loopback is down
  }).join();
}

TEST(Interface, WhatLoopbackCannotDoIsAbsentOrRefused) {
  const auto lo = FindInterface("lo");
  ASSERT_TRUE(lo.ok()) << lo.status();
  const auto rings = GetRings(*lo);
  ASSERT_TRUE(rings.ok()) << rings.status();
  EXPECT_EQ(rings->header_split, HeaderSplit::kUnknown);
  EXPECT_EQ(rings->rx, std::nullopt);
  const auto rules = ListRules(*lo);
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_TRUE(rules->empty());
  const auto table = GetRssTable(*lo);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(table->empty());
  const auto queues = GetRxQueues(*lo);
  ASSERT_TRUE(queues.ok()) << queues.status();
  for (const RxQueue& queue : *queues) EXPECT_FALSE(queue.io_uring);

  for (const absl::Status& status : {SetHeaderSplit(*lo, true), SpreadRss(*lo, 1),
                                     AddTcpPortRule(*lo, IpFamily::kIpv4, 5001, 0).status()}) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(std::string(status.message()).find("lo"), std::string::npos) << status;
  }
  EXPECT_EQ(AddTcpPortRule(*lo, IpFamily::kIpv4, 5001, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AddTcpPortRule(*lo, IpFamily::kIpv4, 0, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SpreadRss(*lo, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SpreadRss(*lo, 2).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace zcrx::netdev
