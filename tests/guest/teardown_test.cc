// SPDX-License-Identifier: Apache-2.0
//
// Everything that can end a registration, or try to, in every state that one can
// be in. Afterwards all of it is gone: the queue, the page pool, the locked
// memory; and the next registration receives every byte right.
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>

#include "tests/guest/holder.h"
#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;

enum class End {
  kRingClose,
  kExit,
  kKill,
  kDeviceDeleted,
  kNamespaceDeleted,
  // These must not end it.
  kDownUp,
  kChannelsRefused,
  kSecondRegistration,
};

enum class State {
  kIdle,
  kTraffic,
  kHeld,    // the application holds buffers
  kUnread,  // data in a socket that nobody receives from
};

const char* Name(End end) {
  switch (end) {
    case End::kRingClose:
      return "RingClose";
    case End::kExit:
      return "Exit";
    case End::kKill:
      return "Kill";
    case End::kDeviceDeleted:
      return "DeviceDeleted";
    case End::kNamespaceDeleted:
      return "NamespaceDeleted";
    case End::kDownUp:
      return "DownUp";
    case End::kChannelsRefused:
      return "ChannelsRefused";
    case End::kSecondRegistration:
      break;
  }
  return "SecondRegistration";
}

const char* Name(State state) {
  switch (state) {
    case State::kIdle:
      return "Idle";
    case State::kTraffic:
      return "Traffic";
    case State::kHeld:
      return "Held";
    case State::kUnread:
      break;
  }
  return "Unread";
}

std::string Script(const char* name) { return std::string(ZCRX_SOURCE_DIRECTORY) + "/tests/guest/" + name; }

constexpr uint64_t kHonestBytes = 256 << 10;
constexpr uint64_t kHeldBytes = 1 << 20;
// Less than a receive buffer holds from the start.
constexpr int kUnreadBytes = 32 << 10;

// The parent process stays out of the namespaces, or none would end.
class LifetimeTeardownTest : public testing::TestWithParam<std::tuple<End, State>> {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
  }

  void Round();
  void EnterState(Holder& holder);
  void Act(Holder& holder, uint32_t pool);
  void ExpectGoesOn(Holder& holder);

  const End end_ = std::get<0>(GetParam());
  const State state_ = std::get<1>(GetParam());
  std::unique_ptr<Sender> sender_;
  milliseconds longest_{0};
  int64_t pinned_before_ = 0;
};

// Receives with nothing else going on: every byte right, and none of them copied.
void ReceiveHonestly(Holder& holder) {
  const uint64_t before = QueueCounter(kZeroCopyQueue, "split_bytes");
  const Sender sender(kHonestBytes);
  holder.Do(Order::kAccept);
  holder.Do(Order::kReceive, kHonestBytes);
  holder.Do(Order::kGiveBack);
  EXPECT_GE(QueueCounter(kZeroCopyQueue, "split_bytes"), before + kHonestBytes);
}

void WaitForTraffic(const char* what) {
  const uint64_t before = QueueCounter(kZeroCopyQueue, "split_bytes");
  WaitFor(what, [&] { return QueueCounter(kZeroCopyQueue, "split_bytes") > before + (1 << 20); });
}

void LifetimeTeardownTest::EnterState(Holder& holder) {
  switch (state_) {
    case State::kIdle:
      break;
    case State::kTraffic:
      sender_ = std::make_unique<Sender>(Sender::kForever);
      holder.Do(Order::kAccept);
      holder.Do(Order::kReceiveForever);
      WaitForTraffic("traffic");
      break;
    case State::kHeld:
      sender_ = std::make_unique<Sender>(kHeldBytes);
      holder.Do(Order::kAccept);
      holder.Do(Order::kReceive, kHeldBytes);
      EXPECT_GE(holder.Do(Order::kHeldIntact), kHeldBytes / internal::PageBytes());
      break;
    case State::kUnread: {
      const uint64_t before = QueueCounter(kZeroCopyQueue, "split_bytes");
      sender_ = std::make_unique<Sender>(kUnreadBytes);
      holder.Do(Order::kAcceptOnly, kUnreadBytes);
      EXPECT_GE(QueueCounter(kZeroCopyQueue, "split_bytes"), before + kUnreadBytes);
      break;
    }
  }
}

// The memory is the application's as long as its registration lives, whatever happens to the NIC.
void ExpectMemoryStays(Holder& holder, State state) {
  if (state == State::kHeld) {
    EXPECT_GE(holder.Do(Order::kHeldIntact), kHeldBytes / internal::PageBytes());
  } else if (state == State::kUnread) {
    holder.Do(Order::kArm);
    holder.Do(Order::kReceive, kUnreadBytes);
  }
}

// The page pool of the queue: those of earlier rounds may be there as well.
uint64_t NewestPool() {
  uint64_t newest = 0;
  for (const netdev::PagePool& pool : ProviderPools()) newest = std::max(newest, pool.id);
  return newest;
}

// The buffers of a page pool that are in use.
uint64_t InFlight(uint64_t id) {
  for (const netdev::PagePool& pool : ProviderPools()) {
    if (pool.id == id) return pool.inflight.value_or(0);
  }
  return 0;
}

// The interface of a namespace that ends goes to the initial one.
void WaitForDeviceToMove() {
  WaitFor("the namespace is gone, its interface is in the initial one", [] {
    const std::filesystem::path interfaces = "/sys/bus/netdevsim/devices/netdevsim1/net";
    return std::filesystem::exists(interfaces) && !std::filesystem::is_empty(interfaces);
  });
}

