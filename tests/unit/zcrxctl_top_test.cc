// SPDX-License-Identifier: Apache-2.0
//
// What zcrxctl's top makes of queues and pages: who belongs together, what has
// happened in between, and what of it fits a terminal.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/top_json.h"
#include "tools/zcrxctl/top_rates.h"
#include "tools/zcrxctl/top_sample.h"
#include "tools/zcrxctl/top_screen.h"

namespace zcrx::ctl {
namespace {

constexpr uint64_t kHere = 4026531840;
constexpr uint64_t kElsewhere = 4026532000;
constexpr uint64_t kSecond = 1'000'000'000;

using Lines = std::vector<std::string>;

// An interface with four queues, of which an io_uring has the queue 1.
netdev::NicState Nic(const std::string& name = "eth0", uint32_t index = 3) {
  netdev::NicState nic;
  nic.interface.name = name;
  nic.interface.index = index;
  for (uint32_t id = 0; id < 4; ++id) {
    netdev::RxQueue& queue = nic.rx_queues.emplace_back();
    queue.id = id;
    queue.napi =
        netdev::Napi{.id = 100 + id, .irq = {}, .thread = {}, .irq_cpus = {}, .irq_effective_cpus = {}};
    queue.stats.packets = 1000;
  }
  nic.rx_queues[1].io_uring = true;
  return nic;
}

StatsPage PageOf(uint32_t interface_index, uint32_t rx_queue) {
  StatsPage page;
  page.bytes = sizeof(page);
  page.runtime = 1;
  page.published_at_ns = 100 * kSecond;
  page.zero_copy = 1;
  page.interface_index = interface_index;
  std::string("eth0").copy(page.name.data(), 4);
  page.netns = kHere;
  page.rx_queue = rx_queue;
  page.pool_pieces = 1000;
  page.pieces_out = 250;
  page.bytes_received = 5'000'000;
  page.copied_bytes = 1'000'000;
  return page;
}

PublishedPage Published(const absl::StatusOr<StatsPage>& page, int pid = 1234) {
  return {.process = "server", .stats = {.pid = pid, .uid = 33, .page = page}};
}

TopFacts Facts() {
  TopFacts facts;
  facts.nics.push_back(Nic());
  facts.pages.push_back(Published(PageOf(3, 1)));
  facts.netns = kHere;
  return facts;
}

TEST(JoinFactsTest, APageBelongsToItsQueue) {
  const TopSample sample = JoinFacts(Facts());
  ASSERT_EQ(sample.entries.size(), 1u) << "queues that nobody has are left out";
  const TopEntry& entry = sample.entries[0];
  EXPECT_EQ(entry.interface, "eth0");
  EXPECT_EQ(entry.rx_queue, 1u);
  EXPECT_EQ(entry.owner, "io_uring");
  ASSERT_TRUE(entry.runtime.has_value() && entry.queue.has_value());
  EXPECT_EQ(entry.runtime->pid, 1234);
  EXPECT_EQ(entry.runtime->uid, 33u);
  EXPECT_EQ(entry.queue->packets, 1000u);
}

TEST(JoinFactsTest, OneInterfaceHasAllItsQueuesThoseInUseFirst) {
  TopFacts facts = Facts();
  facts.one_only = true;
  facts.pages.push_back(Published(PageOf(7, 1), 99));  // of another interface
  std::vector<uint32_t> order;
  for (const TopEntry& entry : JoinFacts(facts).entries) order.push_back(*entry.rx_queue);
  EXPECT_EQ(order, (std::vector<uint32_t>{1, 0, 2, 3}));
}

TEST(JoinFactsTest, ASharedQueueHasAnEntryForEachRuntime) {
  TopFacts facts = Facts();
  facts.pages.push_back(Published(PageOf(3, 1), 1200));
  const TopSample sample = JoinFacts(facts);
  ASSERT_EQ(sample.entries.size(), 2u);
  EXPECT_EQ(sample.entries[0].runtime->pid, 1200);
  EXPECT_EQ(sample.entries[1].runtime->pid, 1234);
}

// An index says nothing in another namespace.
TEST(JoinFactsTest, OtherNamespacesAndCopiesStandByThemselves) {
  TopFacts facts = Facts();
  StatsPage elsewhere = PageOf(3, 1);
  elsewhere.netns = kElsewhere;
  StatsPage copies = PageOf(0, 0);
  copies.zero_copy = 0;
  facts.pages = {Published(copies, 1), Published(elsewhere, 2)};
  const TopSample sample = JoinFacts(facts);
  ASSERT_EQ(sample.entries.size(), 3u);
  EXPECT_FALSE(sample.entries[0].runtime.has_value());
  EXPECT_EQ(sample.entries[1].runtime->pid, 2);
  EXPECT_FALSE(sample.entries[1].queue.has_value());
  EXPECT_EQ(sample.entries[2].runtime->pid, 1);
  EXPECT_EQ(sample.entries[2].rx_queue, std::nullopt);
}

TEST(JoinFactsTest, PoolsAreThoseOfTheQueueOrDetached) {
  TopFacts facts = Facts();
  facts.nics[0].page_pools.resize(3);
  facts.nics[0].page_pools[0].napi_id = 101;
  facts.nics[0].page_pools[0].inflight = 7;
  facts.nics[0].page_pools[0].detached_at_seconds = 1;
  facts.nics[0].page_pools[1].napi_id = 100;
  facts.nics[0].page_pools[1].inflight = 8;
  facts.nics[0].page_pools[2].napi_id = 101;
  facts.nics[0].page_pools[2].inflight = 9;
  const TopSample sample = JoinFacts(facts);
  EXPECT_EQ(sample.detached_pools, 1u);
  EXPECT_EQ(sample.detached_pieces, 7u);
  EXPECT_EQ(sample.entries[0].page_pool->inflight, 9u);
}

TEST(JoinFactsTest, PagesThatCannotBeReadAreNamed) {
  TopFacts facts = Facts();
  facts.pages.push_back(Published(absl::DataLossError("no page at all"), 666));
  const TopSample sample = JoinFacts(facts);
  EXPECT_EQ(sample.unreadable, Lines{"server (666), user 33: no page at all"});
}

TopSample At(TopSample sample, int seconds) {
  sample.time = std::chrono::steady_clock::time_point(std::chrono::seconds(seconds));
  return sample;
}

TEST(RatesTest, PerSecondOfEachClock) {
  const TopSample before = At(JoinFacts(Facts()), 10);
  TopFacts facts = Facts();
  facts.nics[0].rx_queues[1].stats.packets = 3000;
  StatsPage page = PageOf(3, 1);
  page.published_at_ns += kSecond;  // one second, though two have passed between the samples
  page.bytes_received += 3'000'000;
  page.copied_bytes += 1'000'000;
  facts.pages = {Published(page)};
  const std::vector<TopRates> rates = RatesOf(before, At(JoinFacts(facts), 12));
  ASSERT_EQ(rates.size(), 1u);
  EXPECT_EQ(rates[0].packets, 1000.0);
  EXPECT_EQ(rates[0].zero_copy_bytes, 2e6);
  EXPECT_EQ(rates[0].copied_bytes, 1e6);
  EXPECT_FALSE(rates[0].more_failures);
}

TEST(RatesTest, AnOldPageIsOneWhereNothingHappened) {
  const TopSample before = At(JoinFacts(Facts()), 10);
  EXPECT_EQ(RatesOf(before, At(before, 11))[0].zero_copy_bytes, 0.0);
  // After an hour of silence: what has come did not take an hour.
  TopFacts facts = Facts();
  StatsPage page = PageOf(3, 1);
  page.published_at_ns += 3600 * kSecond;
  page.bytes_received += 2'000'000;
  facts.pages = {Published(page)};
  EXPECT_EQ(RatesOf(before, At(JoinFacts(facts), 11))[0].zero_copy_bytes, 1e6);
}

TEST(RatesTest, WhatIsNewOrBeginsAnewHasNone) {
  const TopSample before = At(JoinFacts(Facts()), 10);
  EXPECT_EQ(RatesOf(before, before)[0].packets, std::nullopt) << "no time has passed";
  TopFacts facts = Facts();
  facts.nics[0].rx_queues[1].stats.packets = 5;
  StatsPage page = PageOf(3, 1);
  page.copied_bytes = StatsPage::kNotCounted;
  facts.pages = {Published(page)};
  TopRates rates = RatesOf(before, At(JoinFacts(facts), 11))[0];
  EXPECT_EQ(rates.packets, std::nullopt);
  EXPECT_EQ(rates.copied_bytes, std::nullopt);
  // The same numbers, and another process that has them.
  facts = Facts();
  page = PageOf(3, 1);
  page.started_at_ns = 1;
  facts.pages = {Published(page)};
  rates = RatesOf(before, At(JoinFacts(facts), 11))[0];
  EXPECT_EQ(rates.zero_copy_bytes, std::nullopt);
}

TEST(RatesTest, FailuresAreThoseOfTheNicAndOfTheKernel) {
  TopFacts facts = Facts();
  facts.nics[0].rx_queues[1].stats.alloc_failures = 2;
  StatsPage page = PageOf(3, 1);
  page.rearms_no_buffer = 3;
  facts.pages = {Published(page)};
  const TopSample now = At(JoinFacts(facts), 11);
  EXPECT_EQ(FailuresOf(now.entries[0]), 5u);
  EXPECT_TRUE(RatesOf(At(JoinFacts(Facts()), 10), now)[0].more_failures);
}

TEST(ShortTest, AtMostFiveCharacters) {
  EXPECT_EQ(Short(0), "0");
  EXPECT_EQ(Short(999), "999");
  EXPECT_EQ(Short(999.6), "1.00k");
  EXPECT_EQ(Short(1234), "1.23k");
  EXPECT_EQ(Short(9.996e3), "10.0k");
  EXPECT_EQ(Short(99.96e3), "100k");
  EXPECT_EQ(Short(999.4e6), "999M");
  EXPECT_EQ(Short(999.9e6), "1.00G");
  EXPECT_EQ(Short(static_cast<double>(UINT64_MAX)), "18.4E");
}

constexpr ScreenSize kUsual = {.columns = 80, .lines = 24};

Lines DrawPlain(const TopSample& sample, ScreenSize size = kUsual) {
  Lines lines = Draw(sample, std::vector<TopRates>(sample.entries.size()), size, Style(false));
  EXPECT_LE(lines.size(), size.lines);
  for (const std::string& line : lines) EXPECT_LE(line.size(), size.columns) << line;
  return lines;
}

TEST(DrawTest, AScreen) {
  TopFacts facts = Facts();
  StatsPage page = PageOf(3, 1);
  page.holder_count = 2;
  page.holders[0] = {.stream = 17, .pieces = 200};
  page.holders[1] = {.stream = 9, .pieces = 50};
  facts.pages = {Published(page)};
  const TopSample sample = JoinFacts(facts);
  TopRates rates;
  rates.packets = 12'345;
  rates.zero_copy_bytes = 1.2e9;
  rates.copied_bytes = 0;
  EXPECT_EQ(Draw(sample, {rates}, kUsual, Style(false)),
            (Lines{"zcrxctl top - 1 queue, 1 process",
                   "INTERFACE QUEUE PROCESS               USER PKT/s  ZC/s  CP/s    ZC  POOL  FAIL",
                   "eth0          1 server 1234             33 12.3k 1.20G     0 4.00M   25%     0", "",
                   "PIECES THAT ARE OUT, AND THE STREAMS THAT HAVE MOST OF THEM",
                   "eth0 1, server 1234: 250 of 1000, stream 17 200, stream 9 50"}));
}

TEST(DrawTest, LongNamesGiveWay) {
  TopFacts facts = Facts();
  facts.nics[0].interface.name = "enp129s0f0np0np";
  facts.pages[0].process = "zcrx_echo_server";
  facts.pages[0].stats.pid = 4194303;
  facts.pages[0].stats.uid = 4294967295;
  const Lines lines = DrawPlain(JoinFacts(facts));
  EXPECT_TRUE(absl::StartsWith(lines[2], "enp129s0+     1 zcrx_echo_s+ 4194303 4294+ ")) << lines[2];
}

TopSample Many(uint32_t queues) {
  TopFacts facts = Facts();
  facts.nics[0].rx_queues.resize(queues);
  facts.pages.clear();
  for (uint32_t id = 0; id < queues; ++id) {
    facts.nics[0].rx_queues[id].id = id;
    StatsPage page = PageOf(3, id);
    page.holder_count = 1;
    page.holders[0] = {.stream = id, .pieces = 1};
    facts.pages.push_back(Published(page));
  }
  return JoinFacts(facts);
}

TEST(DrawTest, WhatDoesNotFitIsCounted) {
  const TopSample sample = Many(64);
  const Lines lines = DrawPlain(sample);
  ASSERT_EQ(lines.size(), 24u);
  EXPECT_EQ(lines.back(), "43 more do not fit; --once and --json have all");
  EXPECT_TRUE(absl::StartsWith(lines[22], "eth0         20 ")) << lines[22];
  // All of it where there is no end of lines, as in a file.
  EXPECT_EQ(DrawPlain(sample, {}).size(), 2u + 64 + 2 + 64);
}

TEST(DrawTest, TheLastThatFits) {
  EXPECT_TRUE(absl::StartsWith(DrawPlain(Many(22)).back(), "eth0         21 "));
  EXPECT_EQ(DrawPlain(Many(23)).back(), "2 more do not fit; --once and --json have all");
}

TEST(DrawTest, HoldersTakeTheRestOfTheRoom) {
  const Lines lines = DrawPlain(Many(12));
  ASSERT_EQ(lines.size(), 24u);
  EXPECT_EQ(lines[14], "");
  EXPECT_EQ(lines[16], "eth0 0, server 1234: 250 of 1000, stream 0 1");
  EXPECT_EQ(lines[23], "5 more");
}

TEST(DrawTest, AnySize) {
  TopFacts facts = Facts();
  for (int i = 0; i < 5; ++i) facts.pages.push_back(Published(absl::DataLossError("no page at all"), i));
  facts.nics[0].page_pools.resize(1);
  facts.nics[0].page_pools[0].detached_at_seconds = 1;
  const TopSample sample = JoinFacts(facts);
  for (size_t lines = 0; lines < 12; ++lines) {
    for (const size_t columns : {0, 1, 2, 10, 79, 200})
      DrawPlain(sample, {.columns = columns, .lines = lines});
  }
  const Lines all = DrawPlain(sample);
  EXPECT_EQ(all[3], "detached page pools: 1, which wait for 0 pieces");
  EXPECT_EQ(all[7], "2 more pages cannot be read");
}

TEST(DrawTest, Nothing) { EXPECT_EQ(DrawPlain({})[2].substr(0, 36), "nobody receives without a copy, and "); }

TEST(DrawTest, ColoursForTerminalsOnly) {
  StatsPage page = PageOf(3, 1);
  page.pressure_high = 1;
  TopFacts facts = Facts();
  facts.pages = {Published(page)};
  const TopSample sample = JoinFacts(facts);
  for (const std::string& line : DrawPlain(sample)) EXPECT_FALSE(absl::StrContains(line, '\x1b')) << line;
  const Lines lines = Draw(sample, {{}}, kUsual, Style(true));
  EXPECT_TRUE(absl::StartsWith(lines[1], "\x1b[1m")) << lines[1];
  EXPECT_TRUE(absl::StartsWith(lines[2], "\x1b[31m")) << lines[2];
}

// Whatever a process, or the page of an enemy, calls itself.
TEST(DrawTest, NamesDoNotSteerTheTerminal) {
  TopFacts facts = Facts();
  facts.pages[0].process = "\x1b[2J";
  facts.pages.push_back(Published(absl::DataLossError("\x1b]0;owned\a"), 666));
  for (const std::string& line : DrawPlain(JoinFacts(facts)))
    EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; })) << line;
}

TEST(TopJsonTest, AllOfIt) {
  TopFacts facts = Facts();
  StatsPage page = PageOf(3, 1);
  page.holder_count = 1;
  page.holders[0] = {.stream = 17, .pieces = 200};
  page.copied_fragments = StatsPage::kNotCounted;
  facts.pages = {Published(page)};
  const Json json = ToJson(JoinFacts(facts), {{}});
  const Json& queue = json["queues"][0];
  EXPECT_EQ(queue["interface"], "eth0");
  EXPECT_EQ(queue["packets"], 1000);
  EXPECT_TRUE(queue["packets_per_second"].is_null());
  EXPECT_EQ(queue["runtime"]["uid"], 33);
  EXPECT_EQ(queue["runtime"]["zero_copy_bytes"], 4'000'000);
  EXPECT_TRUE(queue["runtime"]["copied_fragments"].is_null());
  EXPECT_EQ(queue["runtime"]["holders"], Json::array({{{"stream", 17}, {"pieces", 200}}}));
}

}  // namespace
}  // namespace zcrx::ctl
