// SPDX-License-Identifier: Apache-2.0
//
// What zcrxctl's doctor makes of facts: each shortcoming by itself is found, with
// its command, and nothing is where there is none.
#include "tools/zcrxctl/findings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/zcrxctl/self.h"

namespace zcrx::ctl {
namespace {

constexpr char kSelf[] = "zcrxctl";

// Four queues, of which 2 and 3 get nothing but by rules; port 5001 goes to queue 2.
NicFacts Facts() {
  NicFacts facts;
  netdev::NicState& nic = facts.nic;
  nic.interface.name = "eth7";
  nic.interface.up = true;
  nic.interface.rx_queues = 4;
  nic.interface.driver = "bnxt_en";
  nic.interface.bus = "pci";
  nic.channels = netdev::Channels{.rx = {}, .tx = {}, .combined = {.count = 4, .max = 8}};
  nic.features.ntuple_filters = netdev::Feature{.on = true};
  nic.rings.header_split = netdev::HeaderSplit::kEnabled;
  nic.rings.header_split_threshold = 0;
  nic.rss.resize(1);
  nic.rss[0].table = {0, 1, 0, 1, 0, 1};
  for (uint32_t queue = 0; queue < 4; ++queue) nic.rx_queues.emplace_back().id = queue;
  netdev::Rule& rule = nic.rules.emplace_back();
  rule.id = 77;
  rule.tcp = netdev::IpFamily::kIpv4;
  rule.local_port = 5001;
  rule.rx_queue = 2;
  return facts;
}

Question Of(std::optional<uint32_t> queue = std::nullopt, std::optional<uint16_t> port = std::nullopt) {
  return {.interface = "eth7", .queue = queue, .port = port};
}

// "ID: FIX" of each finding.
std::vector<std::string> Found(const NicFacts& facts, const Question& question = Of()) {
  std::vector<std::string> found;
  for (const Finding& finding : JudgeNic(facts, question, kSelf)) {
    EXPECT_NE(finding.what.find("eth7"), std::string::npos) << finding.what;
    found.push_back(finding.id + ": " + finding.fix);
  }
  return found;
}

using List = std::vector<std::string>;

TEST(JudgeNicTest, NothingWhereNothingIsWrong) {
  EXPECT_EQ(Found(Facts()), List());
  EXPECT_EQ(Found(Facts(), Of(2, 5001)), List());
  EXPECT_EQ(Found(Facts(), Of(2)), List());
  EXPECT_EQ(Found(Facts(), Of(std::nullopt, 5001)), List());
}

TEST(JudgeNicTest, State) {
  NicFacts facts = Facts();
  facts.nic.interface.up = false;
  EXPECT_EQ(Found(facts), List{"interface-down: ip link set eth7 up"});
  facts = Facts();
  facts.nic.interface.xdp_attached = true;
  EXPECT_EQ(Found(facts), List{"xdp-attached: ip link set eth7 xdp off; ip link set eth7 xdpgeneric off"});
  facts = Facts();
  facts.reservations = {{.id = 1, .pid = 5, .alive = false, .rx_queues = {3}, .flows = {}}};
  EXPECT_EQ(Found(facts), List{"dead-reservation: zcrxctl restore eth7"});
  facts.reservations[0].alive = true;
  EXPECT_EQ(Found(facts), List());
}

TEST(JudgeNicTest, SplitAndFilters) {
  NicFacts facts = Facts();
  facts.nic.rings.header_split = netdev::HeaderSplit::kDisabled;
  EXPECT_EQ(Found(facts), List{"header-split-off: zcrxctl set-split eth7 on"});
  facts.nic.rings.header_split = netdev::HeaderSplit::kUnknown;
  EXPECT_EQ(Found(facts), List{"header-split-unknown: zcrxctl set-split eth7 on"});
  facts = Facts();
  facts.nic.rings.header_split_threshold = 256;
  EXPECT_EQ(Found(facts), List{"header-split-threshold: zcrxctl set-split eth7 on"});
  facts.nic.rings.header_split_threshold.reset();
  EXPECT_EQ(Found(facts), List()) << "kernels without a threshold";
  facts.nic.features.ntuple_filters->on = false;
  EXPECT_EQ(Found(facts), List{"ntuple-off: ethtool -K eth7 ntuple on"});
  facts.nic.features.ntuple_filters->fixed = true;
  EXPECT_EQ(Found(facts), List{"no-flow-rules: "});
}

TEST(JudgeNicTest, Channels) {
  NicFacts facts = Facts();
  facts.nic.interface.rx_queues = 1;
  EXPECT_EQ(Found(facts), List{"too-few-channels: ethtool -L eth7 combined 2"});
  facts.nic.channels = netdev::Channels{.rx = {.count = 1, .max = 4}, .tx = {}, .combined = {}};
  EXPECT_EQ(Found(facts), List{"too-few-channels: ethtool -L eth7 rx 2"});
  facts.nic.channels.reset();
  EXPECT_EQ(Found(facts), List{"too-few-channels: "});
  EXPECT_EQ(Found(Facts(), Of(7)), List{"no-such-queue: ethtool -L eth7 combined 8"});
  EXPECT_EQ(Found(Facts(), Of(8)), List{"no-such-queue: "});
  facts = Facts();
  for (netdev::RxQueue& queue : facts.nic.rx_queues) queue.io_uring = true;
  EXPECT_EQ(Found(facts), List{"no-free-queue: ethtool -L eth7 combined 5"});
}

TEST(JudgeNicTest, Owners) {
  for (const char* owner : {"io_uring", "dmabuf", "xsk", "lease"}) {
    NicFacts facts = Facts();
    netdev::RxQueue& queue = facts.nic.rx_queues[3];
    queue.io_uring = std::string(owner) == "io_uring";
    if (std::string(owner) == "dmabuf") queue.dmabuf = 1;
    queue.xdp_socket = std::string(owner) == "xsk";
    queue.leased = std::string(owner) == "lease";
    EXPECT_EQ(Found(facts), List()) << "others are free";
    EXPECT_EQ(Found(facts, Of(3)), List{"queue-owned: zcrxctl doctor eth7 --queue=2"});
    EXPECT_EQ(Found(facts, Of(3, 80)), List{"queue-owned: zcrxctl up eth7 --queues=1 --port=80"});
    EXPECT_EQ(JudgeQueues(facts)[3].words, std::string("has an owner: ") + owner);
  }
}

TEST(JudgeNicTest, Reservations) {
  NicFacts facts = Facts();
  facts.reservations = {
      {.id = 4, .pid = 5, .alive = true, .rx_queues = {3}, .flows = {{.port = 80, .address = ""}}}};
  EXPECT_EQ(Found(facts, Of(3)), List());
  EXPECT_EQ(Found(facts, Of(3, 81)), List{"queue-owned: zcrxctl up eth7 --queues=1 --port=81"});
  facts.nic.rules[0].local_port = 80;
  facts.nic.rules[0].rx_queue = 3;
  EXPECT_EQ(Found(facts, Of(3, 80)), List());
  facts.nic.rx_queues[3].io_uring = true;
  const auto findings = JudgeNic(facts, Of(3, 80), kSelf);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].what.find("process 5"), std::string::npos) << findings[0].what;
  EXPECT_EQ(findings[0].fix, "") << "another queue would want another rule for the port";
}

