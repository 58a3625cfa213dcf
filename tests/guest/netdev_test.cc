// SPDX-License-Identifier: Apache-2.0
//
// ReadNic() and what sets up a NIC, on the test NIC: compared with what ip and
// ethtool say, and with what was just set.
#include <linux/capability.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/netdev/channels.h"
#include "lib/netdev/feature_flags.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "tests/guest/guest.h"
#include "tests/guest/raw_ring.h"
#include "zcrx/netdev.h"
#include "zcrx/status.h"

namespace zcrx {
namespace {

// What a command prints.
std::string OutputOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "re"), pclose);
  std::string output;
  std::array<char, 4096> block;
  while (const size_t size = fread(block.data(), 1, block.size(), pipe.get())) {
    output.append(block.data(), size);
  }
  EXPECT_FALSE(output.empty()) << command;
  return output;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

netdev::NicState Nic() {
  const auto nic = netdev::ReadNic(InterfaceA());
  EXPECT_TRUE(nic.ok()) << nic.status();
  return nic.ok() ? *nic : netdev::NicState();
}

netdev::Interface NicInterface() { return Nic().interface; }

std::optional<netdev::Rule> FindRule(uint32_t id) {
  for (const netdev::Rule& rule : Nic().rules) {
    if (rule.id == id) return rule;
  }
  return std::nullopt;
}

// A context all of whose entries are `queue`.
uint32_t AddContext(uint32_t queue) {
  const size_t entries = Nic().rss.at(0).table.size();
  const auto context = netdev::AddRssContext(NicInterface(), std::vector<uint32_t>(entries, queue));
  EXPECT_TRUE(context.ok()) << context.status();
  return context.value_or(0);
}

using NetdevTest = NicTest;

TEST_F(NetdevTest, InterfaceIsAsIpSays) {
  const netdev::Interface interface = NicInterface();
  const std::string ip = OutputOf("ip -j -d link show " + InterfaceA());
  EXPECT_TRUE(Contains(ip, "\"ifindex\":" + std::to_string(interface.index) + ",")) << ip;
  EXPECT_TRUE(Contains(ip, "\"mtu\":" + std::to_string(interface.mtu) + ",")) << ip;
  EXPECT_TRUE(Contains(ip, "\"parentbus\":\"" + interface.bus + "\"")) << ip;
  EXPECT_TRUE(Contains(ip, "\"parentdev\":\"" + interface.device + "\"")) << ip;
  EXPECT_TRUE(interface.up);
  EXPECT_FALSE(interface.xdp_attached);
  EXPECT_EQ(interface.driver, "netdevsim");
  EXPECT_EQ(interface.rx_queues, 4u);

  const auto all = netdev::ListInterfaces();
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_GE(all->size(), 2u);
  EXPECT_EQ(all->front().name, "lo");
  EXPECT_EQ(all->back().name, InterfaceA());
}

TEST_F(NetdevTest, XdpIsSeen) {
  const Fd attached(AttachXdp(InterfaceA()));
  ASSERT_GE(attached.get(), 0);
  EXPECT_TRUE(NicInterface().xdp_attached);
}

TEST_F(NetdevTest, ReadsWithoutPrivileges) {
  const netdev::NicState as_root = Nic();
  std::thread([&as_root] {
    EnterNamespace("a");
    DropCapability(CAP_NET_ADMIN);
    const netdev::NicState nic = Nic();
    EXPECT_EQ(nic.rx_queues.size(), as_root.rx_queues.size());
    EXPECT_EQ(nic.rules.size(), as_root.rules.size());
    EXPECT_EQ(nic.rss.size(), as_root.rss.size());
    EXPECT_EQ(nic.page_pools.size(), as_root.page_pools.size());
    EXPECT_EQ(ErrnoOf(netdev::SetNtupleFilters(nic.interface, true)), EPERM);
  }).join();
}

TEST_F(NetdevTest, Channels) {
  const netdev::NicState before = Nic();
  ASSERT_TRUE(before.channels.has_value());
  EXPECT_EQ(before.channels->combined.count, 4u);
  EXPECT_GE(before.channels->combined.max, 4u);
  EXPECT_EQ(before.channels->rx.max, 0u);

  // Fewer than a rule or the RSS table needs are refused.
  ASSERT_TRUE(netdev::SetChannels(before.interface, {.combined = 3}).ok());
  const netdev::NicState fewer = Nic();
  EXPECT_EQ(fewer.channels->combined.count, 3u);
  EXPECT_EQ(fewer.interface.rx_queues, 3u);
  EXPECT_EQ(fewer.rx_queues.size(), 3u);
  EXPECT_TRUE(netdev::SetChannels(before.interface, {.combined = 4}).ok());
  EXPECT_EQ(Nic().channels->combined.count, 4u);

  // In the kernel's own words.
  const absl::Status status = netdev::SetChannels(before.interface, {.combined = 1000});
  EXPECT_EQ(ErrnoOf(status), EINVAL);
  EXPECT_TRUE(Contains(std::string(status.message()), "requested channel count exceeds maximum")) << status;
}

