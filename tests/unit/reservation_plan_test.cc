// SPDX-License-Identifier: Apache-2.0
//
// Which steps lead from what a NIC is to what a reservation needs.
#include "lib/netdev/reservation_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zcrx::netdev {
namespace {

// Eight queues and nothing set up.
NicState Nic() {
  NicState nic;
  nic.interface.name = "eth7";
  nic.interface.index = 12;
  nic.interface.up = true;
  nic.interface.bus = "pci";
  nic.interface.rx_queues = 8;
  nic.channels = Channels{.rx = {}, .tx = {}, .combined = {.count = 8, .max = 10}};
  nic.features.ntuple_filters = Feature{.on = false};
  nic.rings.header_split = HeaderSplit::kDisabled;
  nic.rings.header_split_threshold = 256;
  nic.rss.resize(1);
  nic.rss[0].table = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
  for (uint32_t queue = 0; queue < 8; ++queue) nic.rx_queues.emplace_back().id = queue;
  return nic;
}

ReservationOptions Options(uint32_t queues) {
  ReservationOptions options;
  options.interface = "eth7";
  options.queues = queues;
  options.flows = {{.port = 5001, .address = ""}};
  return options;
}

// A record with one reservation, whose number is 1.
NicRecord RecordOf(const ReservationOptions& options) {
  NicRecord record;
  record.interface = options.interface;
  record.index = 12;
  KeptReservation& mine = record.reservations.emplace_back();
  mine.id = 1;
  mine.flows = options.flows;
  return record;
}

// The steps in words, each taken in imagination.
std::vector<std::string> Walk(NicState& nic, NicRecord& record, uint32_t id, uint32_t queues) {
  std::vector<std::string> commands;
  while (commands.size() < 100) {
    const auto step = NextStep(nic, record, id, queues);
    if (!step.ok()) return {std::string(step.status().message())};
    if (!step->has_value()) break;
    commands.push_back(Describe(**step, "eth7").command);
    Imagine(**step, nic, record, id);
  }
  return commands;
}

std::vector<uint32_t> Choose(const NicState& nic, uint32_t count, const NicRecord& record = NicRecord()) {
  uint32_t missing = 0;
  return ChooseQueues(nic, record, count, missing).value_or(std::vector<uint32_t>());
}

TEST(ReservationPlanTest, OrderOfStepsForOneQueue) {
  NicState nic = Nic();
  NicRecord record = RecordOf(Options(1));
  EXPECT_EQ(Walk(nic, record, 1, 1),
            (std::vector<std::string>{"ethtool -K eth7 ntuple on", "ethtool -G eth7 tcp-data-split on",
                                      "ethtool -G eth7 hds-thresh 0", "ethtool -X eth7 weight 3 3 2 2 2 2 2",
                                      "ethtool -N eth7 flow-type tcp4 dst-port 5001 action 7",
                                      "ethtool -N eth7 flow-type tcp6 dst-port 5001 action 7"}));
  EXPECT_EQ(record.Find(1)->queues, std::vector<uint32_t>{7});
  // There is nothing left to do.
  EXPECT_FALSE(NextStep(nic, record, 1, 1)->has_value());
}

TEST(ReservationPlanTest, SeveralQueuesGetAContext) {
  NicState nic = Nic();
  nic.features.ntuple_filters->on = true;
  nic.rings.header_split = HeaderSplit::kEnabled;
  nic.rings.header_split_threshold.reset();
  nic.rss[0].table.assign(16, 0);
  NicRecord record = RecordOf(Options(2));
  EXPECT_EQ(Walk(nic, record, 1, 2),
            (std::vector<std::string>{"ethtool -X eth7 context new start 6 equal 2",
                                      "ethtool -N eth7 flow-type tcp4 dst-port 5001 context 1",
                                      "ethtool -N eth7 flow-type tcp6 dst-port 5001 context 1"}));
  EXPECT_EQ(ContextTable(nic, {6, 7})[1], 7u);
}

TEST(ReservationPlanTest, ContextOfQueuesWithAGap) {
  EXPECT_EQ(Describe(ContextStep{{2, 5, 2, 5}}, "eth7").command,
            "ethtool -X eth7 context new weight 0 0 1 0 0 1");
}

TEST(ReservationPlanTest, QueuesThatAreSomebodysAreNotChosen) {
  NicState nic = Nic();
  EXPECT_EQ(Choose(nic, 2), (std::vector<uint32_t>{6, 7}));
  nic.rx_queues[7].io_uring = true;
  nic.rx_queues[6].xdp_socket = true;
  EXPECT_EQ(Choose(nic, 2), (std::vector<uint32_t>{4, 5}));
  nic.rx_queues[5].dmabuf = 1;
  nic.rx_queues[4].leased = true;
  EXPECT_EQ(Choose(nic, 2), (std::vector<uint32_t>{2, 3}));
  // By a rule, by a context of somebody's, and by another reservation.
  nic.rules.emplace_back().rx_queue = 3;
  EXPECT_EQ(Choose(nic, 1), std::vector<uint32_t>{2});
  RssContext& context = nic.rss.emplace_back();
  context.id = 1;
  context.table = {2, 2};
  EXPECT_EQ(Choose(nic, 1), std::vector<uint32_t>{1});
  NicRecord record = RecordOf(Options(1));
  record.reservations[0].queues = {1};
  uint32_t missing = 0;
  EXPECT_EQ(ChooseQueues(nic, record, 1, missing), std::nullopt) << "one must stay for all other traffic";
  EXPECT_EQ(missing, 1u);
}

TEST(ReservationPlanTest, TableWithoutReservedQueues) {
  NicState nic = Nic();
  NicRecord record = RecordOf(Options(2));
  record.reservations[0].queues = {6, 7};
  EXPECT_EQ(DesiredValue(nic, record, Setting::kRssTable), "0,1,2,3,4,5,0,1,0,1,2,3,4,5,2,3");
  // Of what was there before, not of what there is.
  record.settings.push_back({Setting::kRssTable, "default", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0", std::nullopt});
  nic.rss[0].table.assign(16, 0);
  EXPECT_EQ(DesiredValue(nic, record, Setting::kRssTable), "0,1,2,3,4,5,0,1,0,1,2,3,4,5,2,3");
  // All of it is reserved: the first of the others.
  record.settings[0].original = "6,7,6,7,6,7,6,7,6,7,6,7,6,7,6,7";
  EXPECT_EQ(DesiredValue(nic, record, Setting::kRssTable), "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0");
  // With the last reservation it goes back.
  record.reservations.clear();
  EXPECT_EQ(DesiredValue(nic, record, Setting::kRssTable), "6,7,6,7,6,7,6,7,6,7,6,7,6,7,6,7");
}

TEST(ReservationPlanTest, SettingsGoBackToWhatTheyWere) {
  NicState nic = Nic();
  NicRecord record;
  record.settings = {{Setting::kHeaderSplit, "unknown", "on", std::nullopt}};
  EXPECT_EQ(DesiredValue(nic, record, Setting::kHeaderSplit), "unknown");
  EXPECT_EQ(DesiredValue(nic, record, Setting::kNtupleFilters), "off") << "not touched: what it is";
  nic.rings.header_split_threshold.reset();
  EXPECT_EQ(DesiredValue(nic, record, Setting::kHeaderSplitThreshold), std::nullopt);
}

TEST(ReservationPlanTest, ChannelsAreRaised) {
  NicState nic = Nic();
  for (uint32_t queue = 0; queue < 7; ++queue) nic.rx_queues[queue].io_uring = true;
  NicRecord record = RecordOf(Options(2));
  std::vector<std::string> commands = Walk(nic, record, 1, 2);
  ASSERT_FALSE(commands.empty());
  EXPECT_EQ(commands[0], "ethtool -L eth7 combined 10");
  EXPECT_EQ(record.Find(1)->queues, (std::vector<uint32_t>{8, 9}));
  EXPECT_EQ(commands.back(), "ethtool -N eth7 flow-type tcp6 dst-port 5001 context 1");
  // Too many for the NIC; fixed by the driver.
  nic = Nic();
  record = RecordOf(Options(10));
  const auto step = NextStep(nic, record, 1, 10);
  EXPECT_EQ(step.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(step.status().message()).find("ethtool -l eth7"), std::string::npos) << step.status();
  nic.channels.reset();
  EXPECT_EQ(NextStep(nic, record, 1, 10).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ReservationPlanTest, ARuleThatIsThereAlreadyIsAConflict) {
  NicState nic = Nic();
  Rule& rule = nic.rules.emplace_back();
  rule.id = 77;
  rule.tcp = IpFamily::kIpv6;
  rule.local_port = 5001;
  rule.rx_queue = 0;
  NicRecord record = RecordOf(Options(1));
  const std::vector<std::string> commands = Walk(nic, record, 1, 1);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_NE(commands[0].find("\"ethtool -N eth7 delete 77\""), std::string::npos) << commands[0];
}

TEST(ReservationPlanTest, RulesMatchIfAllIsTheSame) {
  Rule rule;
  rule.tcp = IpFamily::kIpv4;
  rule.local_port = 5001;
  rule.rx_queue = 3;
  TcpRule wanted;
  wanted.local_port = 5001;
  wanted.rx_queue = 3;
  EXPECT_TRUE(Matches(rule, wanted));
  wanted.rx_queue = 4;
  EXPECT_FALSE(Matches(rule, wanted));
  wanted.rx_queue = 3;
  wanted.local_address = "10.0.0.1";
  EXPECT_FALSE(Matches(rule, wanted));
  wanted.local_address.clear();
  rule.remote_port = 9;
  EXPECT_FALSE(Matches(rule, wanted));
  rule.remote_port = 0;
  rule.rss_context = 1;
  EXPECT_FALSE(Matches(rule, wanted));
  wanted.rss_context = 1;
  EXPECT_TRUE(Matches(rule, wanted));
}

TEST(ReservationPlanTest, OptionsThatMakeNoSense) {
  EXPECT_TRUE(CheckOptions(Options(1)).ok());
  EXPECT_EQ(CheckOptions(Options(0)).code(), absl::StatusCode::kInvalidArgument);
  ReservationOptions options = Options(1);
  options.flows[0].port = 0;
  EXPECT_EQ(CheckOptions(options).code(), absl::StatusCode::kInvalidArgument);
  options.flows[0] = {.port = 1, .address = "example.org"};
  EXPECT_EQ(CheckOptions(options).code(), absl::StatusCode::kInvalidArgument);
  options.flows[0].address = "fd00::1";
  EXPECT_TRUE(CheckOptions(options).ok());
  options.flows.clear();
  EXPECT_EQ(CheckOptions(options).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReservationPlanTest, NicsThatCannot) {
  EXPECT_TRUE(CheckNic(Nic(), Options(2)).ok());
  NicState nic = Nic();
  nic.interface.up = false;
  EXPECT_NE(std::string(CheckNic(nic, Options(1)).message()).find("ip link set eth7 up"), std::string::npos);
  nic = Nic();
  nic.interface.xdp_attached = true;
  EXPECT_EQ(CheckNic(nic, Options(1)).code(), absl::StatusCode::kFailedPrecondition);
  nic = Nic();
  nic.rss.clear();
  EXPECT_TRUE(CheckNic(nic, Options(1)).ok());
  EXPECT_EQ(CheckNic(nic, Options(2)).code(), absl::StatusCode::kFailedPrecondition);
  nic = Nic();
  nic.interface.bus.clear();
  nic.interface.up = false;
  EXPECT_NE(std::string(CheckNic(nic, Options(1)).message()).find("is virtual"), std::string::npos);
}

// What is proposed is something else than what was tried.
TEST(ReservationPlanTest, NothingLessThanOneQueue) {
  NicState nic = Nic();
  nic.channels.reset();
  nic.interface.rx_queues = 1;
  NicRecord one = RecordOf(Options(1));
  NicRecord two = RecordOf(Options(2));
  EXPECT_NE(Walk(nic, one, 1, 1).back().find("fix: another NIC"), std::string::npos);
  EXPECT_NE(Walk(nic, two, 1, 2).back().find("fix: fewer queues"), std::string::npos);
}

}  // namespace
}  // namespace zcrx::netdev