TEST(JudgeNicTest, Steering) {
  EXPECT_EQ(Found(Facts(), Of(2, 80)),
            List{"rule-missing: ethtool -N eth7 flow-type tcp4 dst-port 80 action 2 && "
                 "ethtool -N eth7 flow-type tcp6 dst-port 80 action 2"});
  EXPECT_EQ(Found(Facts(), Of(std::nullopt, 80)), List{"rule-missing: zcrxctl up eth7 --queues=1 --port=80"});
  EXPECT_EQ(Found(Facts(), Of(3, 5001)), List{"rule-elsewhere: ethtool -N eth7 delete 77 && ethtool -N eth7 "
                                              "flow-type tcp4 dst-port 5001 action 3"});
  NicFacts facts = Facts();
  facts.nic.rules[0].rx_queue.reset();
  EXPECT_EQ(Found(facts, Of(2, 5001)).size(), 1u) << "it drops";
}

TEST(JudgeNicTest, RulesIntoContexts) {
  NicFacts facts = Facts();
  netdev::RssContext& context = facts.nic.rss.emplace_back();
  context.id = 1;
  context.table = {2, 3, 2, 3};
  facts.nic.rules[0].rss_context = 1;
  facts.nic.rules[0].rx_queue = 0;
  EXPECT_EQ(Found(facts, Of(2, 5001)), List());
  EXPECT_EQ(Found(facts, Of(3, 5001)), List());
  EXPECT_EQ(Found(facts, Of(1, 5001)).size(), 2u) << "the rule goes elsewhere, and RSS spills";
}

