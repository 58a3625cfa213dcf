// SPDX-License-Identifier: Apache-2.0
//
// What debug builds, and those with AddressSanitizer, catch of an application (or
// of this library) that returns a buffer twice or uses it after that.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/poison.h"
#include "zcrx/buffer.h"

namespace zcrx::internal {
namespace {

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 64;
constexpr uint64_t kStream = 4711;

class MisuseTest : public testing::Test {
 protected:
  ~MisuseTest() override { account_->Close(); }

  // A fragment of the stream, with one reference.
  BufferRecord* Receive(size_t piece, size_t length = 100) {
    BufferRecord* record = ledger_->Issue(piece * kPiece, length, piece);
    BufferLedger::Assign(record, account_);
    return record;
  }

  void SettleReturned() {
    ledger_->Settle([](uint64_t) { return true; });
  }

  Account* const account_ = Account::Open(kStream);
  BufferLedger::Handle ledger_ =
      BufferLedger::Open(*PoolRegion::Map({.bytes = kPieces * kPiece}, std::nullopt), *Waker::Create());
};

#ifndef NDEBUG

class MisuseDeathTest : public MisuseTest {
 protected:
  static std::string Message(const char* what, const BufferRecord& record) {
    return absl::StrFormat("zcrx: a buffer was %s: %d bytes at %p, stream %d\n", what, record.bytes.size(),
                           record.bytes.data(), kStream);
  }
};

TEST_F(MisuseDeathTest, ReturnedTwice) {
  BufferRecord* record = Receive(3);
  Buffer buffer(record->bytes, record);
  Buffer without_reference(record->bytes, record);
  buffer.Reset();
  const std::string message = Message("returned twice", *record);
  EXPECT_DEATH(without_reference.Reset(), message);
  // Also once it is settled.
  SettleReturned();
  EXPECT_DEATH(without_reference.Reset(), message);
  new (&without_reference) Buffer;  // which returns nothing
}

// Two threads that return the same Buffer both see one reference.
TEST_F(MisuseDeathTest, ReturnedTwiceAtTheSameTime) {
  BufferRecord* record = Receive(3);
  DropReference(record);
  record->references = 1;  // as the second has seen it
  EXPECT_DEATH(DropReference(record), Message("returned twice", *record));
}

TEST_F(MisuseDeathTest, UsedAfterReturn) {
  BufferRecord* record = Receive(5, 1234);
  Buffer buffer(record->bytes, record);
  Buffer without_reference(record->bytes, record);
  buffer.Reset();
  const std::string message = Message("used after it was returned", *record);
  EXPECT_DEATH(without_reference.bytes(), message);
  EXPECT_DEATH(without_reference.data(), message);
  EXPECT_DEATH(without_reference.text(), message);
  EXPECT_DEATH(without_reference.Share(), message);
  EXPECT_DEATH(without_reference.Slice(1, 2), message);
  EXPECT_DEATH(without_reference.Copy(), message);
  EXPECT_TRUE(buffer.bytes().empty()) << "what was reset is empty, and may be looked at";

  // The record has another fragment by now, whose stream has nothing to do with it.
  SettleReturned();
  std::vector<Buffer> all;
  do {
    BufferRecord* again = Receive(7);
    all.emplace_back(again->bytes, again);
  } while (record->references == 0);
  EXPECT_DEATH(without_reference.bytes(),
               absl::StrFormat("used after it was returned: 1234 bytes at %p, stream unknown",
                               ledger_->region().base() + 5 * kPiece));
  new (&without_reference) Buffer;  // which returns nothing
}

TEST_F(MisuseDeathTest, SettledTwice) {
  BufferRecord* record = Receive(2);
  const std::string message = Message("settled twice, or before it was returned", *record);
  EXPECT_DEATH(record->guard.OnSettle(*record), message);
  DropReference(record);
  SettleReturned();
  EXPECT_DEATH(record->guard.OnSettle(*record), message);
}

TEST_F(MisuseDeathTest, FragmentOfNoStream) {
  BufferRecord* record = ledger_->Issue(0, 10, 0);
  DropReference(record);
  EXPECT_DEATH(DropReference(record), "returned twice: 10 bytes at 0x[0-9a-f]+, of no stream\n");
}

#else

TEST(MisuseDeathTest, OnlyInDebugBuilds) {
  static_assert(sizeof(RecordGuard) == 1, "an empty class: release builds must not pay for it");
  GTEST_SKIP() << "built with NDEBUG: misuse is not looked for";
}

#endif

#ifdef ZCRX_ASAN

class PoisonDeathTest : public MisuseTest {
 protected:
  // Reads it, whatever the compiler thinks of that.
  static std::byte Read(const std::byte* byte) { return *const_cast<const volatile std::byte*>(byte); }

