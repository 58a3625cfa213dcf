// SPDX-License-Identifier: Apache-2.0
//
// Restarts of the queue and of the interface under traffic: what the application
// holds is its own, and all of it comes back.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;

class LifetimeRestartTest : public testing::Test {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
  }
};

uint64_t NewestPool() {
  uint64_t newest = 0;
  for (const netdev::PagePool& pool : ProviderPools()) newest = std::max(newest, pool.id);
  return newest;
}

// Restarts again and again, each time when traffic has flowed since the last; each must bring a new page
// pool.
void RestartUnderTraffic(uint64_t rounds, const std::atomic<uint64_t>& received) {
  for (uint64_t round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    for (int kind = 0; kind < 5; ++kind) {
      SCOPED_TRACE("round " + std::to_string(round) + ", kind " + std::to_string(kind));
      const uint64_t before = received;
      WaitFor("traffic", [&] { return received > before + (256 << 10); });
      const uint64_t pool = NewestPool();
      if (kind < 4) {
        WriteKnob("queue_reset", std::to_string(kZeroCopyQueue) + " " + std::to_string(kind));
      } else {
        InNamespace("a", [] {
          Shell("ip link set " + InterfaceA() + " down");
          Shell("ip link set " + InterfaceA() + " up");
        });
      }
      EXPECT_GT(NewestPool(), pool);
      EXPECT_TRUE(QueueIsBound());
    }
  }
}

TEST_F(LifetimeRestartTest, UnderTrafficWithBuffersHeld) {
  InNamespace("a", [] {
    constexpr uint64_t kHeld = 1 << 20;
    const uint64_t rounds = Parameter("ZCRX_ROUNDS", 2);
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    Fd listener = Listen(ZeroCopyPort());
    const Sender once(kHeld);
    const size_t held = receiver.Adopt(AcceptSoon(listener));
    ASSERT_TRUE(receiver.Receive(held, kHeld));
    const size_t buffers = receiver.HeldBuffers();
    const Sender forever(Sender::kForever);
    const size_t stream = receiver.Adopt(AcceptSoon(listener));
    listener.Close();

    std::atomic<uint64_t> received = 0;
    std::atomic<bool> done = false;
    std::jthread restarter([&] {
      RestartUnderTraffic(rounds, received);
      done = true;
    });
    while (!done) {
      receiver.TakeOne(milliseconds(5));
      receiver.GiveBack(stream);
      received = receiver.received(stream);
    }
    restarter.join();
    EXPECT_TRUE(receiver.HeldIntact());
    EXPECT_EQ(receiver.HeldBuffers(), buffers);
    receiver.CloseSockets();
    receiver.GiveBack();
    EXPECT_EQ(receiver.HoldAll(), Receiver::kPages);
    printf("%llu restarts, %llu bytes received meanwhile\n", static_cast<unsigned long long>(rounds * 5),
           static_cast<unsigned long long>(received.load()));
  });
}

}  // namespace
}  // namespace zcrx
