// SPDX-License-Identifier: Apache-2.0
//
// A NIC with nothing set up gets zero copy by a reservation, and is afterwards what
// it was: released, left by a process that was killed at any step, or changed by
// somebody else meanwhile.
#include "zcrx/nic_reservation.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/netdev/channels.h"
#include "lib/netdev/feature_flags.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "lib/netdev/settings.h"
#include "tests/guest/guest.h"
#include "zcrx/netdev.h"
#include "zcrx/zcrx.h"

namespace zcrx::netdev {
namespace {

constexpr uint16_t kPort = 6001;

Interface TheInterface() { return *FindInterface(InterfaceA()); }
NicState TheNic() { return *ReadNic(InterfaceA()); }

// All that a reservation may touch, in words.
std::string Dump() {
  const NicState nic = TheNic();
  std::string dump;
  for (const Setting setting : kSettings) {
    const std::string name(NameOf(setting));
    absl::StrAppend(&dump, name, " ", ReadSetting(nic, setting).value_or("-"), "\n");
  }
  for (const RssContext& context : nic.rss)
    absl::StrAppend(&dump, "context ", context.id, " ", absl::StrJoin(context.table, ","), "\n");
  for (const Rule& rule : nic.rules) {
    absl::StrAppend(&dump, "rule ", rule.id, " port ", rule.local_port, " address ", rule.local_address,
                    " queue ", rule.rx_queue.value_or(99), " context ", rule.rss_context.value_or(99), "\n");
  }
  return dump;
}

class ReservationTest : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    for (uint32_t queue = 0; queue < TheInterface().rx_queues; ++queue) WaitUntilQueueIsFree(queue);
    set_up_ = TheNic();
    // Nothing is as zero copy wants it.
    for (const Rule& rule : set_up_.rules) ASSERT_TRUE(RemoveRule(TheInterface(), rule.id).ok());
    ASSERT_TRUE(ResetRssTable(TheInterface()).ok());
    const auto threshold = set_up_.rings.header_split_threshold;
    ASSERT_TRUE(SetRings(TheInterface(), HeaderSplit::kDisabled,
                         threshold.has_value() ? std::optional<uint32_t>(512) : std::nullopt)
                    .ok());
    directory_ = absl::StrCat(testing::TempDir(), "/reservations-", getpid());
    before_ = Dump();
  }

  // What the other tests expect.
  void TearDown() override {
    if (!before_.empty()) {
      std::system(absl::StrCat("rm -rf ", directory_).c_str());
      for (const Rule& rule : TheNic().rules) EXPECT_TRUE(RemoveRule(TheInterface(), rule.id).ok());
      EXPECT_TRUE(SetHeaderSplit(TheInterface(), true).ok());
      const auto table = ReadSetting(set_up_, Setting::kRssTable);
      EXPECT_TRUE(WriteSetting(TheInterface(), Setting::kRssTable, *table).ok());
      for (const Rule& rule : set_up_.rules) {
        const TcpRule again = {
            .family = *rule.tcp, .local_port = rule.local_port, .rx_queue = *rule.rx_queue, .id = rule.id};
        EXPECT_TRUE(AddTcpRule(TheInterface(), again).ok());
      }
    }
    GuestTest::TearDown();
  }

  ReservationOptions Options(uint32_t queues = 2) const {
    ReservationOptions options;
    options.interface = InterfaceA();
    options.queues = queues;
    options.flows = {{.port = kPort, .address = ""}};
    options.state_directory = directory_;
    return options;
  }

  NicState set_up_;
  std::string directory_;
  std::string before_;
};

