// SPDX-License-Identifier: Apache-2.0
//
// A receive path between a kernel of ours, which says what no real one does, and a
// sink: what a completion with many fragments, or with impossible ones, comes to.
#include "lib/receive/receive_path.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/ifq/give_back.h"
#include "lib/ifq/take.h"
#include "lib/ring/rbuf_ring.h"
#include "lib/ring/refill_ring.h"
#include "tests/allocation_counter.h"
#include "tests/log_capture.h"
#include "zcrx/status.h"

namespace zcrx::internal {
namespace {

constexpr uint32_t kEntries = 64;
constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 256;

// The kernel's side of the rings is in plain memory; nothing is ever submitted.
class SyntheticPath final : public ReceivePath {
 public:
  explicit SyntheticPath(Ring& ring)
      : ReceivePath(ring, ENOMEM, /*most_waits=*/2, /*tells_copied=*/true),
        ledger_(BufferLedger::Open(*PoolRegion::Map({.bytes = kPieces * kPiece}, std::nullopt),
                                   *Waker::Create())) {}

  // Appends a fragment of `length` bytes at the start of a piece.
  void Append(size_t piece, uint32_t length, bool copied = false) {
    entries_[tail_++ % kEntries] = {
        .off = piece * kPiece, .len = length, .flags = copied ? uapi::kRbufCopied : 0};
  }

  // Takes the refill ring's entries; their pieces.
  std::vector<uint64_t> Refilled() {
    std::vector<uint64_t> pieces;
    for (; refill_head_ != refill_tail_; ++refill_head_) {
      pieces.push_back(rqes_[refill_head_ % kEntries].off / kPiece);
    }
    return pieces;
  }

  // Takes them without a look.
  void DropRefilled() { refill_head_ = refill_tail_; }

  BufferLedger& ledger() const override { return *ledger_; }
  int times_armed() const { return times_armed_; }

 protected:
  void FillRequest(io_uring_sqe& entry) override {
    entry.opcode = IORING_OP_NOP;
    ++times_armed_;
  }
  bool TakeFragments(Completion completion, Account* account, RecordQueue& fragments) override {
    if (!completion.more()) return true;
    return internal::TakeFragments(*ledger_, 0, ring_, static_cast<uint32_t>(completion.res), fragments,
                                   account);
  }
  uint32_t GiveBack() override { return internal::GiveBack(*ledger_, refill_); }

 private:
  BufferLedger::Handle ledger_;
  std::vector<uapi::RbufCqe> entries_ = std::vector<uapi::RbufCqe>(kEntries);
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  std::vector<uapi::Rqe> rqes_ = std::vector<uapi::Rqe>(kEntries);
  uint32_t refill_head_ = 0;
  uint32_t refill_tail_ = 0;
  RbufRing ring_{{.head = &head_, .tail = &tail_, .entries = entries_.data(), .size = kEntries}};
  RefillRing refill_{
      {.head = &refill_head_, .tail = &refill_tail_, .entries = rqes_.data(), .size = kEntries}};
  int times_armed_ = 0;
};

class Sink final : public ReceiveSink {
 public:
  explicit Sink(ReceivePath& path) : request(path, *this, 1) {}
  ~Sink() { request.unread().DropAll(); }
  void OnBytes() override {
    EXPECT_FALSE(request.unread().empty());
    ++calls;
  }
  void OnEnd(const absl::Status& status) override { end = status; }

  std::vector<size_t> Lengths() const {
    std::vector<size_t> lengths;
    for (const BufferRecord* record = request.unread().front(); record != nullptr; record = record->next)
      lengths.push_back(record->bytes.size());
    return lengths;
  }

  ReceiveRequest request;
  int calls = 0;
  std::optional<absl::Status> end;
};

class ReceivePathTest : public testing::Test {
 protected:
  ReceivePathTest() {
    absl::StatusOr<std::unique_ptr<Ring>> ring =
        Ring::Create({.submission_entries = 8, .completion_entries = 8, .wide_completions = false});
    EXPECT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
    path_.emplace(*ring_);
    path_->Arm(request(0), 0);
    path_->Arm(request(1), 0);
  }

  ReceiveRequest& request(size_t number) {
    auto& sink = sinks_[number];
    if (sink == nullptr) sink = std::make_unique<Sink>(*path_);
    return sink->request;
  }
  Sink& sink(size_t number) { return *sinks_[number]; }

  // The kernel posts: `count` more entries for the request.
  void Pass(size_t number, int32_t count) {
    request(number).OnCompletion({.res = count, .flags = IORING_CQE_F_MORE, .zc_offset = 0});
  }
  void End(size_t number, int32_t result) {
    request(number).OnCompletion({.res = result, .flags = 0, .zc_offset = 0});
  }

  // The application gives back a piece.
  void IssueAndReturn() { DropReference(path_->ledger().Issue(0, 1, 0)); }

