// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about received bytes is believed only within the region.
#include "lib/ifq/take.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "lib/ifq/give_back.h"

namespace zcrx::internal {
namespace {

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 16;
constexpr size_t kRegion = kPieces * kPiece;
constexpr uint64_t kArea = uint64_t{3} << uapi::kAreaShift;
constexpr uint32_t kSize = 64;

class TakeTest : public testing::Test {
 protected:
  ~TakeTest() override { fragments_.DropAll(); }

  bool Take(uint64_t offset, uint32_t length) {
    return TakeFragment(*ledger_, kArea, offset, length, /*copied=*/false, fragments_, nullptr);
  }

  void Append(uint64_t off, uint32_t len, uint32_t flags = 0) {
    entries_[tail_++ % kSize] = {.off = off, .len = len, .flags = flags};
  }
  bool TakeEntries(uint32_t count) {
    return TakeFragments(*ledger_, kArea, ring_, count, fragments_, nullptr);
  }

  BufferLedger::Handle ledger_ =
      BufferLedger::Open(*PoolRegion::Map({.bytes = kRegion}, std::nullopt), *Waker::Create());
  RecordQueue fragments_;
  std::vector<uapi::RbufCqe> entries_ = std::vector<uapi::RbufCqe>(kSize);
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  RbufRing ring_{{.head = &head_, .tail = &tail_, .entries = entries_.data(), .size = kSize}};
};

TEST_F(TakeTest, BytesOfTheAreaBecomeARecord) {
  ASSERT_TRUE(Take(kArea + 5 * kPiece + 10, 100));
  const BufferRecord* record = fragments_.front();
  EXPECT_EQ(record->bytes.data(), ledger_->region().base() + 5 * kPiece + 10);
  EXPECT_EQ(record->bytes.size(), 100u);
  EXPECT_EQ(record->token, kArea + 5 * kPiece + 10) << "what the refill ring wants back";
  EXPECT_TRUE(Take(kArea + kRegion - 1, 1));
  EXPECT_TRUE(Take(kArea, kRegion));
}

TEST_F(TakeTest, BytesOutsideAreRefused) {
  EXPECT_FALSE(Take(kArea + kRegion, 1));
  EXPECT_FALSE(Take(kArea + kRegion - 1, 2));
  EXPECT_FALSE(Take(kArea, kRegion + 1));
  EXPECT_FALSE(Take(kArea + kPiece, UINT32_MAX));
  EXPECT_FALSE(Take(kArea + ~uapi::kAreaMask, 1));
  EXPECT_FALSE(Take(UINT64_MAX, 1));
  EXPECT_FALSE(Take(kPiece, 1)) << "of area 0, which is not ours";
  EXPECT_FALSE(Take(2 * kArea + kPiece, 1)) << "of another area";
  EXPECT_FALSE(Take(kArea, 0)) << "no bytes at all: an empty buffer would be taken for the end of the stream";
  EXPECT_TRUE(fragments_.empty());
  EXPECT_EQ(ledger_->out(), 0u);
}

TEST_F(TakeTest, EntriesOfAPassComeInOrderWithTheirFlag) {
  Append(kArea, 1);
  Append(kArea + kPiece, 2, uapi::kRbufCopied);
  Append(kArea + 2 * kPiece, 3, ~uapi::kRbufCopied);  // flags of a later kernel say nothing to us
  ASSERT_TRUE(TakeEntries(3));
  ASSERT_EQ(fragments_.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    BufferRecord* record = fragments_.Pop();
    EXPECT_EQ(record->bytes.size(), i + 1);
    EXPECT_EQ(record->copied, i == 1);
    DropReference(record);
  }
}

TEST_F(TakeTest, AFragmentIsNotCopiedBecauseItsRecordWasBefore) {
  Append(kArea, 1, uapi::kRbufCopied);
  ASSERT_TRUE(TakeEntries(1));
  fragments_.DropAll();
  ledger_->Settle([](uint64_t) { return true; });
  for (int i = 0; i < 300; ++i) {  // more than there are free records
    ASSERT_TRUE(Take(kArea, 1));
    EXPECT_FALSE(fragments_.front()->copied);
    fragments_.DropAll();
  }
}

TEST_F(TakeTest, ABadEntryDoesNotPutThoseOfOthersOutOfStep) {
  Append(kArea, 1);
  Append(kArea + kRegion, 1);
  Append(kArea + kPiece, 2);
  Append(kArea + 2 * kPiece, 3);  // of the next pass
  EXPECT_FALSE(TakeEntries(3));
  EXPECT_TRUE(fragments_.empty()) << "what is around a lie is no data";
  EXPECT_EQ(ledger_->Settle([](uint64_t) { return true; }), 2u) << "the pieces of sound ones go back";
  ASSERT_TRUE(TakeEntries(1));
  EXPECT_EQ(fragments_.front()->bytes.size(), 3u);
}

TEST_F(TakeTest, ABadEntryTakesNothingAwayThatWasThereBefore) {
  Append(kArea, 1);
  Append(kArea + kPiece, 2);
  ASSERT_TRUE(TakeEntries(2));
  Append(kArea + 2 * kPiece, 3);
  Append(kArea + kRegion, 4);
  EXPECT_FALSE(TakeEntries(2));
  ASSERT_EQ(fragments_.size(), 2u);
  EXPECT_EQ(fragments_.front()->bytes.size(), 1u);
  EXPECT_EQ(fragments_.front()->next->bytes.size(), 2u);
  ASSERT_TRUE(Take(kArea + 3 * kPiece, 5)) << "the list still has its end where it ends";
  EXPECT_EQ(fragments_.front()->next->next->bytes.size(), 5u);
}

TEST_F(TakeTest, GarbageIsNeverReadAsBytes) {
  std::minstd_rand random(1);
  const auto word = [&] { return uint64_t{random()} << 40 ^ uint64_t { random() } << 20 ^ random(); };
  const std::byte* base = ledger_->region().base();
  uint64_t sound = 0;
  for (int round = 0; round < 100'000; ++round) {
    // Half of it is near enough to the truth to pass some of the checks.
    const bool near = random() % 2 == 0;
    Append(near ? kArea + word() % (2 * kRegion) : word(),
           near ? random() % (2 * kPiece) : static_cast<uint32_t>(word()), static_cast<uint32_t>(word()));
    TakeEntries(1);
    while (!fragments_.empty()) {
      BufferRecord* record = fragments_.Pop();
      ++sound;
      ASSERT_GE(record->bytes.data(), base);
      ASSERT_LE(record->bytes.data() + record->bytes.size(), base + kRegion);
      ASSERT_FALSE(record->bytes.empty());
      DropReference(record);
    }
  }
  EXPECT_GT(sound, 10'000u);
  EXPECT_LT(sound, 40'000u);
  EXPECT_EQ(head_, tail_);
}

}  // namespace
}  // namespace zcrx::internal
