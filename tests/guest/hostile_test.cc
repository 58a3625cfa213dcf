// SPDX-License-Identifier: Apache-2.0
//
// Applications that keep what they should give back, and give back what is not
// theirs: they harm nobody, and the kernel has all buffers again at the end.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <random>
#include <thread>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;

class LifetimeHostileTest : public testing::Test {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
  }
};

// Every buffer is there, several times over, each once.
void ExpectAllBuffers(Receiver& receiver) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(receiver.HoldAll(), Receiver::kPages) << "time " << i;
    receiver.GiveBack();
  }
}

void ExpectAllBuffersOfANewRing() {
  Receiver receiver;
  ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
  ExpectAllBuffers(receiver);
}

uint64_t AllocFailures() { return QueueCounter(kZeroCopyQueue, "alloc_fail"); }

// Connections that take a few buffers each and are closed; how many, until the NIC has no buffer left.
uint64_t CloseWithoutGivingBack(Receiver& receiver) {
  constexpr uint64_t kBytes = 32 << 10;
  const Fd listener = Listen(ZeroCopyPort());
  const uint64_t before = AllocFailures();
  uint64_t rounds = 0;
  for (; rounds < 10000 && AllocFailures() == before; ++rounds) {
    const Sender sender(kBytes);
    const size_t stream = receiver.Adopt(AcceptSoon(listener));
    while (receiver.received(stream) < kBytes && AllocFailures() == before) receiver.TakeOne(milliseconds(5));
    receiver.CloseSocket(stream);
  }
  return rounds;
}

TEST_F(LifetimeHostileTest, TakesAllAndGivesNothingBack) {
  InNamespace("a", [] {
    {
      Receiver receiver;
      ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
      const uint64_t rounds = CloseWithoutGivingBack(receiver);
      EXPECT_LT(rounds, 10000u);
      // The last ones, which were too few for the packet that found none.
      EXPECT_EQ(receiver.HoldAll(), Receiver::kPages);
      // Connections are still made, but nothing comes.
      const uint64_t before = AllocFailures();
      const Fd listener = Listen(ZeroCopyPort());
      const Sender sender(1000);
      const size_t stream = receiver.Adopt(AcceptSoon(listener));
      WaitFor("packets lost for want of a buffer", [&] {
        receiver.TakeOne(milliseconds(1));
        return AllocFailures() >= before + 3;
      });
      EXPECT_EQ(receiver.received(stream), 0u);
      printf("region empty after %llu connections\n", static_cast<unsigned long long>(rounds));
    }
    ExpectAllBuffersOfANewRing();
  });
}

// Writes nonsense over a refill ring, whoever may be reading it.
class Scribbler {
 public:
  explicit Scribbler(Registration& registration) : registration_(registration), thread_([this] { Run(); }) {}
  ~Scribbler() { stop_ = true; }

 private:
  void Run() {
    auto* rqes = reinterpret_cast<uapi::Rqe*>(registration_.refill.base() + registration_.ifq.offsets.rqes);
    const uint32_t entries = registration_.ifq.rq_entries;
    while (!stop_) {
      for (int i = 0; i < 64; ++i) Scribble(rqes[random_() % entries]);
      MoveTail();
    }
  }

  void Scribble(uapi::Rqe& rqe) {
    const uint64_t region = registration_.area.len;
    uint64_t offset = random_() % region;
    uint32_t pad = 0;
    // Mostly plausible: the kernel ends a batch at what is not.
    switch (random_() % 256) {
      case 0:
        offset = random_();  // anything
        break;
      case 1:
        offset |= uint64_t{1} << uapi::kAreaShift;  // an area that is not there
        break;
      case 2:
        offset += region;
        break;
      case 3:
        pad = static_cast<uint32_t>(random_());
        break;
      case 4:
        offset = region;  // one too far
        break;
      default:
        break;
    }
    std::atomic_ref(rqe.off).store(offset, std::memory_order_relaxed);
    std::atomic_ref(rqe.pad).store(pad, std::memory_order_relaxed);
  }

  void MoveTail() {
    uint32_t& word =
        *reinterpret_cast<uint32_t*>(registration_.refill.base() + registration_.ifq.offsets.tail);
    const std::atomic_ref tail(word);
    const uint32_t head = registration_.head();
    switch (random_() % 8) {
      case 0:
        tail.store(static_cast<uint32_t>(random_()));
        break;
      case 1:
        tail.store(head - 1);  // all there is, and more
        break;
      case 2:
        tail.store(head);
        break;
      default:
        tail.store(head + static_cast<uint32_t>(random_() % registration_.ifq.rq_entries));
        break;
    }
  }

  Registration& registration_;
  std::mt19937_64 random_{20261124};
  std::atomic<bool> stop_ = false;
  std::jthread thread_;
};

// With traffic and without. How many bytes came meanwhile.
uint64_t ReceiveUntilEntriesAreTaken(Receiver& receiver, size_t stream, uint64_t entries) {
  const Scribbler scribbler(receiver.registration());
  uint64_t taken = 0;
  uint32_t head = receiver.registration().head();
  for (uint64_t turn = 0; taken < entries; ++turn) {
    receiver.TakeOne(milliseconds(0));
    if (turn % 4 == 0) {
      EXPECT_EQ(Flush(receiver.ring(), receiver.registration()), 0);
    }
    const uint32_t now = receiver.registration().head();
    taken += now - head;
    head = now;
  }
  return receiver.received(stream);
}

// Returns for each reference that the application may still have, one at a time.
void GiveBackWhateverThereIs(Receiver& receiver) {
  Registration& registration = receiver.registration();
  auto* tail = reinterpret_cast<uint32_t*>(registration.refill.base() + registration.ifq.offsets.tail);
  *tail = registration.head();
  for (int pass = 0; pass < 8; ++pass) {
    for (uint64_t page = 0; page < Receiver::kPages; ++page)
      registration.PutEntry(page * internal::PageBytes());
    receiver.Flush();
  }
  receiver.Forget();
}

TEST_F(LifetimeHostileTest, ScribblesOverTheRefillRing) {
  InNamespace("a", [] {
    const uint64_t entries = Parameter("ZCRX_ENTRIES", 300'000);
    {
      Receiver receiver;
      ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
      receiver.set_lenient(true);
      uint64_t bytes = 0;
      {
        const Fd listener = Listen(ZeroCopyPort());
        const Sender sender(Sender::kForever);
        const size_t stream = receiver.Adopt(AcceptSoon(listener));
        bytes = ReceiveUntilEntriesAreTaken(receiver, stream, entries);
        receiver.CloseSockets();
      }
      EXPECT_GT(bytes, 1u << 16) << "hardly any traffic";
      GiveBackWhateverThereIs(receiver);
      receiver.set_lenient(false);
      // None is lost and none is doubled, in this ring already.
      ExpectAllBuffers(receiver);
      printf("%llu entries, %llu bytes received meanwhile\n", static_cast<unsigned long long>(entries),
             static_cast<unsigned long long>(bytes));
    }
    ExpectAllBuffersOfANewRing();
  });
}

}  // namespace
}  // namespace zcrx