  // What reading it is answered with.
  static std::string Report(const std::byte* byte) {
    const std::string report = absl::StrFormat("use-after-poison on address %p", byte);
#ifdef __clang__
    return report;  // its runtime, which is linked before our library, does not call us
#else
    return absl::StrFormat("zcrx: %p is in a pool region, .* last received by stream %d\n.*%s", byte, kStream,
                           report);
#endif
  }
};

// A span that is kept longer than its Buffer.
TEST_F(PoisonDeathTest, SpanUsedAfterReturn) {
  BufferRecord* record = Receive(9);
  Buffer buffer(record->bytes, record);
  const std::span<const std::byte> kept = buffer.bytes();
  const std::byte* byte = kept.data() + 50;
  EXPECT_EQ(Read(byte), std::byte{0});
  buffer.Reset();
  const std::string message = Report(byte);
  EXPECT_DEATH(Read(byte), message);
  SettleReturned();
  EXPECT_DEATH(Read(byte), message) << "the NIC may write there; nobody may read";
  // The piece is received into again.
  Buffer next(kept, Receive(9));
  EXPECT_EQ(Read(byte), std::byte{0});
}

TEST_F(PoisonDeathTest, SpanThatGoesBeyondItsFragment) {
  BufferRecord* record = Receive(9, 101);
  const Buffer buffer(record->bytes, record);
  const std::byte* end = record->bytes.data() + 101;
  EXPECT_EQ(Read(end - 1), std::byte{0});
  EXPECT_DEATH(Read(end), Report(end));
}

// What is mapped there next is not a region, and must not be taken for one.
TEST_F(PoisonDeathTest, NothingIsLeftOfARegionThatIsGone) {
  const std::byte* base = ledger_->region().base();
  const auto poisoned = [base] {
    return __asan_region_is_poisoned(const_cast<std::byte*>(base), kPieces * kPiece);
  };
  BufferRecord* record = Receive(0, kPiece);
  Buffer last(record->bytes, record);
  EXPECT_EQ(poisoned(), base + kPiece) << "from the first byte that nobody has received";
  ledger_.reset();
  EXPECT_EQ(poisoned(), base + kPiece) << "the region lives as long as the last buffer";
  last.Reset();
  EXPECT_EQ(poisoned(), nullptr);
}

#else

TEST(PoisonDeathTest, OnlyWithAddressSanitizer) {
  GTEST_SKIP() << "built without AddressSanitizer: nothing watches the bytes";
}

#endif

// Fragments whose borders are anywhere, returned in any order: what is held stays readable, next to what is
// not. Under AddressSanitizer a byte too much would end the program.
TEST_F(MisuseTest, HeldFragmentsStayReadableNextToReturnedOnes) {
  std::mt19937 random(5);
  struct Held {
    Buffer buffer;
    std::byte content;
  };
  for (int round = 0; round < 60; ++round) {
    std::vector<Held> held;
    size_t offset = 0;
    while (true) {
      const size_t length = 1 + random() % 40;
      if (offset + length > kPiece) break;
      BufferRecord* record = ledger_->Issue(offset, length, 0);
      BufferLedger::Assign(record, account_);
      const auto content = static_cast<std::byte>(random());
      std::memset(const_cast<std::byte*>(record->bytes.data()), static_cast<int>(content), length);
      held.push_back({Buffer(record->bytes, record), content});
      offset += length;
      // Some are returned while others are still to come.
      if (random() % 4 == 0) held.erase(held.begin() + static_cast<std::ptrdiff_t>(random() % held.size()));
    }
    std::shuffle(held.begin(), held.end(), random);
    while (!held.empty()) {
      held.pop_back();
      for (const Held& one : held) {
        for (const std::byte byte : one.buffer.bytes()) ASSERT_EQ(byte, one.content);
      }
      if (random() % 8 == 0) SettleReturned();
    }
    SettleReturned();
  }
  EXPECT_EQ(ledger_->out(), 0u);
}

}  // namespace
}  // namespace zcrx::internal
