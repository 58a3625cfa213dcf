// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/refill_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace zcrx::internal {
namespace {

constexpr uint32_t kSize = 8;

// The kernel's side of a refill ring in plain memory.
class KernelSide {
 public:
  explicit KernelSide(uint32_t start) : head(start), tail(start) {}

  RefillRing::Memory memory() {
    return {.head = &head, .tail = &tail, .entries = entries.data(), .size = kSize};
  }

  uint32_t visible() const { return tail - head; }

  std::vector<uint64_t> Take(uint32_t count) {
    std::vector<uint64_t> offsets;
    for (; count > 0; --count) {
      const uapi::Rqe& entry = entries[head++ % kSize];
      EXPECT_EQ(entry.pad, 0u);
      offsets.push_back(entry.off);
    }
    return offsets;
  }

  uint32_t head;
  uint32_t tail;
  std::array<uapi::Rqe, kSize> entries = {};
};

// Each test runs with counters that start at 0 and that pass UINT32_MAX on the way.
class RefillRingTest : public testing::TestWithParam<uint32_t> {
 protected:
  KernelSide kernel_{GetParam()};
  RefillRing ring_{kernel_.memory()};
};

TEST_P(RefillRingTest, NothingIsVisibleBeforePublish) {
  EXPECT_TRUE(ring_.Stage(4096));
  EXPECT_EQ(kernel_.visible(), 0u);
  EXPECT_EQ(ring_.Publish(), 1u);
  EXPECT_EQ(kernel_.visible(), 1u);
  EXPECT_EQ(ring_.lag(), 1u);
}

TEST_P(RefillRingTest, PublishWithoutStagedEntriesDoesNothing) {
  EXPECT_EQ(ring_.Publish(), 0u);
  EXPECT_EQ(kernel_.visible(), 0u);
}

TEST_P(RefillRingTest, FullRingRefusesAndKeepsItsEntries) {
  for (uint64_t i = 0; i < kSize; ++i) ASSERT_TRUE(ring_.Stage(i * 4096));
  EXPECT_FALSE(ring_.Stage(99));
  ring_.Publish();
  EXPECT_FALSE(ring_.Stage(99));
  const std::vector<uint64_t> taken = kernel_.Take(kSize);
  for (uint64_t i = 0; i < kSize; ++i) EXPECT_EQ(taken[i], i * 4096);
}

TEST_P(RefillRingTest, RoomComesBackWhenTheKernelTakes) {
  for (uint64_t i = 0; i < kSize; ++i) ASSERT_TRUE(ring_.Stage(i));
  ring_.Publish();
  kernel_.Take(3);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(ring_.Stage(100 + i));
  EXPECT_FALSE(ring_.Stage(200));
  EXPECT_EQ(ring_.Publish(), 3u);
  EXPECT_EQ(kernel_.Take(kSize), (std::vector<uint64_t>{3, 4, 5, 6, 7, 100, 101, 102}));
}

TEST_P(RefillRingTest, OrderHoldsOverManyRounds) {
  uint64_t next_in = 0;
  uint64_t next_out = 0;
  for (int round = 0; round < 1000; ++round) {
    while (ring_.Stage(next_in)) ++next_in;
    ring_.Publish();
    for (const uint64_t offset : kernel_.Take(1 + round % kSize)) EXPECT_EQ(offset, next_out++);
  }
  EXPECT_GT(next_out, 4000u);
}

INSTANTIATE_TEST_SUITE_P(Counters, RefillRingTest,
                         testing::Values(0u, UINT32_MAX - 3, UINT32_MAX, 0x7ffffffcu));

}  // namespace
}  // namespace zcrx::internal
