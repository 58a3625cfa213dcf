// SPDX-License-Identifier: Apache-2.0
//
// One registration, several owners: rings that imported it, and a file descriptor.
// It ends with the last of them, whichever that is.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <optional>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

class LifetimeSharedTest : public testing::Test {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
    const RawRing ring;
    // A kernel that has the operation knows no such registration; another knows no such operation.
    const int result = Control(ring, 12345, uapi::kCtrlExport);
    if (result != -ENXIO) GTEST_SKIP() << "this kernel cannot export a registration: " << ErrnoName(result);
  }
};

constexpr uint64_t kBytes = 3 << 20;

// What is in completions that the ring which ends has not looked at is lost to the other until the
// registration ends: it must not be most of the region.
Fd ListenWithSmallBuffers() {
  Fd fd = Listen(ZeroCopyPort());
  const int bytes = 128 << 10;
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
  return fd;
}

// A connection of that ring alone.
struct Flow {
  Flow(Receiver& by, const Fd& listener)
      : receiver(by), sender(Sender::kForever), stream(by.Adopt(AcceptSoon(listener))) {}

  // More bytes, every one of them checked.
  void GoOn() {
    for (int i = 0; i < 8; ++i) {
      EXPECT_TRUE(receiver.Receive(stream, receiver.received(stream) + kBytes / 8));
      receiver.GiveBack();
    }
  }

  Receiver& receiver;
  Sender sender;
  size_t stream;
};

void ExpectEverythingGone() {
  WaitFor("the queue is free", [] { return !QueueIsBound(); });
  WaitFor("no page pool", [] { return ProviderPools().empty(); });
}

void OneRingEndsFirst(bool owner_first) {
  InNamespace("a", [&] {
    // The region is its memory, so it outlives both rings.
    Receiver owner;
    ASSERT_EQ(ErrnoName(owner.Bind()), "ok");
    Receiver second(1);
    Fd exported(Export(owner.ring(), owner.registration().ifq.zcrx_id));
    ASSERT_GE(exported.get(), 0);
    ASSERT_EQ(ErrnoName(second.Import(owner, exported.get())), "ok");
    exported.Close();
    const Fd listener = ListenWithSmallBuffers();
    Flow first_flow(owner, listener);
    Flow second_flow(second, listener);
    first_flow.GoOn();
    second_flow.GoOn();
    Receiver& ends = owner_first ? owner : second;
    Flow& stays = owner_first ? second_flow : first_flow;
    ends.CloseRing();
    ends.CloseSockets();
    stays.GoOn();
    EXPECT_TRUE(QueueIsBound());
    stays.receiver.CloseRing();
    stays.receiver.CloseSockets();
    ExpectEverythingGone();
  });
}

TEST_F(LifetimeSharedTest, OwnerEndsFirst) { OneRingEndsFirst(true); }
TEST_F(LifetimeSharedTest, ImporterEndsFirst) { OneRingEndsFirst(false); }

TEST_F(LifetimeSharedTest, DescriptorAlone) {
  InNamespace("a", [&] {
    Receiver owner;
    ASSERT_EQ(ErrnoName(owner.Bind()), "ok");
    Fd exported(Export(owner.ring(), owner.registration().ifq.zcrx_id));
    ASSERT_GE(exported.get(), 0);
    owner.CloseRing();
    // It is held, for as long as anybody may wait.
    const RawRing other;
    Registration again;
    again.UseNicNow();
    EXPECT_EQ(ErrnoName(again.Register(other)), "EEXIST");
    {
      Receiver heir(1);
      ASSERT_EQ(ErrnoName(heir.Import(owner, exported.get())), "ok");
      const Fd listener = Listen(ZeroCopyPort());
      Flow flow(heir, listener);
      flow.GoOn();
      heir.CloseRing();
      heir.CloseSockets();
    }
    EXPECT_EQ(ErrnoName(again.Register(other)), "EEXIST");
    EXPECT_TRUE(QueueIsBound());
    exported.Close();
    ExpectEverythingGone();
  });
}

}  // namespace
}  // namespace zcrx
