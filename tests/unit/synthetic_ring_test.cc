// SPDX-License-Identifier: Apache-2.0
//
// Ten million buffers through rings in plain memory, with the test as kernel and
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
#include "lib/ring/completion_queue.h"
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
// Smaller than the pieces, so that it fills up and returns have to wait.
constexpr uint32_t kRefills = 128;

// Kernel and NIC.
class SyntheticKernel {
 public:
  SyntheticKernel() : cqes_(kCompletions * 4), rqes_(kRefills), out_(kPieces, 0) {
    for (uint64_t piece = 0; piece < kPieces; ++piece) free_.push_back(piece);
  }

  CompletionQueue::Memory completions() {
    return {.head = &cq_head_, .tail = &cq_tail_, .entries = Cqe(0), .size = kCompletions, .wide = true};
  }
  RefillRing::Memory refills() {
    return {.head = &rq_head_, .tail = &rq_tail_, .entries = rqes_.data(), .size = kRefills};
  }

  // Receives up to `count` packets, as far as there are pieces and room for completions.
  uint64_t Receive(uint64_t count) {
    uint64_t received = 0;
    while (received < count && !free_.empty() && cq_tail_ - cq_head_ < kCompletions) {
      const uint64_t piece = free_.back();
      free_.pop_back();
      EXPECT_FALSE(std::exchange(out_[piece], 1));
      io_uring_cqe* cqe = Cqe(cq_tail_ % kCompletions);
      cqe->user_data = 1;
      cqe->res = static_cast<int32_t>(1 + piece);
      cqe->flags = IORING_CQE_F_MORE;
      cqe->big_cqe[0] = piece * kPieceBytes;
      ++cq_tail_;
      ++received;
    }
    return received;
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

 private:
  io_uring_cqe* Cqe(uint32_t slot) { return reinterpret_cast<io_uring_cqe*>(&cqes_[slot * 4]); }

  // Close to the wrap-around of both counters.
  uint32_t cq_head_ = UINT32_MAX - 1000;
  uint32_t cq_tail_ = cq_head_;
  uint32_t rq_head_ = UINT32_MAX - 1000;
  uint32_t rq_tail_ = rq_head_;
  std::vector<uint64_t> cqes_;
  std::vector<uapi::Rqe> rqes_;
  std::vector<char> out_;  // not vector<bool>: std::exchange needs references
  std::vector<uint64_t> free_;
};

TEST(SyntheticRingTest, TenMillionBuffers) {
  SyntheticKernel kernel;
  CompletionQueue completions(kernel.completions());
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

    BufferChain chain;
    completions.Drain([&](uint64_t, const Completion& completion) {
      BufferRecord* record =
          ledger->Issue(completion.zc_offset, static_cast<uint32_t>(completion.res), completion.zc_offset);
      chain.Append(Buffer(record->bytes, record));
    });
    ASSERT_EQ(chain.buffer_count(), turn);
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
