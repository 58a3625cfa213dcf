// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "zcrx/buffer.h"

namespace zcrx::internal {
namespace {

constexpr size_t kPiece = 4096;

std::shared_ptr<Waker> NewWaker() { return *Waker::Create(); }

BufferLedger::Handle OpenLedger(size_t pieces, std::shared_ptr<Waker> waker = NewWaker()) {
  return BufferLedger::Open(*PoolRegion::Map({.bytes = pieces * kPiece}, std::nullopt), std::move(waker));
}

Buffer IssueBuffer(BufferLedger& ledger, uint64_t piece, size_t length = 100) {
  BufferRecord* record = ledger.Issue(piece * kPiece, length, piece);
  return {record->bytes, record};
}

// Settles all that has come back; the tokens, in order.
std::vector<uint64_t> SettleReturned(BufferLedger& ledger) {
  std::vector<uint64_t> tokens;
  ledger.Settle([&](uint64_t token) {
    tokens.push_back(token);
    return true;
  });
  return tokens;
}

bool Awake(const Waker& waker) {
  pollfd poll_fd = {.fd = waker.fd(), .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, 0) == 1;
}

TEST(LedgerTest, BufferLiesInTheRegion) {
  const auto ledger = OpenLedger(4);
  const Buffer buffer = IssueBuffer(*ledger, 2, 50);
  EXPECT_EQ(buffer.data(), ledger->region().base() + 2 * kPiece);
  EXPECT_EQ(buffer.size(), 50u);
  EXPECT_EQ(ledger->out(), 1u);
}

TEST(LedgerTest, ReturnsComeBackInTheirOwnOrder) {
  const auto ledger = OpenLedger(4);
  Buffer a = IssueBuffer(*ledger, 0);
  Buffer b = IssueBuffer(*ledger, 1);
  Buffer c = IssueBuffer(*ledger, 2);
  b.Reset();
  c.Reset();
  a.Reset();
  EXPECT_EQ(SettleReturned(*ledger), (std::vector<uint64_t>{1, 2, 0}));
  EXPECT_EQ(ledger->out(), 0u);
  EXPECT_EQ(ledger->out_peak(), 3u);
}

TEST(LedgerTest, UnsettledReturnsWaitInOrder) {
  const auto ledger = OpenLedger(4);
  IssueBuffer(*ledger, 3).Reset();
  IssueBuffer(*ledger, 1).Reset();
  EXPECT_EQ(ledger->Settle([](uint64_t) { return false; }), 0u);  // the refill ring was full
  IssueBuffer(*ledger, 2).Reset();
  EXPECT_EQ(SettleReturned(*ledger), (std::vector<uint64_t>{3, 1, 2}));
}

TEST(LedgerTest, PieceGoesBackWithItsLastReference) {
  const auto ledger = OpenLedger(4);
  Buffer whole = IssueBuffer(*ledger, 1);
  Buffer share = whole.Share();
  Buffer slice = share.Slice(10, 5);
  EXPECT_EQ(slice.data(), whole.data() + 10);
  whole.Reset();
  share.Reset();
  EXPECT_TRUE(SettleReturned(*ledger).empty());
  slice.Reset();
  EXPECT_EQ(SettleReturned(*ledger), std::vector<uint64_t>{1});
}

TEST(LedgerTest, OnePieceInSeveralFragmentsComesBackOncePerFragment) {
  const auto ledger = OpenLedger(4);
  Buffer first = IssueBuffer(*ledger, 1);
  Buffer second = IssueBuffer(*ledger, 1);
  first.Reset();
  second.Reset();
  EXPECT_EQ(SettleReturned(*ledger), (std::vector<uint64_t>{1, 1}));
}

TEST(LedgerTest, BufferOutlivesTheLedgersOwner) {
  auto ledger = OpenLedger(4);
  Buffer kept = IssueBuffer(*ledger, 1);
  Buffer returned = IssueBuffer(*ledger, 2);
  returned.Reset();
  std::memset(const_cast<std::byte*>(kept.data()), 7, kept.size());
  ledger.reset();
  EXPECT_EQ(kept.bytes()[99], std::byte{7});  // still mapped
  Buffer late_share = kept.Share();
  kept.Reset();
  EXPECT_EQ(late_share.bytes()[0], std::byte{7});
}

TEST(LedgerTest, BuffersReturnedOnOtherThreadsAfterTheEnd) {
  auto ledger = OpenLedger(64);
  std::vector<Buffer> buffers;
  for (uint64_t i = 0; i < 64; ++i) buffers.push_back(IssueBuffer(*ledger, i));
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    std::vector<Buffer> part;
    for (int i = 0; i < 16; ++i) {
      part.push_back(std::move(buffers.back()));
      buffers.pop_back();
    }
    threads.emplace_back([part = std::move(part)]() mutable { part.clear(); });
  }
  ledger.reset();  // while they return
}

TEST(LedgerTest, ReturnWakesAnOwnerThatAskedForIt) {
  const auto waker = NewWaker();
  const auto ledger = OpenLedger(4, waker);
  Buffer a = IssueBuffer(*ledger, 0);
  Buffer b = IssueBuffer(*ledger, 1);
  Buffer c = IssueBuffer(*ledger, 2);
  EXPECT_TRUE(ledger->PrepareToSleep(false));
  std::jthread([&] { a.Reset(); }).join();
  EXPECT_FALSE(Awake(*waker));  // it did not ask
  EXPECT_FALSE(ledger->PrepareToSleep(true)) << "a return is there: it must not sleep";
  SettleReturned(*ledger);
  EXPECT_TRUE(ledger->PrepareToSleep(true));
  std::jthread([&] { b.Reset(); }).join();
  EXPECT_TRUE(Awake(*waker));
  waker->Clear();
  std::jthread([&] { c.Reset(); }).join();
  EXPECT_FALSE(Awake(*waker)) << "one wake-up is enough";
}

// Between two turns of a loop that is not ours, the owner's thread drops buffers, too.
TEST(LedgerTest, OwnReturnsWakeAnOwnerThatAskedForIt) {
  const auto waker = NewWaker();
  const auto ledger = OpenLedger(4, waker);
  Buffer a = IssueBuffer(*ledger, 0);
  Buffer b = IssueBuffer(*ledger, 1);
  Buffer c = IssueBuffer(*ledger, 2);
  EXPECT_TRUE(ledger->PrepareToSleep(true));
  a.Reset();
  EXPECT_TRUE(Awake(*waker));
  waker->Clear();
  b.Reset();
  EXPECT_FALSE(Awake(*waker)) << "one wake-up is enough";
  EXPECT_FALSE(ledger->PrepareToSleep(true)) << "returns are there: it must not sleep";
  ledger->StayAwake();
  c.Reset();
  EXPECT_FALSE(Awake(*waker)) << "it is awake";
  std::vector<uint64_t> tokens = SettleReturned(*ledger);
  std::sort(tokens.begin(), tokens.end());
  EXPECT_EQ(tokens, (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(ledger->out(), 0u);
}

// 8 threads return what the owner issues, out of order, while it goes on.
// Every fragment comes back exactly once.
TEST(LedgerTest, EightThreadsReturn) {
  constexpr int kThreads = 8;
  constexpr uint64_t kBuffers = 200'000;
  constexpr uint64_t kMostOut = 2000;
  const auto ledger = OpenLedger(4);

  struct Mailbox {
    std::mutex mutex;
    std::vector<Buffer> buffers;  // guarded by mutex
  };
  std::vector<Mailbox> mailboxes(kThreads);
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(static_cast<unsigned>(t));
      std::vector<Buffer> mine;
      while (true) {
        const bool last = done.load();
        {
          const std::lock_guard lock(mailboxes[t].mutex);
          for (Buffer& buffer : mailboxes[t].buffers) mine.push_back(std::move(buffer));
          mailboxes[t].buffers.clear();
        }
        std::shuffle(mine.begin(), mine.end(), random);
        mine.clear();
        if (last) return;
        std::this_thread::yield();
      }
    });
  }

  std::vector<uint8_t> came_back(kBuffers, 0);
  const auto settle = [&] {
    for (const uint64_t token : SettleReturned(*ledger)) ++came_back[token];
  };
  for (uint64_t i = 0; i < kBuffers; ++i) {
    // Without bytes: so many fragments of their own do not fit into the region.
    BufferRecord* record = ledger->Issue(0, 0, i);
    Mailbox& mailbox = mailboxes[i % kThreads];
    {
      const std::lock_guard lock(mailbox.mutex);
      mailbox.buffers.emplace_back(record->bytes, record);
    }
    while (ledger->out() >= kMostOut) {
      settle();
      std::this_thread::yield();
    }
  }
  done = true;
  threads.clear();  // joins
  settle();
  EXPECT_EQ(ledger->out(), 0u);
  EXPECT_EQ(ledger->issued(), kBuffers);
  EXPECT_EQ(std::count(came_back.begin(), came_back.end(), 1), static_cast<std::ptrdiff_t>(kBuffers));
}

}  // namespace
}  // namespace zcrx::internal
