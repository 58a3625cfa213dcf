// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/rbuf_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zcrx::internal {
namespace {

constexpr uint32_t kSize = 8;

// The kernel's side of an rbuf ring in plain memory.
class KernelSide {
 public:
  explicit KernelSide(uint32_t start) : head(start), tail(start) {}

  RbufRing::Memory memory() {
    return {.head = &head, .tail = &tail, .entries = entries.data(), .size = kSize};
  }

  void Append(uint64_t off) { entries[tail++ % kSize] = {.off = off, .len = 1, .flags = 0}; }

  uint32_t head;
  uint32_t tail;
  std::array<uapi::RbufCqe, kSize> entries = {};
};

// Each test runs with counters that start at 0 and that pass UINT32_MAX on the way.
class RbufRingTest : public testing::TestWithParam<uint32_t> {
 protected:
  // The offsets of the next `count` entries; none if the ring refuses.
  std::vector<uint64_t> Pop(uint32_t count) {
    std::vector<uint64_t> offsets;
    popped_ = ring_.Pop(count, [&](const uapi::RbufCqe& entry) { offsets.push_back(entry.off); });
    return offsets;
  }

  KernelSide kernel_{GetParam()};
  RbufRing ring_{kernel_.memory()};
  bool popped_ = false;
};

TEST_P(RbufRingTest, EntriesComeWhole) {
  kernel_.Append(0);
  kernel_.entries[GetParam() % kSize] = {.off = 0x3000'0000'1234, .len = 77, .flags = uapi::kRbufCopied};
  uint32_t calls = 0;
  EXPECT_TRUE(ring_.Pop(1, [&](const uapi::RbufCqe& entry) {
    ++calls;
    EXPECT_EQ(entry.off, 0x3000'0000'1234u);
    EXPECT_EQ(entry.len, 77u);
    EXPECT_EQ(entry.flags, uapi::kRbufCopied);
  }));
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(ring_.popped(), 1u);
}

TEST_P(RbufRingTest, OnlySoManyAsAskedFor) {
  for (uint64_t i = 0; i < 5; ++i) kernel_.Append(i);
  EXPECT_EQ(Pop(2), (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(kernel_.tail - kernel_.head, 3u) << "what is not popped keeps its slot";
  EXPECT_EQ(Pop(3), (std::vector<uint64_t>{2, 3, 4}));
  EXPECT_EQ(kernel_.tail, kernel_.head);
}

TEST_P(RbufRingTest, SlotsAreKeptUntilTheLastHandlerHasRun) {
  kernel_.Append(1);
  kernel_.Append(2);
  const uint32_t head = kernel_.head;
  EXPECT_TRUE(ring_.Pop(2, [&](const uapi::RbufCqe&) { EXPECT_EQ(kernel_.head, head); }));
  EXPECT_EQ(kernel_.head, head + 2);
}

TEST_P(RbufRingTest, WholeRingAtOnce) {
  for (uint64_t i = 0; i < kSize; ++i) kernel_.Append(i);
  EXPECT_EQ(Pop(kSize), (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_P(RbufRingTest, OrderHoldsOverManyRounds) {
  uint64_t next_in = 0;
  uint64_t next_out = 0;
  for (uint32_t round = 0; round < 1000; ++round) {
    while (kernel_.tail - kernel_.head < kSize) kernel_.Append(next_in++);
    for (const uint64_t offset : Pop(1 + round % kSize)) EXPECT_EQ(offset, next_out++);
  }
  EXPECT_GT(next_out, 4000u);
  EXPECT_EQ(ring_.popped(), next_out);
}

TEST_P(RbufRingTest, EntriesThatAreNotThereEndIt) {
  kernel_.Append(1);
  EXPECT_TRUE(Pop(2).empty());
  EXPECT_FALSE(popped_);
  EXPECT_EQ(kernel_.head, GetParam()) << "nothing was taken";
  // Which entry is whose is unknown from here on.
  kernel_.Append(2);
  EXPECT_TRUE(Pop(1).empty());
  EXPECT_FALSE(popped_);
  EXPECT_EQ(ring_.popped(), 0u);
}

TEST_P(RbufRingTest, CountsOfGarbageEndIt) {
  kernel_.Append(1);
  EXPECT_TRUE(Pop(INT32_MAX).empty());
  EXPECT_FALSE(popped_);
}

TEST_P(RbufRingTest, TailThatRanAwayEndsIt) {
  kernel_.tail += kSize + 1;
  EXPECT_TRUE(Pop(1).empty());
  EXPECT_FALSE(popped_);
}

TEST_P(RbufRingTest, TailThatRanBackEndsIt) {
  --kernel_.tail;
  EXPECT_TRUE(Pop(1).empty());
  EXPECT_FALSE(popped_);
}

INSTANTIATE_TEST_SUITE_P(Counters, RbufRingTest,
                         testing::Values(0u, UINT32_MAX - 3, UINT32_MAX, 0x7ffffffcu));

// --- Where the ring is -----------------------------------------------------------

constexpr size_t kBegin = 128;
constexpr size_t kEnd = kBegin + RbufRing::BytesFor(kSize);

uapi::RbufCqReg Layout() {
  uapi::RbufCqReg layout = {};
  layout.cq_entries = kSize;
  layout.head = 128;
  layout.tail = 192;
  layout.cqes = 256;
  return layout;
}

bool Located(const uapi::RbufCqReg& layout) {
  alignas(64) std::array<std::byte, kEnd> region = {};
  const auto memory = RbufRing::Locate(region.data(), kBegin, kEnd, layout);
  if (!memory.has_value()) return false;
  const auto offset = [&](const void* place) { return static_cast<const std::byte*>(place) - region.data(); };
  EXPECT_EQ(offset(memory->head), layout.head);
  EXPECT_EQ(offset(memory->tail), layout.tail);
  EXPECT_EQ(offset(memory->entries), layout.cqes);
  EXPECT_EQ(memory->size, layout.cq_entries);
  return true;
}

TEST(RbufRingLayoutTest, FitsWhereverTheRefillRingEnds) {
  for (uint32_t begin = 0; begin < 128; begin += 8) {
    const uint32_t head = (begin + 63) / 64 * 64;
    const size_t end = begin + RbufRing::BytesFor(kSize);
    EXPECT_LE(head + 128 + kSize * sizeof(uapi::RbufCqe), end);
  }
  EXPECT_TRUE(Located(Layout()));
}

TEST(RbufRingLayoutTest, EachPartMustBeInside) {
  for (uint32_t uapi::RbufCqReg::* part :
       {&uapi::RbufCqReg::head, &uapi::RbufCqReg::tail, &uapi::RbufCqReg::cqes}) {
    for (const uint32_t offset : {0u, 120u, static_cast<uint32_t>(kEnd), 0x8000'0000u, 0xffff'fff8u}) {
      uapi::RbufCqReg layout = Layout();
      layout.*part = offset;
      EXPECT_FALSE(Located(layout)) << offset;
    }
  }
  uapi::RbufCqReg layout = Layout();
  layout.cqes = kEnd - kSize * sizeof(uapi::RbufCqe);
  EXPECT_TRUE(Located(layout)) << "the last entry may end where the region does";
  layout.cqes += 8;
  EXPECT_FALSE(Located(layout));
}

TEST(RbufRingLayoutTest, SizesThatAreNone) {
  for (const uint32_t entries : {0u, 7u, 65536u, 0x8000'0000u, UINT32_MAX}) {
    uapi::RbufCqReg layout = Layout();
    layout.cq_entries = entries;
    EXPECT_FALSE(Located(layout)) << entries;
  }
  uapi::RbufCqReg layout = Layout();
  layout.cq_entries = 16;
  EXPECT_FALSE(Located(layout)) << "more entries than there is room for";
}

TEST(RbufRingLayoutTest, PartsMayNotOverlapWhatWeWrite) {
  uapi::RbufCqReg layout = Layout();
  layout.head = layout.tail;
  EXPECT_FALSE(Located(layout));
  layout.head = layout.cqes + 16;
  EXPECT_FALSE(Located(layout));
}

TEST(RbufRingLayoutTest, PartsMustBeAligned) {
  uapi::RbufCqReg layout = Layout();
  layout.head += 2;
  EXPECT_FALSE(Located(layout));
  layout = Layout();
  layout.cqes -= 4;
  EXPECT_FALSE(Located(layout));
}

}  // namespace
}  // namespace zcrx::internal