TEST_F(NetdevTest, Rings) {
  const netdev::RingSettings rings = Nic().rings;
  EXPECT_EQ(rings.header_split, netdev::HeaderSplit::kEnabled);
  EXPECT_EQ(rings.header_split_threshold.value_or(0), 0u);
  ASSERT_TRUE(netdev::SetHeaderSplit(NicInterface(), false).ok());
  EXPECT_EQ(Nic().rings.header_split, netdev::HeaderSplit::kDisabled);
  ASSERT_TRUE(netdev::SetHeaderSplit(NicInterface(), true).ok());
  EXPECT_EQ(Nic().rings.header_split, netdev::HeaderSplit::kEnabled);
}

TEST_F(NetdevTest, FeaturesAreAsEthtoolSays) {
  const netdev::Features features = Nic().features;
  ASSERT_TRUE(features.ntuple_filters.has_value());
  ASSERT_TRUE(features.rx_gro_hw.has_value());
  const std::string ethtool = OutputOf("ethtool -k " + InterfaceA());
  EXPECT_TRUE(features.ntuple_filters->on);
  EXPECT_FALSE(features.ntuple_filters->fixed);
  EXPECT_TRUE(Contains(ethtool, "ntuple-filters: on\n")) << ethtool;
  EXPECT_FALSE(features.rx_gro_hw->on);
  EXPECT_EQ(features.rx_gro_hw->fixed, Contains(ethtool, "rx-gro-hw: off [fixed]\n")) << ethtool;
}

// On the peer's interface, which has no rules to lose.
TEST_F(NetdevTest, NtupleFiltersGoOffAndOn) {
  std::thread([] {
    EnterNamespace("b");
    const auto interfaces = netdev::ListInterfaces();
    ASSERT_TRUE(interfaces.ok()) << interfaces.status();
    const netdev::Interface& interface = interfaces->back();
    for (const bool on : {false, true}) {
      const absl::Status status = netdev::SetNtupleFilters(interface, on);
      EXPECT_TRUE(status.ok()) << status;
      const auto features = netdev::GetFeatures(interface);
      ASSERT_TRUE(features.ok() && features->ntuple_filters.has_value());
      EXPECT_EQ(features->ntuple_filters->on, on);
      const auto added = netdev::AddTcpRule(interface, {.local_port = 6001, .rx_queue = 1});
      EXPECT_EQ(added.ok(), on) << added.status();
      if (added.ok()) {
        EXPECT_TRUE(netdev::RemoveRule(interface, *added).ok());
      } else {
        EXPECT_TRUE(Contains(std::string(added.status().message()), "ntuple on")) << added.status();
      }
    }
  }).join();
}

TEST_F(NetdevTest, Rss) {
  const std::vector<netdev::RssContext> before = Nic().rss;
  ASSERT_EQ(before.size(), 1u);
  EXPECT_EQ(before[0].id, 0u);
  EXPECT_EQ(before[0].hash_function, "toeplitz");
  EXPECT_FALSE(before[0].hash_key.empty());

  std::vector<uint32_t> table = before[0].table;
  ASSERT_GT(table.size(), 3u);
  table[1] = 3;
  ASSERT_TRUE(netdev::SetRssTable(NicInterface(), table).ok());
  EXPECT_EQ(Nic().rss.at(0).table, table);
  EXPECT_EQ(Nic().rss.at(0).hash_key, before[0].hash_key);
  table[0] = 100;
  EXPECT_EQ(ErrnoOf(netdev::SetRssTable(NicInterface(), table)), EINVAL);
  EXPECT_TRUE(netdev::SetRssTable(NicInterface(), before[0].table).ok());
}

TEST_F(NetdevTest, RssContexts) {
  const size_t entries = Nic().rss.at(0).table.size();
  const uint32_t context = AddContext(2);
  const std::vector<netdev::RssContext> two = Nic().rss;
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].id, context);
  EXPECT_EQ(two[1].table, std::vector<uint32_t>(entries, 2));
  EXPECT_TRUE(netdev::RemoveRssContext(NicInterface(), context).ok());
  EXPECT_EQ(ErrnoOf(netdev::RemoveRssContext(NicInterface(), context)), ENOENT);
  EXPECT_EQ(Nic().rss.size(), 1u);
}

