// SPDX-License-Identifier: Apache-2.0
#include "zcrx/task.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/allocation_counter.h"

namespace zcrx {
namespace {

// Runs a task that suspends only where the test says; owns nothing of it.
struct Driver {
  struct promise_type {
    Driver get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

template <typename T>
Driver Drive(Task<T> task, std::optional<T>* result) {
  *result = co_await std::move(task);
}

Driver DriveVoid(Task<void> task, bool* done) {
  co_await std::move(task);
  *done = true;
}

// Suspends the awaiting task until resumed by hand.
struct Gate {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) { waiting = coroutine; }
  void await_resume() {}
  std::coroutine_handle<> waiting;
};

Task<int> Add(int a, int b) { co_return a + b; }

Task<int> Sum(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await Add(i, 0);
  co_return sum;
}

Task<void> PassGate(Gate* gate, int* steps) {
  ++*steps;
  co_await *gate;
  ++*steps;
}

TEST(TaskTest, IsLazy) {
  int steps = 0;
  Gate gate;
  {
    const Task<void> never_awaited = PassGate(&gate, &steps);
  }
  EXPECT_EQ(steps, 0);
}

TEST(TaskTest, GivesItsResult) {
  std::optional<int> result;
  Drive(Sum(1000), &result);
  EXPECT_EQ(result, 499500);
}

TEST(TaskTest, SuspendsAndGoesOn) {
  int steps = 0;
  bool done = false;
  Gate gate;
  DriveVoid(PassGate(&gate, &steps), &done);
  EXPECT_EQ(steps, 1);
  EXPECT_FALSE(done);
  gate.waiting.resume();
  EXPECT_EQ(steps, 2);
  EXPECT_TRUE(done);
}

Task<std::unique_ptr<std::string>> MoveOnly() { co_return std::make_unique<std::string>("moved"); }

TEST(TaskTest, ResultsMayBeMoveOnly) {
  std::optional<std::unique_ptr<std::string>> result;
  Drive(MoveOnly(), &result);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(**result, "moved");
}

Task<int> Deep(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await Deep(depth - 1);
  co_return below + 1;
}

TEST(TaskTest, LongLoopsOfTasksThatDoNotSuspendNeedNoStack) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
  // Symmetric transfer is a tail call, which only optimised code without sanitizers makes.
  constexpr int kTasks = 1000;
#else
  constexpr int kTasks = 1'000'000;
#endif
  std::optional<int> result;
  Drive(Sum(kTasks), &result);
  EXPECT_TRUE(result.has_value());
  Drive(Deep(kTasks / 10), &result);
  EXPECT_EQ(result, kTasks / 10);
}

TEST(TaskTest, FramesAreRecycled) {
  std::optional<int> result;
  Drive(Sum(10), &result);  // warms up
  const uint64_t before = AllocationCount();
  Drive(Sum(10'000), &result);
  // The driver's own frame is not recycled.
  EXPECT_LE(AllocationCount() - before, 1u);
}

struct CountsDestruction {
  explicit CountsDestruction(int* c) : count(c) {}
  ~CountsDestruction() { ++*count; }
  int* count;
};

Task<void> Holds(std::unique_ptr<CountsDestruction> held, Gate* gate) {
  co_await *gate;
  held.reset();
}

TEST(TaskTest, UnawaitedTaskDestroysItsParameters) {
  int destroyed = 0;
  Gate gate;
  {
    const Task<void> task = Holds(std::make_unique<CountsDestruction>(&destroyed), &gate);
  }
  EXPECT_EQ(destroyed, 1);
  Task<void> first = Holds(std::make_unique<CountsDestruction>(&destroyed), &gate);
  first = Holds(std::make_unique<CountsDestruction>(&destroyed), &gate);
  EXPECT_EQ(destroyed, 2);
}

}  // namespace
}  // namespace zcrx