TEST(JudgeNicTest, Spills) {
  NicFacts facts = Facts();
  facts.nic.rss[0].table = {0, 1, 2, 2};
  EXPECT_EQ(Found(facts), List()) << "nobody asked for that queue";
  EXPECT_EQ(Found(facts, Of(2)), List{"rss-spills: ethtool -X eth7 weight 1 1 0 0"});
  EXPECT_EQ(Found(facts, Of(std::nullopt, 5001)), List{"rss-spills: ethtool -X eth7 weight 1 1 0 0"});
  facts.nic.rss[0].table = {2, 2};
  EXPECT_EQ(Found(facts, Of(2)), List{"rss-spills: ethtool -X eth7 weight 1 0 0 0"});
  facts.nic.rss[0].table = {0};
  EXPECT_EQ(Found(facts, Of(0)), List{"rss-spills: ethtool -X eth7 weight 0 1 0 0"});
}

TEST(JudgeNicTest, InterfacesThatCannot) {
  NicFacts facts = Facts();
  facts.nic.interface.bus.clear();
  facts.nic.interface.up = false;
  EXPECT_EQ(Found(facts), List{"no-dma-device: "});
  facts.better_interfaces = {"eth8", "eth9"};
  EXPECT_EQ(Found(facts, Of(1, 80)), List{"no-dma-device: zcrxctl doctor eth8 --queue=1 --port=80"});
  facts = Facts();
  facts.nic.interface.driver = "e1000e";
  EXPECT_EQ(Found(facts), List{"driver-unknown: "});
  EXPECT_EQ(JudgeMissing(Of(), {}, {"eth8"}, kSelf).fix, "zcrxctl doctor eth8");
  EXPECT_EQ(JudgeMissing(Of(), {"blue", "red"}, {"eth8"}, kSelf).fix,
            "ip netns exec blue zcrxctl doctor eth7");
}

TEST(JudgeNicTest, VerdictPerQueue) {
  NicFacts facts = Facts();
  facts.reservations = {{.id = 4, .pid = 5, .alive = true, .rx_queues = {3}, .flows = {}}};
  facts.nic.rx_queues[2].io_uring = true;
  const std::vector<QueueVerdict> verdicts = JudgeQueues(facts);
  ASSERT_EQ(verdicts.size(), 4u);
  EXPECT_EQ(verdicts[0].words, "RSS spills into it");
  EXPECT_TRUE(verdicts[0].free && !verdicts[0].good);
  EXPECT_EQ(verdicts[2].words, "has an owner: io_uring");
  EXPECT_EQ(verdicts[3].words, "can be had by the server of reservation 4");
  EXPECT_FALSE(verdicts[3].free);
  EXPECT_TRUE(JudgeQueues(Facts())[3].good);
}