TEST_F(NetdevTest, RulesAtAPlaceAndIntoAContext) {
  const uint32_t context = AddContext(2);
  const netdev::TcpRule wanted = {
      .family = netdev::IpFamily::kIpv6, .local_port = 6001, .rx_queue = 0, .rss_context = context, .id = 11};
  const auto id = netdev::AddTcpRule(NicInterface(), wanted);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, 11u);
  const auto rule = FindRule(11);
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->tcp, netdev::IpFamily::kIpv6);
  EXPECT_EQ(rule->local_port, 6001);
  EXPECT_EQ(rule->rx_queue, 0u);
  EXPECT_EQ(rule->rss_context, context);
  EXPECT_FALSE(rule->narrower);
  EXPECT_EQ(ErrnoOf(netdev::AddTcpRule(NicInterface(), wanted).status()), EEXIST);
  EXPECT_TRUE(netdev::RemoveRule(NicInterface(), 11).ok());
  EXPECT_FALSE(FindRule(11).has_value());
  EXPECT_TRUE(netdev::RemoveRssContext(NicInterface(), context).ok());
}

TEST_F(NetdevTest, RulesOfEthtool) {
  Shell("ethtool -N " + InterfaceA() +
        " flow-type tcp4 src-ip 10.0.0.2 dst-ip 10.0.0.1 src-port 40000 dst-port 6001 action 2 loc 12");
  const auto rule = FindRule(12);
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->tcp, netdev::IpFamily::kIpv4);
  EXPECT_EQ(rule->local_port, 6001);
  EXPECT_EQ(rule->remote_port, 40000);
  EXPECT_EQ(rule->local_address, "10.0.0.1");
  EXPECT_EQ(rule->remote_address, "10.0.0.2");
  EXPECT_TRUE(rule->narrower);
  EXPECT_EQ(rule->rx_queue, 2u);
  EXPECT_TRUE(netdev::RemoveRule(NicInterface(), 12).ok());
}

TEST_F(NetdevTest, QueuesAndTheirPagePools) {
  const netdev::NicState nic = Nic();
  ASSERT_EQ(nic.rx_queues.size(), 4u);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(nic.rx_queues[i].id, i);
    ASSERT_TRUE(nic.rx_queues[i].napi.has_value());
    EXPECT_NE(nic.rx_queues[i].napi->id, 0u);
    EXPECT_EQ(nic.rx_queues[i].napi->irq, std::nullopt);  // the test NIC has none
    EXPECT_TRUE(nic.rx_queues[i].stats.packets.has_value());
  }
  EXPECT_GE(nic.page_pools.size(), 4u);
}

TEST_F(NetdevTest, ARegistrationIsSeen) {
  const RawRing ring;
  Registration registration(1024);
  registration.UseNic();
  ASSERT_EQ(registration.Register(ring), 0);
  const netdev::NicState nic = Nic();
  const netdev::RxQueue& queue = nic.rx_queues.at(kZeroCopyQueue);
  EXPECT_TRUE(queue.io_uring);
  EXPECT_EQ(queue.io_uring_buffer_bytes, 4096u);
  EXPECT_FALSE(nic.rx_queues.at(0).io_uring);

  // Those of tests before may not be gone yet, but are detached.
  const netdev::PagePool* owned = nullptr;
  for (const netdev::PagePool& pool : nic.page_pools) {
    if (pool.io_uring && !pool.detached_at_seconds.has_value()) owned = &pool;
  }
  ASSERT_NE(owned, nullptr);
  EXPECT_EQ(owned->io_uring_buffer_bytes, 4096u);
  ASSERT_TRUE(owned->inflight.has_value());
  EXPECT_EQ(owned->inflight_bytes, *owned->inflight * 4096);
  // 6.12 knows it only if the driver had a NAPI when it made the pool.
  ASSERT_TRUE(queue.napi.has_value());
  EXPECT_EQ(owned->napi_id.value_or(queue.napi->id), queue.napi->id);
}

TEST_F(NetdevTest, PacketsAreCounted) {
  // The test NIC puts all packets down to queue 0.
  const auto packets = [] { return Nic().rx_queues.at(0).stats.packets.value_or(0); };
  const uint64_t before = packets();
  Connection connection = ConnectByNic();
  ASSERT_TRUE(SendContent(connection.client.get(), 0, 100'000));
  connection.client.Close();
  EXPECT_EQ(ReceiveContent(connection.server.get()), 100'000);
  EXPECT_GT(packets(), before);
}

TEST_F(NetdevTest, WhileItIsDown) {
  Shell("ip link set " + InterfaceA() + " down");
  const netdev::NicState nic = Nic();
  EXPECT_FALSE(nic.interface.up);
  EXPECT_EQ(nic.interface.rx_queues, 4u);
  EXPECT_TRUE(nic.rx_queues.empty());
  EXPECT_EQ(nic.rings.header_split, netdev::HeaderSplit::kEnabled);
  Shell("ip link set " + InterfaceA() + " up");
}

}  // namespace
}  // namespace zcrx