  std::unique_ptr<Ring> ring_;
  std::optional<SyntheticPath> path_;
  std::array<std::unique_ptr<Sink>, 2> sinks_;
};

TEST_F(ReceivePathTest, EachPassGoesToItsRequestAtOnceAndInOrder) {
  for (uint32_t i = 0; i < 3; ++i) path_->Append(i, 10 + i);
  for (uint32_t i = 0; i < 2; ++i) path_->Append(3 + i, 20 + i);
  path_->Append(5, 13);
  Pass(0, 3);
  Pass(1, 2);
  Pass(0, 1);
  EXPECT_EQ(sink(0).Lengths(), (std::vector<size_t>{10, 11, 12, 13}));
  EXPECT_EQ(sink(0).calls, 1) << "it is told once";
  request(0).TellOfBytes();
  path_->Append(6, 14);
  Pass(0, 1);
  EXPECT_EQ(sink(0).calls, 2) << "and again when it asks";
  EXPECT_EQ(sink(1).Lengths(), (std::vector<size_t>{20, 21}));
  EXPECT_FALSE(sink(0).end.has_value());
}

TEST_F(ReceivePathTest, CountsWhatWasCopied) {
  path_->Append(0, 100);
  path_->Append(1, 20, /*copied=*/true);
  path_->Append(2, 3, /*copied=*/true);
  Pass(0, 3);
  RuntimeStats stats;
  path_->AddStats(stats);
  EXPECT_EQ(stats.receive_completions, 1u);
  EXPECT_EQ(stats.fragments_received, 3u);
  EXPECT_EQ(stats.bytes_received, 123u);
  EXPECT_EQ(stats.copied_bytes, 23u);
  EXPECT_EQ(stats.copied_fragments, 2u);
}

TEST_F(ReceivePathTest, FullRingIsNobodysBusiness) {
  path_->Append(0, 1);
  Pass(0, 1);
  End(0, -ENOSPC);
  EXPECT_EQ(path_->times_armed(), 2);
  path_->Flush();
  EXPECT_FALSE(sink(0).end.has_value());
  EXPECT_EQ(path_->times_armed(), 3);
  RuntimeStats stats;
  path_->AddStats(stats);
  EXPECT_EQ(stats.rearms_no_space, 1u);
}

TEST_F(ReceivePathTest, CountsWhyItArmsAgain) {
  path_->SetPressureOptions({.high_watermark = 1, .stream_quota = 2 * kPiece, .copy_out = false});
  const auto stats = [this] {
    RuntimeStats all;
    path_->AddStats(all);
    return all;
  };
  End(0, -EINTR);
  path_->Flush();
  EXPECT_EQ(stats().rearms_interrupted, 1u);

  End(0, -ENOMEM);
  IssueAndReturn();  // a piece comes back
  path_->Flush();
  EXPECT_EQ(stats().rearms_no_buffer, 1u);

  // More unread than the quota: paused, until it is read.
  for (uint32_t i = 0; i < 3; ++i) path_->Append(i, 10);
  Pass(0, 3);
  End(0, -ECANCELED);
  EXPECT_EQ(stats().pressure.pauses, 1u);
  EXPECT_EQ(request(0).pauses(), 1u);
  EXPECT_EQ(request(0).buffers_out(), 3u);
  EXPECT_EQ(stats().buffers_out, 3u);
  EXPECT_EQ(stats().pool_pieces, kPieces);
  const int armed = path_->times_armed();
  path_->Flush();
  EXPECT_EQ(path_->times_armed(), armed);
  EXPECT_EQ(stats().rearms_resumed, 0u);
  EXPECT_EQ(stats().pressure.paused, 1u);
  request(0).unread().DropAll();
  path_->Flush();
  EXPECT_EQ(path_->times_armed(), armed + 1);
  EXPECT_EQ(stats().rearms_resumed, 1u);
  EXPECT_EQ(stats().pressure.paused, 0u);
  EXPECT_EQ(stats().buffers_out, 0u);
  EXPECT_EQ(stats().buffers_out_peak, 3u);
  EXPECT_EQ(request(0).buffers_out(), 0u);
  EXPECT_FALSE(sink(0).end.has_value());
  EXPECT_EQ(stats().rearms_no_space + stats().rearms_after_bytes, 0u);
}

// Expects that it was told of, in words with `words` in them.
void ExpectTold(const LogCapture& heard, const char* name, LogSeverity severity, const std::string& words) {
  SCOPED_TRACE(name);
  const std::vector<LogCapture::Event> events = heard.Of(name);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].severity, severity);
  EXPECT_NE(events[0].text.find(words), std::string::npos) << events[0].text;
}

TEST_F(ReceivePathTest, TellsOfRingsAndRegionsThatAreTooSmall) {
  const LogCapture heard;
  for (size_t number = 0; number < 2; ++number) {
    End(number, -ENOSPC);
    path_->Flush();
    End(number, -ENOMEM);
    IssueAndReturn();
    path_->Flush();
  }
  ExpectTold(heard, "receive.no_space", LogSeverity::kWarning, "completion_entries");
  ExpectTold(heard, "receive.starving", LogSeverity::kWarning, "stream 1 waits");
}