// Makes a reservation in a process that is killed when the `step`th step is about to be done, or has been;
// false if there are fewer steps.
bool DieAt(ReservationOptions options, int step, bool done) {
  const pid_t child = fork();
  if (child == 0) {
    int steps = 0;
    options.progress = [&](const Change&, bool is_done) {
      if (is_done == done && steps++ == step) raise(SIGKILL);
    };
    const auto reservation = NicReservation::Make(options);
    _exit(reservation.ok() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) return true;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return false;
}

TEST_F(ReservationTest, ZeroCopyFromNothingAndBack) {
  const auto plan = PlanReservation(Options());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(Dump(), before_) << "a plan changes nothing";
  {
    const auto reservation = NicReservation::Make(Options());
    ASSERT_TRUE(reservation.ok()) << reservation.status();
    ASSERT_EQ(reservation->rx_queues().size(), 2u);
    ASSERT_EQ(reservation->changes().size(), plan->size());
    for (size_t i = 0; i < plan->size(); ++i) {
      printf("%s: %s\n", (*plan)[i].what.c_str(), (*plan)[i].command.c_str());
      EXPECT_EQ((*plan)[i].what, reservation->changes()[i].what);
    }
    const auto list = ListReservations(InterfaceA(), directory_);
    ASSERT_TRUE(list.ok() && list->size() == 1) << list.status();
    EXPECT_TRUE(list->front().alive);
    EXPECT_EQ(list->front().pid, getpid());
    EXPECT_EQ(list->front().rx_queues, reservation->rx_queues());

    // The commands of the plan say what has been done: they cannot be run on top of it, so only their results
    // are looked at. Real traffic is received on the queues.
    for (const uint32_t queue : reservation->rx_queues()) {
      RuntimeOptions options = ZeroCopyOptions();
      options.interface_queue->rx_queue = queue;
      const auto runtime = Runtime::Create(options);
      EXPECT_TRUE(runtime.ok()) << runtime.status();
    }
  }
  EXPECT_EQ(Dump(), before_);
}

TEST_F(ReservationTest, KilledAtEachStepAndRestored) {
  int kills = 0;
  for (const bool done : {false, true}) {
    for (int step = 0; DieAt(Options(), step, done); ++step) {
      ++kills;
      const auto restored = RestoreNic(InterfaceA(), directory_);
      EXPECT_TRUE(restored.ok()) << restored.status();
      EXPECT_EQ(Dump(), before_) << "killed " << (done ? "after" : "before") << " step " << step;
    }
    // The last one has made it, and ended without a word.
    EXPECT_EQ(RestoreNic(InterfaceA(), directory_).value_or(0), 1u);
    EXPECT_EQ(Dump(), before_);
  }
  printf("%d kills\n", kills);
  EXPECT_GE(kills, 8);
}

// Who comes next cleans up as well.
TEST_F(ReservationTest, TheDeadDoNotStandInTheWay) {
  ASSERT_TRUE(DieAt(Options(), 3, true));
  const auto reservation = NicReservation::Make(Options());
  EXPECT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(ListReservations(InterfaceA(), directory_)->size(), 1u);
}

TEST_F(ReservationTest, TwoOnOneNic) {
  for (const bool first_goes_first : {true, false}) {
    auto first = NicReservation::Make(Options(1));
    ASSERT_TRUE(first.ok()) << first.status();
    const std::string with_first = Dump();
    ReservationOptions others = Options(1);
    others.flows[0].port = kPort + 1;
    auto second = NicReservation::Make(others);
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_NE(first->rx_queues(), second->rx_queues());
    if (first_goes_first) {
      EXPECT_TRUE(first->Release().ok());
      EXPECT_NE(Dump(), before_);
      EXPECT_EQ(*ReadSetting(TheNic(), Setting::kHeaderSplit), "on");
      EXPECT_TRUE(second->Release().ok());
    } else {
      EXPECT_TRUE(second->Release().ok());
      EXPECT_EQ(Dump(), with_first);
      EXPECT_TRUE(first->Release().ok());
    }
    EXPECT_EQ(Dump(), before_);
  }
}

TEST_F(ReservationTest, WhatOthersChangeIsReportedAndLeft) {
  auto reservation = NicReservation::Make(Options(1));
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  const uint32_t rule = TheNic().rules.front().id;
  ASSERT_TRUE(RemoveRule(TheInterface(), rule).ok());
  ASSERT_TRUE(SpreadRss(TheInterface(), 2).ok());
  const absl::Status released = reservation->Release();
  EXPECT_EQ(released.code(), absl::StatusCode::kAborted) << released;
  EXPECT_NE(std::string(released.message()).find(absl::StrCat("rule ", rule)), std::string::npos) << released;
  EXPECT_NE(std::string(released.message()).find("rss-table"), std::string::npos) << released;
  // All else went back.
  ASSERT_TRUE(ResetRssTable(TheInterface()).ok());
  EXPECT_EQ(Dump(), before_);
}

TEST_F(ReservationTest, ConflictsNameTheFixAndChangeNothing) {
  const auto taken =
      AddTcpRule(TheInterface(), {.family = IpFamily::kIpv6, .local_port = kPort, .rx_queue = 0});
  ASSERT_TRUE(taken.ok()) << taken.status();
  const std::string before = Dump();
  const auto reservation = NicReservation::Make(Options());
  EXPECT_EQ(reservation.status().code(), absl::StatusCode::kFailedPrecondition) << reservation.status();
  EXPECT_NE(std::string(reservation.status().message()).find("ethtool -N"), std::string::npos);
  EXPECT_EQ(Dump(), before);
  EXPECT_TRUE(RemoveRule(TheInterface(), *taken).ok());

  EXPECT_EQ(NicReservation::Make(Options(1000)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Dump(), before_);
  ReservationOptions nothing = Options();
  nothing.flows.clear();
  EXPECT_EQ(NicReservation::Make(nothing).status().code(), absl::StatusCode::kInvalidArgument);
  ReservationOptions nowhere = Options();
  nowhere.interface = "nowhere0";
  EXPECT_EQ(NicReservation::Make(nowhere).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ReservationTest, OutlivesItsProcessIfAsked) {
  ReservationOptions options = Options();
  options.outlive_process = true;
  uint32_t id = 0;
  {
    const auto reservation = NicReservation::Make(options);
    ASSERT_TRUE(reservation.ok()) << reservation.status();
    id = reservation->id();
  }
  EXPECT_NE(Dump(), before_);
  EXPECT_EQ(RestoreNic(InterfaceA(), directory_).value_or(99), 0u);
  EXPECT_NE(Dump(), before_);
  EXPECT_EQ(ReleaseReservation(InterfaceA(), id + 1, directory_).code(), absl::StatusCode::kNotFound);
  const absl::Status released = ReleaseReservation(InterfaceA(), id, directory_);
  EXPECT_TRUE(released.ok()) << released;
  EXPECT_EQ(Dump(), before_);
}

// --- What reserves by itself -------------------------------------------------------------

constexpr size_t kBytes = 4 << 20;

// Payload that the NIC has written into regions, of whatever queue.
uint64_t SplitBytes() {
  uint64_t sum = 0;
  for (uint32_t queue = 0; queue < TheInterface().rx_queues; ++queue)
    sum += QueueCounter(queue, "split_bytes");
  return sum;
}

Task<void> CheckAll(Stream peer) {
  ContentChecker checker;
  while (true) {
    const absl::StatusOr<Buffer> data = co_await peer.Receive();
    if (!data.ok() || data->empty()) break;
    checker.Check(data->bytes());
  }
  EXPECT_EQ(checker.count(), kBytes);
}

Task<void> AcceptOne(Listener& listener) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  if (peer.ok()) co_await CheckAll(*std::move(peer));
}

TEST_F(ReservationTest, ARuntimeReservesAndUndoes) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->rx_queue = 0;
  options.interface_queue->reserve = {kPort};
  {
    absl::StatusOr<Runtime> runtime = Runtime::Create(options);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    EXPECT_EQ(runtime->receive_path().kind, ReceivePathInfo::Kind::kZeroCopy);
    EXPECT_NE(Dump(), before_);
    absl::StatusOr<Listener> listener =
        Listener::Create(*runtime, *SocketAddress::Parse(absl::StrCat("10.0.0.1:", kPort)));
    ASSERT_TRUE(listener.ok()) << listener.status();
    const uint64_t split = SplitBytes();
    runtime->Spawn(AcceptOne(*listener));
    const Peer peer(kPort, [](int fd) { EXPECT_TRUE(SendContent(fd, 0, kBytes)); });
    const absl::Status run = runtime->Run();
    EXPECT_TRUE(run.ok()) << run;
    EXPECT_GE(SplitBytes() - split, kBytes) << "the rules steer elsewhere";
  }
  EXPECT_EQ(Dump(), before_);
}

TEST_F(ReservationTest, ARuntimeThatCannotReserveChangesNothing) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->reserve = {kPort};
  options.interface_queue->rx_queue = 2;
  EXPECT_EQ(Runtime::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.interface_queue->rx_queue = 0;
  options.interface_queue->share = QueueShare(2);
  EXPECT_EQ(Runtime::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.interface_queue->share.reset();
  EXPECT_EQ(PreparedQueue::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.interface_queue->reserve = {0};
  EXPECT_EQ(Runtime::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.interface_queue->reserve = {kPort};
  // Registration is refused when the NIC has been set up already.
  options.interface_queue->refill_entries = 1u << 20;
  EXPECT_EQ(Runtime::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Dump(), before_);
  options.mode = ReceiveMode::kAuto;
  const absl::StatusOr<Runtime> copying = Runtime::Create(options);
  ASSERT_TRUE(copying.ok()) << copying.status();
  EXPECT_EQ(copying->receive_path().kind, ReceivePathInfo::Kind::kCopy);
  EXPECT_EQ(Dump(), before_);
}

TEST_F(ReservationTest, AServerReservesAndUndoes) {
  ServerOptions options;
  options.address = *SocketAddress::Parse(absl::StrCat("10.0.0.1:", kPort));
  options.runtime = ZeroCopyOptions();
  options.runtime.interface_queue->rx_queue = 0;
  options.reserve_queues = 2;
  {
    absl::StatusOr<Server> server =
        Server::Start(options, [](Runtime&, Stream peer) { return CheckAll(std::move(peer)); });
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(server->stats().size(), 2u);
    EXPECT_NE(Dump(), before_);
    EXPECT_NE(Dump().find("address 10.0.0.1"), std::string::npos) << Dump();
    const uint64_t split = SplitBytes();
    {
      // Each joins when its connection has ended at both sides.
      const auto act = [](int fd) {
        EXPECT_TRUE(SendContent(fd, 0, kBytes));
        shutdown(fd, SHUT_WR);
        EXPECT_EQ(ReceiveContent(fd), 0);
      };
      const Peer one(kPort, act);
      const Peer other(kPort, act);
    }
    EXPECT_GE(SplitBytes() - split, 2 * kBytes);
    const absl::Status drained = server->Drain(std::chrono::seconds(60));
    EXPECT_TRUE(drained.ok()) << drained;
    EXPECT_EQ(Dump(), before_) << "before the server is gone";
  }
  EXPECT_EQ(Dump(), before_);

  ServerOptions wrong = options;
  wrong.rx_queues = {1};
  EXPECT_EQ(Server::Start(wrong, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  wrong = options;
  wrong.address = *SocketAddress::Parse("10.0.0.1:0");
  EXPECT_EQ(Server::Start(wrong, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  wrong = options;
  wrong.runtime.interface_queue->reserve = {kPort};
  wrong.reserve_queues = 0;
  wrong.rx_queues = {1};
  EXPECT_EQ(Server::Start(wrong, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Dump(), before_);
}

}  // namespace
}  // namespace zcrx::netdev