void LifetimeTeardownTest::Act(Holder& holder, uint32_t pool) {
  switch (end_) {
    case End::kRingClose:
      holder.Do(Order::kCloseRing);
      WaitFor("the queue is free", [] { return !QueueIsBound(); });
      // A socket holds buffers, not the ring.
      if (state_ == State::kUnread) {
        EXPECT_GT(InFlight(pool), 0u);
      }
      holder.Do(Order::kCloseSockets);
      break;
    case End::kExit:
      holder.Exit();
      break;
    case End::kKill:
      holder.Kill();
      break;
    case End::kDeviceDeleted:
      std::ofstream("/sys/bus/netdevsim/del_device") << 1 << std::flush;
      InNamespace("a",
                  [] { EXPECT_EQ(if_nametoindex(InterfaceA().c_str()), 0u) << "the device is still there"; });
      ExpectMemoryStays(holder, state_);
      holder.Kill();
      Shell(Script("remake_nic.sh"));
      break;
    case End::kNamespaceDeleted:
      // A namespace lives as long as a process or a socket is in it.
      holder.Do(Order::kLeaveNamespace);
      Shell("ip netns delete a");
      if (state_ == State::kHeld || state_ == State::kIdle) {
        sender_.reset();
        holder.Do(Order::kCloseSockets);
        WaitForDeviceToMove();
        ExpectMemoryStays(holder, state_);
      }
      holder.Kill();
      WaitForDeviceToMove();
      Shell(Script("remake_nic.sh"));
      break;
    case End::kDownUp:
      InNamespace("a", [] {
        Shell("ip link set " + InterfaceA() + " down");
        Shell("ip link set " + InterfaceA() + " up");
      });
      break;
    case End::kChannelsRefused:
      InNamespace("a", [] {
        // A rule for the queue would be another reason to refuse.
        Shell("ethtool -K " + InterfaceA() + " ntuple off");
        Shell("ethtool -L " + InterfaceA() + " combined 1 2>&1 | grep -q 'existing memory provider'");
        Shell("ethtool -L " + InterfaceA() + " combined 3");
        Shell("ethtool -L " + InterfaceA() + " combined 4");
        Shell("ethtool -K " + InterfaceA() + " ntuple on");
        Shell(NicTool() + " rule " + InterfaceA() + " tcp4 " + std::to_string(ZeroCopyPort()) +
              " 1 >/dev/null");
      });
      break;
    case End::kSecondRegistration:
      InNamespace("a", [] {
        const RawRing ring;
        Registration second;
        second.UseNicNow();
        EXPECT_EQ(ErrnoName(second.Register(ring)), "EEXIST");
      });
      break;
  }
}

// What must not end it did not.
void LifetimeTeardownTest::ExpectGoesOn(Holder& holder) {
  EXPECT_TRUE(QueueIsBound());
  if (state_ == State::kTraffic) {
    WaitForTraffic("traffic goes on");
  } else {
    ExpectMemoryStays(holder, state_);
    holder.Do(Order::kGiveBack);
    ReceiveHonestly(holder);
  }
  holder.Exit();
}

void LifetimeTeardownTest::Round() {
  Holder holder;
  // Of the rounds before some memory may still be on its way back.
  ASSERT_TRUE(holder.Start(8.5));
  ReceiveHonestly(holder);
  EnterState(holder);
  if (HasFailure()) return;
  EXPECT_TRUE(QueueIsBound());
  EXPECT_GT(PinnedPages(), pinned_before_);
  const uint64_t pool = NewestPool();
  EXPECT_GT(pool, 0u);
  Act(holder, pool);
  if (end_ >= End::kDownUp) ExpectGoesOn(holder);
  sender_.reset();
  if (HasFailure()) return;
  longest_ = std::max(longest_, WaitFor("the queue is free", [] { return !QueueIsBound(); }));
}

TEST_P(LifetimeTeardownTest, LeavesNothing) {
  const uint64_t rounds = Parameter("ZCRX_ROUNDS", 2);
  // Of earlier tests there may be a region that the kernel has not let go of yet.
  WaitFor("no region is pinned", [] { return PinnedPages() < int64_t{Receiver::kPages}; });
  pinned_before_ = PinnedPages();
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Round();
  }
  const milliseconds pools = WaitFor("no page pool", [] { return ProviderPools().empty(); });
  if (HasFailure()) {
    Shell(Script("remake_nic.sh"));  // for the tests that follow
    return;
  }
  WaitFor("no page of a region is pinned", [&] { return PinnedPages() <= pinned_before_; });
  Holder last;
  // No region of those before is locked any more.
  ASSERT_TRUE(last.Start(1.5));
  ReceiveHonestly(last);
  printf("%s, %s: %llu rounds, queue free after at most %lld ms, the last page pool after %lld ms\n",
         Name(end_), Name(state_), static_cast<unsigned long long>(rounds),
         static_cast<long long>(longest_.count()), static_cast<long long>(pools.count()));
}

INSTANTIATE_TEST_SUITE_P(
    Guest, LifetimeTeardownTest,
    testing::Combine(testing::Values(End::kRingClose, End::kExit, End::kKill, End::kDeviceDeleted,
                                     End::kNamespaceDeleted, End::kDownUp, End::kChannelsRefused,
                                     End::kSecondRegistration),
                     testing::Values(State::kIdle, State::kTraffic, State::kHeld, State::kUnread)),
    [](const testing::TestParamInfo<LifetimeTeardownTest::ParamType>& test) {
      return std::string(Name(std::get<0>(test.param))) + Name(std::get<1>(test.param));
    });

}  // namespace
}  // namespace zcrx
