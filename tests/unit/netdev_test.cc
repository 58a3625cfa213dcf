// SPDX-License-Identifier: Apache-2.0
//
// lib/netdev asked about what any machine has: the loopback interface.
#include <gtest/gtest.h>
#include <sched.h>

#include <cerrno>
#include <string>
#include <thread>

#include "lib/netdev/channels.h"
#include "lib/netdev/feature_flags.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "zcrx/netdev.h"
#include "zcrx/status.h"

namespace zcrx::netdev {
namespace {

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

TEST(Interface, IsListed) {
  const auto interfaces = ListInterfaces();
  ASSERT_TRUE(interfaces.ok()) << interfaces.status();
  ASSERT_FALSE(interfaces->empty());
  EXPECT_EQ(interfaces->front().name, "lo");
  EXPECT_GT(interfaces->front().mtu, 1500u);
  for (size_t i = 1; i < interfaces->size(); ++i) {
    EXPECT_GT((*interfaces)[i].index, (*interfaces)[i - 1].index);
  }
}

TEST(Interface, WhatLoopbackCannotDoIsAbsentOrRefused) {
  const auto lo = FindInterface("lo");
  ASSERT_TRUE(lo.ok()) << lo.status();
  const auto nic = ReadNic("lo");
  ASSERT_TRUE(nic.ok()) << nic.status();
  EXPECT_EQ(nic->interface.name, "lo");
  EXPECT_EQ(nic->interface.device, "");
  EXPECT_EQ(nic->channels.has_value(), false);
  EXPECT_EQ(nic->rings.header_split, HeaderSplit::kUnknown);
  EXPECT_EQ(nic->rings.rx, std::nullopt);
  EXPECT_TRUE(nic->rules.empty());
  EXPECT_TRUE(nic->rss.empty());
  for (const RxQueue& queue : nic->rx_queues) EXPECT_FALSE(queue.io_uring);
  EXPECT_TRUE(nic->page_pools.empty());
  // Every kernel with netlink for ethtool knows these features.
  if (nic->features.ntuple_filters.has_value()) {
    EXPECT_TRUE(nic->features.ntuple_filters->fixed);
    EXPECT_FALSE(nic->features.ntuple_filters->on);
  }

  for (const absl::Status& status :
       {SetHeaderSplit(*lo, true), SpreadRss(*lo, 1), SetRssTable(*lo, {0}), AddRssContext(*lo, {0}).status(),
        RemoveRssContext(*lo, 0), RemoveRssContext(*lo, 1), SetChannels(*lo, {.combined = 1}),
        SetNtupleFilters(*lo, true), RemoveRule(*lo, 0), AddTcpRule(*lo, {.local_port = 5001}).status()}) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(std::string(status.message()).find("lo"), std::string::npos) << status;
  }
  EXPECT_EQ(AddTcpRule(*lo, {.local_port = 5001, .rx_queue = 1}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AddTcpRule(*lo, {.local_port = 0}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SpreadRss(*lo, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SpreadRss(*lo, 2).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace zcrx::netdev
