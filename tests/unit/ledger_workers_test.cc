// SPDX-License-Identifier: Apache-2.0
//
// Buffers in the hands of eight threads while their ledger's owner goes away, as it
// does with a queue: nothing is lost, nothing is touched too early, and the region
// is unmapped with the last of them.
#include "tests/worker_pool.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/give_back.h"
#include "lib/ring/refill_ring.h"

namespace zcrx::internal {
namespace {

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 1024;
constexpr uint32_t kRefills = 64;  // fewer than there are pieces: returns have to wait as well

std::byte ContentAt(uint64_t index) { return static_cast<std::byte>((index * 2654435761u) >> 11); }

class LedgerWorkersTest : public testing::TestWithParam<WhenReturned> {
 protected:
  // Receives the next fragment into a piece that is free.
  Buffer Receive() {
    const uint64_t piece = free_.back();
    free_.pop_back();
    const size_t length = 1 + received_ % kPiece;
    BufferRecord* record = ledger_->Issue(piece * kPiece, length, piece * kPiece);
    auto* bytes = const_cast<std::byte*>(record->bytes.data());  // the NIC is who writes
    for (size_t i = 0; i < length; ++i) bytes[i] = ContentAt(received_ + i);
    received_ += length;
    return {record->bytes, record};
  }

  // A turn of the owner: what has been returned is free again.
  void Turn() {
    GiveBack(*ledger_, refill_);
    for (; head_ != tail_; ++head_) free_.push_back(rqes_[head_ % kRefills].off / kPiece);
  }

  bool AnyFree() const { return !free_.empty(); }
  uint64_t received() const { return received_; }
  void FreeAll() {
    for (uint64_t piece = 0; piece < kPieces; ++piece) free_.push_back(piece);
  }

  BufferLedger::Handle ledger_ =
      BufferLedger::Open(*PoolRegion::Map({.bytes = kPieces * kPiece}, std::nullopt), *Waker::Create());

 private:
  std::vector<uapi::Rqe> rqes_ = std::vector<uapi::Rqe>(kRefills);
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  RefillRing refill_{{.head = &head_, .tail = &tail_, .entries = rqes_.data(), .size = kRefills}};
  std::vector<uint64_t> free_;
  uint64_t received_ = 0;
};

TEST_P(LedgerWorkersTest, BuffersOutliveTheQueue) {
  const std::byte* base = ledger_->region().base();
  FreeAll();
  WorkerPool workers(&ContentAt);
  Buffer last;
  uint64_t last_position = 0;
  for (size_t i = 0; i < kPieces; ++i) {
    const uint64_t position = received();
    Buffer buffer = Receive();
    if (i == kPieces / 2) {
      last = buffer.Share();
      last_position = position;
    }
    workers.Give(std::move(buffer), position);
  }
  EXPECT_FALSE(AnyFree());
  Turn();
  EXPECT_FALSE(AnyFree()) << "they are all held";
  EXPECT_GE(workers.held(), kPieces);

  if (GetParam() == WhenReturned::kBeforeTheEnd) {
    workers.StartReturning();
    // The queue goes on: each piece that comes back is received into again, and goes to them again.
    for (size_t i = 0; i < kPieces; ++i) {
      while (!AnyFree()) {
        Turn();
        std::this_thread::yield();
      }
      const uint64_t position = received();
      workers.Give(Receive(), position);
    }
  } else if (GetParam() == WhenReturned::kMeanwhile) {
    workers.StartReturning();
  }
  ledger_.reset();
  EXPECT_EQ(workers.Finish(), 0u) << "bytes were overwritten while they were held";
  EXPECT_EQ(workers.held(), 0u);
  EXPECT_GT(workers.parts(), 0u);

  // One is left, and it keeps all of the region.
  for (size_t piece = 0; piece < kPieces; ++piece) ASSERT_TRUE(IsMapped(base + piece * kPiece)) << piece;
  for (size_t i = 0; i < last.size(); ++i) ASSERT_EQ(last.bytes()[i], ContentAt(last_position + i));
  last.Reset();
  for (size_t piece = 0; piece < kPieces; ++piece) ASSERT_FALSE(IsMapped(base + piece * kPiece)) << piece;
}

INSTANTIATE_TEST_SUITE_P(Returned, LedgerWorkersTest,
                         testing::Values(WhenReturned::kBeforeTheEnd, WhenReturned::kMeanwhile,
                                         WhenReturned::kAfterTheEnd),
                         [](const auto& when) { return NameOf(when.param); });

}  // namespace
}  // namespace zcrx::internal
