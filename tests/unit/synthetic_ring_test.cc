// SPDX-License-Identifier: Apache-2.0
//
// Ten million buffers each through the main completion queue and through the rbuf
// ring, in plain memory, with the test as kernel and
// NIC: it picks free pieces, posts completions, and takes back what the refill
// ring brings. Everything is checked: no piece is lost, none comes twice, and
// once warm nothing is allocated.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/give_back.h"
#include "lib/ifq/take.h"
#include "lib/ring/completion_queue.h"
#include "lib/ring/rbuf_ring.h"
#include "lib/ring/refill_ring.h"
#include "tests/allocation_counter.h"
#include "zcrx/buffer.h"
#include "zcrx/buffer_chain.h"

namespace zcrx::internal {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr uint64_t kBuffers = 200'000;  // one thread: nothing for it to find, and slow
#else
constexpr uint64_t kBuffers = 10'000'000;
#endif
constexpr uint64_t kWarmUp = 100'000;
constexpr uint32_t kPieces = 1024;
constexpr uint32_t kPieceBytes = 4096;
constexpr uint32_t kCompletions = 256;
// Smaller than what may come in a turn, so that it fills up.
constexpr uint32_t kRbufs = 128;
// Smaller than the pieces, so that it fills up and returns have to wait.
constexpr uint32_t kRefills = 128;

// Kernel and NIC: what both ways of completion have in common.
class SyntheticKernel {
 public:
  SyntheticKernel() : cqes_(kCompletions * 4), rqes_(kRefills), out_(kPieces, 0) {
    for (uint64_t piece = 0; piece < kPieces; ++piece) free_.push_back(piece);
  }

  RefillRing::Memory refills() {
    return {.head = &rq_head_, .tail = &rq_tail_, .entries = rqes_.data(), .size = kRefills};
  }

  // Takes up to `count` entries of the refill ring.
  void Refill(uint32_t count) {
    for (; count > 0 && rq_head_ != rq_tail_; --count, ++rq_head_) {
      const uint64_t piece = rqes_[rq_head_ % kRefills].off / kPieceBytes;
      ASSERT_LT(piece, kPieces);
      ASSERT_TRUE(std::exchange(out_[piece], 0)) << "piece " << piece << " came back without being out";
      free_.push_back(piece);
    }
  }

  size_t free_pieces() const { return free_.size(); }

 protected:
  // A piece for a packet. There must be a free one.
  uint64_t TakePiece() {
    const uint64_t piece = free_.back();
    free_.pop_back();
    EXPECT_FALSE(std::exchange(out_[piece], 1));
    return piece;
  }
  static uint32_t LengthOf(uint64_t piece) { return static_cast<uint32_t>(1 + piece); }

  bool CompletionsFull() const { return cq_tail_ - cq_head_ == kCompletions; }
  void PostCompletion(uint32_t result, uint64_t offset) {
    io_uring_cqe* cqe = Cqe(cq_tail_ % kCompletions);
    cqe->user_data = 1;
    cqe->res = static_cast<int32_t>(result);
    cqe->flags = IORING_CQE_F_MORE;
    if (wide_) cqe->big_cqe[0] = offset;
    ++cq_tail_;
  }
  CompletionQueue::Memory CompletionMemory(bool wide) {
    wide_ = wide;
    return {.head = &cq_head_, .tail = &cq_tail_, .entries = Cqe(0), .size = kCompletions, .wide = wide};
  }

  bool AnyFree() const { return !free_.empty(); }

 private:
  io_uring_cqe* Cqe(uint32_t slot) {
    return reinterpret_cast<io_uring_cqe*>(&cqes_[size_t{slot} * (wide_ ? 4 : 2)]);
  }

  // Close to the wrap-around of both counters.
  uint32_t cq_head_ = UINT32_MAX - 1000;
  uint32_t cq_tail_ = cq_head_;
  uint32_t rq_head_ = UINT32_MAX - 1000;
  uint32_t rq_tail_ = rq_head_;
  bool wide_ = false;
  std::vector<uint64_t> cqes_;
  std::vector<uapi::Rqe> rqes_;
  std::vector<char> out_;  // not vector<bool>: std::exchange needs references
  std::vector<uint64_t> free_;
};

// One completion for each packet.
class ByMainQueue : public SyntheticKernel {
 public:
  // Receives up to `count` packets, as far as there are pieces and room for completions.
  uint64_t Receive(uint64_t count) {
    uint64_t received = 0;
    for (; received < count && AnyFree() && !CompletionsFull(); ++received) {
      const uint64_t piece = TakePiece();
      PostCompletion(LengthOf(piece), piece * kPieceBytes);
    }
    return received;
  }