// An interface may be called nearly anything.
TEST(JudgeNicTest, NamesAreQuotedInCommands) {
  NicFacts facts = Facts();
  facts.nic.interface.name = "e;reboot";
  facts.nic.interface.up = false;
  facts.nic.interface.xdp_attached = true;
  facts.nic.rings.header_split = netdev::HeaderSplit::kDisabled;
  facts.nic.features.ntuple_filters->on = false;
  facts.nic.rss[0].table = {2};
  facts.nic.rules.clear();
  facts.reservations = {{.id = 1, .pid = 5, .alive = false, .rx_queues = {3}, .flows = {}}};
  for (const Question& question : {Of(2, 80), Of(7), Of(std::nullopt, 80)}) {
    Question named = question;
    named.interface = facts.nic.interface.name;
    for (const Finding& finding : JudgeNic(facts, named, kSelf)) {
      std::string fix = finding.fix;
      for (size_t at = fix.find("'e;reboot'"); at != std::string::npos; at = fix.find("'e;reboot'"))
        fix.erase(at, 10);
      EXPECT_NE(fix, finding.fix);
      EXPECT_EQ(fix.find("reboot"), std::string::npos) << finding.fix;
    }
  }
}

Machine Able() {
  Machine machine;
  machine.features.io_uring = machine.features.defer_taskrun = machine.features.zero_copy_receive = true;
  machine.net_admin = machine.ipc_lock = machine.root = true;
  machine.memlock = 65536;
  machine.io_uring_disabled = 0;
  machine.parent = 99;
  return machine;
}

List Found(const Machine& machine) {
  List found;
  for (const Finding& finding : JudgeMachine(machine, Of(1), kSelf))
    found.push_back(finding.id + ": " + finding.fix);
  return found;
}

TEST(JudgeMachineTest, EachByItself) {
  EXPECT_EQ(Found(Able()), List());
  Machine machine = Able();
  machine.net_admin = false;
  EXPECT_EQ(Found(machine), List{"no-capability: su -c 'zcrxctl doctor eth7 --queue=1'"});
  machine = Able();
  machine.ipc_lock = false;
  EXPECT_EQ(Found(machine), List{"memlock-too-low: prlimit --pid=99 --memlock=unlimited"});
  machine.root = false;
  EXPECT_EQ(Found(machine), List{"memlock-too-low: su -c 'prlimit --pid=99 --memlock=unlimited'"});
  machine.memlock = uint64_t{1} << 30;
  EXPECT_EQ(Found(machine), List());
  machine.memlock.reset();
  EXPECT_EQ(Found(machine), List());
  machine = Able();
  machine.features = {};
  machine.io_uring_disabled = 2;
  EXPECT_EQ(Found(machine), List{"io-uring-disabled: sysctl -w kernel.io_uring_disabled=0"});
  machine.io_uring_disabled.reset();
  EXPECT_EQ(Found(machine), List{"kernel-too-old: "});
  machine = Able();
  machine.io_uring_disabled = 1;
  EXPECT_EQ(Found(machine), List()) << "it is not forbidden to us";
  machine.features.io_uring = false;
  EXPECT_EQ(Found(machine), List{"io-uring-disabled: sysctl -w kernel.io_uring_disabled=0"});
  machine = Able();
  machine.netdev_family = false;
  EXPECT_EQ(Found(machine), List{"no-netdev-family: "});
  machine = Able();
  machine.config_zcrx = false;
  EXPECT_EQ(Found(machine), List{"kernel-config: "});
}

TEST(MachineTest, Configuration) {
  const std::string text = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_IO=m\nCONFIG_BCD=\"y\"\n";
  EXPECT_FALSE(IsConfigured(text, "CONFIG_A"));
  EXPECT_TRUE(IsConfigured(text, "CONFIG_B"));
  EXPECT_TRUE(IsConfigured(text, "CONFIG_IO"));
  EXPECT_FALSE(IsConfigured(text, "CONFIG_BCD"));
  EXPECT_FALSE(IsConfigured("", "CONFIG_B"));
}

TEST(SelfTest, QuotesForAShell) {
  EXPECT_EQ(Quote("eth0.7"), "eth0.7");
  EXPECT_EQ(Quote("a b"), "'a b'");
  EXPECT_EQ(Quote("it's"), "'it'\\''s'");
  EXPECT_EQ(Quote("$(x)"), "'$(x)'");
  EXPECT_EQ(Quote(""), "''");
}

}  // namespace
}  // namespace zcrx::ctl