TEST_F(ReceivePathTest, TellsWhenPressureRisesAndFalls) {
  path_->SetPressureOptions({.high_watermark = 0.5 / kPieces, .low_watermark = 0});
  const LogCapture heard;
  for (int round = 0; round < 2; ++round) {
    path_->Append(0, 10);
    Pass(0, 1);
    path_->Flush();
    if (round == 0) {
      EXPECT_TRUE(heard.Of("pressure.none").empty());
    }
    request(0).unread().DropAll();
    path_->Flush();
  }
  ExpectTold(heard, "pressure.high", LogSeverity::kWarning, "1 of 256 pieces");
  ExpectTold(heard, "pressure.none", LogSeverity::kInfo, "0 of 256 pieces");
  EXPECT_EQ(heard.Of("pressure.high").size(), heard.Of("pressure.none").size());
}

TEST_F(ReceivePathTest, TellsOfImpossibleFragments) {
  const LogCapture heard;
  for (size_t number = 0; number < 2; ++number) {
    path_->Append(kPieces, 1);
    Pass(number, 1);
  }
  ExpectTold(heard, "receive.impossible", LogSeverity::kError, "stream 1 ends");
}

TEST_F(ReceivePathTest, CancelledRequestGetsNoMoreBytesAndItsPiecesGoBack) {
  path_->Append(0, 10);
  Pass(0, 1);
  path_->Cancel(request(0));
  path_->Append(1, 11);
  path_->Append(2, 12);
  path_->Append(3, 20);
  Pass(0, 2);
  Pass(1, 1);
  End(0, -ECANCELED);
  EXPECT_EQ(sink(0).Lengths(), (std::vector<size_t>{10}));
  EXPECT_EQ(sink(1).Lengths(), (std::vector<size_t>{20})) << "the other one is not out of step";
  ASSERT_TRUE(sink(0).end.has_value());
  EXPECT_EQ(ErrnoOf(*sink(0).end), ECANCELED);
  path_->Flush();
  EXPECT_EQ(path_->Refilled(), (std::vector<uint64_t>{1, 2}));
}

// Bytes behind a hole would look like the next bytes of the stream.
TEST_F(ReceivePathTest, NothingIsDeliveredAfterAnImpossibleFragment) {
  path_->Append(0, 10);
  path_->Append(kPieces, 11);
  path_->Append(1, 12);
  path_->Append(2, 20);
  path_->Append(3, 13);
  Pass(0, 3);
  Pass(1, 1);
  Pass(0, 1);  // was on its way before the request was cancelled
  EXPECT_FALSE(sink(0).end.has_value()) << "the request has not ended yet";
  End(0, -ECANCELED);
  EXPECT_TRUE(request(0).unread().empty());
  ASSERT_TRUE(sink(0).end.has_value());
  EXPECT_TRUE(absl::IsInternal(*sink(0).end)) << *sink(0).end;
  EXPECT_EQ(sink(1).Lengths(), (std::vector<size_t>{20}));
  EXPECT_FALSE(sink(1).end.has_value());
  path_->Flush();
  EXPECT_EQ(path_->Refilled(), (std::vector<uint64_t>{0, 1, 3}));
}

TEST_F(ReceivePathTest, EntriesThatAreNotThereEndEveryStream) {
  path_->Append(0, 10);
  Pass(0, 2);
  End(0, -ECANCELED);
  EXPECT_TRUE(absl::IsInternal(*sink(0).end)) << *sink(0).end;
  // The entry might be anybody's.
  Pass(1, 1);
  End(1, -ECANCELED);
  EXPECT_TRUE(request(1).unread().empty());
  EXPECT_TRUE(absl::IsInternal(*sink(1).end)) << *sink(1).end;
}

// The lowest low watermark there is must be reached again.
TEST_F(ReceivePathTest, PressureEndsAtALowWatermarkOfNothing) {
  path_->SetPressureOptions({.high_watermark = 0, .low_watermark = 0});
  path_->Append(0, 10);
  Pass(0, 1);
  path_->Flush();
  EXPECT_EQ(path_->pressure(), Pressure::kHigh);
  request(0).unread().DropAll();
  path_->Flush();
  EXPECT_EQ(path_->pressure(), Pressure::kNone);
}

TEST_F(ReceivePathTest, DoesNotAllocate) {
  uint64_t before = 0;
  for (int round = 0; round < 1000; ++round) {
    if (round == 10) before = AllocationCount();
    for (uint32_t i = 0; i < kEntries; ++i) path_->Append(i, 1 + i);
    Pass(0, kEntries / 2);
    Pass(1, kEntries / 2);
    request(0).unread().DropAll();
    request(1).unread().DropAll();
    path_->Flush();
    ASSERT_EQ(path_->ledger().out(), 0u);
    path_->DropRefilled();
  }
  EXPECT_EQ(AllocationCount() - before, 0u);
}

}  // namespace
}  // namespace zcrx::internal
