// SPDX-License-Identifier: Apache-2.0
//
// Several threads, each with a ledger, receive from one queue and give back by its
// one refill ring: every piece that goes out comes back, once, whoever has ended first.
#include "lib/ifq/refill.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "zcrx/buffer.h"

namespace zcrx::internal {
namespace {

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 512;
constexpr uint32_t kEntries = 64;  // fewer than there are pieces: returns have to wait as well

// The kernel's side of the queue.
class Kernel {
 public:
  explicit Kernel(Refill& refill) {
    refill.Use(RefillRing({.head = &head_, .tail = &tail_, .entries = entries_.data(), .size = kEntries}));
    for (uint64_t piece = 0; piece < kPieces; ++piece) free_.push_back(piece);
  }

  // A piece with new bytes for somebody; nothing if all are out.
  std::optional<uint64_t> Deliver() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) ReadRing();
    if (free_.empty()) return std::nullopt;
    const uint64_t piece = free_.back();
    free_.pop_back();
    out_[piece] = true;
    return piece;
  }

  size_t CountFree() {
    const std::lock_guard lock(mutex_);
    ReadRing();
    return free_.size();
  }

 private:
  void ReadRing() {
    const uint32_t tail = std::atomic_ref(tail_).load(std::memory_order_acquire);
    uint32_t head = std::atomic_ref(head_).load(std::memory_order_relaxed);
    for (; head != tail; ++head) {
      const uint64_t piece = entries_[head % kEntries].off / kPiece;
      ASSERT_LT(piece, kPieces);
      EXPECT_TRUE(out_[piece]) << "piece " << piece << " comes back twice";
      out_[piece] = false;
      free_.push_back(piece);
    }
    std::atomic_ref(head_).store(head, std::memory_order_release);
  }

  std::mutex mutex_;
  std::vector<uint64_t> free_;
  std::vector<bool> out_ = std::vector<bool>(kPieces);
  std::vector<uapi::Rqe> entries_ = std::vector<uapi::Rqe>(kEntries);
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
};

// All that is shared.
struct Queue {
  GuardedRegion region{*PoolRegion::Map({.bytes = kPieces * kPiece}, std::nullopt)};
  Refill refill{/*shared=*/true};
  Kernel kernel{refill};
};

BufferLedger::Handle OpenLedger(const std::shared_ptr<Queue>& queue) {
  return BufferLedger::Open(std::shared_ptr<GuardedRegion>(queue, &queue->region), *Waker::Create(),
                            [queue](uint64_t token) { queue->refill.GiveBackLate(token); });
}

std::optional<Buffer> Receive(Queue& queue, BufferLedger& ledger) {
  const std::optional<uint64_t> piece = queue.kernel.Deliver();
  if (!piece.has_value()) return std::nullopt;
  BufferRecord* record = ledger.Issue(*piece * kPiece, kPiece, *piece * kPiece);
  return Buffer(record->bytes, record);
}

// One runtime: receives so many fragments, holds some of them, and leaves `kept` behind when it ends.
void ReceiveMany(const std::shared_ptr<Queue>& queue, size_t fragments, size_t most_held,
                 std::vector<Buffer>& kept) {
  const BufferLedger::Handle ledger = OpenLedger(queue);
  std::vector<Buffer> held;
  for (size_t i = 0; i < fragments;) {
    if (std::optional<Buffer> buffer = Receive(*queue, *ledger)) {
      held.push_back(*std::move(buffer));
      ++i;
    } else {
      std::this_thread::yield();
    }
    if (held.size() < most_held) continue;
    kept.push_back(std::move(held.back()));
    held.clear();
    if (kept.size() > 8) kept.clear();
    queue->refill.GiveBack(*ledger);
  }
  // `held` goes with the scope, before the ledger, which has not given it back.
}

TEST(RefillTest, ThreadsShareTheRing) {
  const auto queue = std::make_shared<Queue>();
  constexpr size_t kThreads = 4;
  std::vector<std::vector<Buffer>> kept(kThreads);
  {
    std::vector<std::jthread> threads;
    // They end at different times: what those leave behind that end first is received into by the others.
    for (size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] { ReceiveMany(queue, 5000 * (i + 1), 16 + i, kept[i]); });
    }
  }
  size_t held = 0;
  for (const std::vector<Buffer>& buffers : kept) held += buffers.size();
  EXPECT_GT(held, 0u);
  // Whoever comes next takes along what found no room.
  const BufferLedger::Handle last = OpenLedger(queue);
  const auto count_free = [&] {
    size_t before = 0;
    size_t now = queue->kernel.CountFree();
    while (now != std::exchange(before, now)) {
      queue->refill.GiveBack(*last);
      now = queue->kernel.CountFree();
    }
    return now;
  };
  EXPECT_EQ(count_free(), kPieces - held);
  kept.clear();
  EXPECT_EQ(count_free(), kPieces);
}

TEST(RefillTest, LateReturnsWaitForRoom) {
  const auto queue = std::make_shared<Queue>();
  const BufferLedger::Handle stays = OpenLedger(queue);
  std::vector<Buffer> held;
  {
    const BufferLedger::Handle ends = OpenLedger(queue);
    while (std::optional<Buffer> buffer = Receive(*queue, *ends)) held.push_back(*std::move(buffer));
  }
  ASSERT_EQ(held.size(), kPieces);
  std::jthread([&] { held.clear(); });
  EXPECT_EQ(queue->kernel.CountFree(), kEntries) << "as many as have room, at once";
  for (size_t free = kEntries; free < kPieces;) {
    queue->refill.GiveBack(*stays);
    const size_t now = queue->kernel.CountFree();
    ASSERT_GT(now, free);
    free = now;
  }
}

TEST(RefillTest, TheRegionStaysForTheLastBuffer) {
  auto queue = std::make_shared<Queue>();
  const std::weak_ptr<Queue> memory = queue;
  BufferLedger::Handle ledger = OpenLedger(queue);
  // Not an optional: g++ 12 takes what is in that for uninitialized.
  Buffer buffer = *Receive(*queue, *ledger);
  ASSERT_FALSE(buffer.empty());
  ledger.reset();
  queue.reset();
  EXPECT_FALSE(memory.expired());
  EXPECT_EQ(buffer.bytes()[kPiece - 1], std::byte{0});
  buffer.Reset();
  EXPECT_TRUE(memory.expired());
}

}  // namespace
}  // namespace zcrx::internal
