// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/completion_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace zcrx::internal {
namespace {

constexpr uint32_t kSize = 4;

// The kernel's side of a completion ring in plain memory.
class KernelSide {
 public:
  KernelSide(uint32_t start, bool wide)
      : head(start), tail(start), wide_(wide), slots_(kSize * (wide ? 32 : 16) / 8) {}

  CompletionQueue::Memory memory() {
    return {.head = &head, .tail = &tail, .entries = entry(0), .size = kSize, .wide = wide_};
  }

  void Post(uint64_t user_data, int32_t res, uint32_t flags, uint64_t offset) {
    io_uring_cqe* to = entry(tail % kSize);
    to->user_data = user_data;
    to->res = res;
    to->flags = flags;
    if (wide_) to->big_cqe[0] = offset;
    ++tail;
  }

  uint32_t head;
  uint32_t tail;

 private:
  io_uring_cqe* entry(uint32_t slot) {
    return reinterpret_cast<io_uring_cqe*>(&slots_[slot * (wide_ ? 4 : 2)]);
  }

  bool wide_;
  std::vector<uint64_t> slots_;
};

class CompletionQueueTest : public testing::TestWithParam<uint32_t> {};

TEST_P(CompletionQueueTest, WideEntriesCarryTheOffset) {
  KernelSide kernel(GetParam(), true);
  CompletionQueue queue(kernel.memory());
  uint64_t posted = 0;
  uint64_t seen = 0;
  for (int round = 0; round < 100; ++round) {
    for (uint32_t i = 0; i < 1 + round % kSize; ++i, ++posted) {
      kernel.Post(posted, static_cast<int32_t>(posted * 3), IORING_CQE_F_MORE, posted << 12);
    }
    queue.Drain([&](uint64_t user_data, Completion completion) {
      EXPECT_EQ(user_data, seen);
      EXPECT_EQ(completion.res, static_cast<int32_t>(seen * 3));
      EXPECT_EQ(completion.zc_offset, seen << 12);
      EXPECT_TRUE(completion.more());
      ++seen;
    });
    EXPECT_EQ(seen, posted);
    EXPECT_EQ(kernel.head, kernel.tail);
  }
}

TEST_P(CompletionQueueTest, NarrowEntriesHaveNoOffset) {
  KernelSide kernel(GetParam(), false);
  CompletionQueue queue(kernel.memory());
  for (uint64_t i = 0; i < kSize; ++i) kernel.Post(i, -static_cast<int32_t>(i), 0, 0);
  uint64_t seen = 0;
  EXPECT_EQ(queue.Drain([&](uint64_t user_data, Completion completion) {
    EXPECT_EQ(user_data, seen);
    EXPECT_EQ(completion.res, -static_cast<int32_t>(seen++));
    EXPECT_EQ(completion.zc_offset, 0u);
    EXPECT_FALSE(completion.more());
  }),
            kSize);
}

TEST_P(CompletionQueueTest, EachEntryIsFreeWhenItsHandlerRuns) {
  KernelSide kernel(GetParam(), true);
  CompletionQueue queue(kernel.memory());
  for (uint64_t i = 0; i < kSize; ++i) kernel.Post(i, 0, 0, 0);
  uint64_t more = 12;
  uint64_t seen = 0;
  // A handler that makes the kernel post one for each it handles: there is always room for it.
  queue.Drain([&](uint64_t user_data, Completion) {
    EXPECT_EQ(user_data, seen++);
    EXPECT_LT(kernel.tail - kernel.head, kSize);
    if (more == 0) return;
    --more;
    kernel.Post(kSize + seen - 1, 0, 0, 0);
  });
  EXPECT_EQ(seen, kSize + 12u);
}

TEST_P(CompletionQueueTest, EmptyQueueGivesNothing) {
  KernelSide kernel(GetParam(), true);
  CompletionQueue queue(kernel.memory());
  EXPECT_EQ(queue.Drain([](uint64_t, Completion) { FAIL(); }), 0u);
}

INSTANTIATE_TEST_SUITE_P(Counters, CompletionQueueTest, testing::Values(0u, UINT32_MAX - 1, UINT32_MAX));

}  // namespace
}  // namespace zcrx::internal