  // Takes what the completions tell of.
  void Take(BufferLedger& ledger, RecordQueue& fragments) {
    completions_.Drain([&](uint64_t, Completion completion) {
      EXPECT_TRUE(TakeFragment(ledger, 0, completion.zc_offset, static_cast<uint32_t>(completion.res), false,
                               fragments, nullptr));
    });
  }

 private:
  CompletionQueue completions_{CompletionMemory(/*wide=*/true)};
};

// One entry of the rbuf ring for each packet, one completion for some of them.
class ByRbufRing : public SyntheticKernel {
 public:
  ByRbufRing() : entries_(kRbufs) {}

  uint64_t Receive(uint64_t count) {
    uint64_t received = 0;
    while (received < count && !CompletionsFull()) {
      uint32_t pass = 0;
      const uint32_t most = 1 + static_cast<uint32_t>(random_() % 20);
      for (; pass < most && received + pass < count && AnyFree() && tail_ - head_ < kRbufs; ++pass) {
        const uint64_t piece = TakePiece();
        entries_[tail_++ % kRbufs] = {
            .off = piece * kPieceBytes, .len = LengthOf(piece), .flags = static_cast<uint32_t>(piece % 2)};
      }
      if (pass == 0) break;
      PostCompletion(pass, 0);
      received += pass;
    }
    return received;
  }

  void Take(BufferLedger& ledger, RecordQueue& fragments) {
    completions_.Drain([&](uint64_t, Completion completion) {
      const auto before = fragments.size();
      EXPECT_TRUE(TakeFragments(ledger, 0, ring_, static_cast<uint32_t>(completion.res), fragments, nullptr));
      EXPECT_EQ(fragments.size() - before, static_cast<uint64_t>(completion.res));
    });
  }

 private:
  std::minstd_rand random_;
  std::vector<uapi::RbufCqe> entries_;
  uint32_t head_ = UINT32_MAX - 1000;
  uint32_t tail_ = head_;
  CompletionQueue completions_{CompletionMemory(/*wide=*/false)};
  RbufRing ring_{{.head = &head_, .tail = &tail_, .entries = entries_.data(), .size = kRbufs}};
};

template <typename Kernel>
class SyntheticRingTest : public testing::Test {};
using Kernels = testing::Types<ByMainQueue, ByRbufRing>;
TYPED_TEST_SUITE(SyntheticRingTest, Kernels);

TYPED_TEST(SyntheticRingTest, TenMillionBuffers) {
  TypeParam kernel;
  RefillRing refill(kernel.refills());
  const auto ledger =
      BufferLedger::Open(*PoolRegion::Map({.bytes = kPieces * kPieceBytes}, std::nullopt), *Waker::Create());

  std::minstd_rand random(1);
  std::vector<Buffer> held;  // by a slow application, which drops them in any order
  held.reserve(kPieces);
  uint64_t received = 0;
  uint64_t warm_allocations = 0;
  uint64_t waited = 0;
  while (received < kBuffers) {
    if (received < kWarmUp) warm_allocations = AllocationCount();
    const uint64_t turn = kernel.Receive(1 + random() % 200);
    received += turn;

    RecordQueue fragments;
    kernel.Take(*ledger, fragments);
    ASSERT_EQ(fragments.size(), turn);
    BufferChain chain;
    while (!fragments.empty()) {
      BufferRecord* record = fragments.Pop();
      chain.Append(Buffer(record->bytes, record));
    }
    while (!chain.empty()) {
      Buffer buffer = chain.PopFront();
      ASSERT_EQ(buffer.size(),
                1 + static_cast<size_t>(buffer.data() - ledger->region().base()) / kPieceBytes);
      if (random() % 4 == 0) held.push_back(std::move(buffer));
    }
    while (held.size() > kPieces / 2 || (!held.empty() && random() % 8 != 0)) {
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    }

    GiveBack(*ledger, refill);
    if (ledger->returned() > 0) ++waited;
    kernel.Refill(random() % 256);
  }
  EXPECT_EQ(AllocationCount() - warm_allocations, 0u) << "allocations after warming up";
  EXPECT_GT(waited, 0u) << "the refill ring was never full: the test tested less than it says";

  held.clear();
  while (ledger->out() > 0) {
    kernel.Refill(kRefills);
    ASSERT_GT(GiveBack(*ledger, refill), 0u) << "what is out does not come back";
  }
  kernel.Refill(kRefills);
  EXPECT_EQ(kernel.free_pieces(), kPieces);
  EXPECT_EQ(ledger->out(), 0u);
  EXPECT_EQ(ledger->issued(), received);
  EXPECT_EQ(ledger->settled(), received);
}

}  // namespace
}  // namespace zcrx::internal
