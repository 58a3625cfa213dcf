// SPDX-License-Identifier: Apache-2.0
//
// Tasks side by side, time and cancellation.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/allocation_counter.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// --- Sleep -------------------------------------------------------------------

Task<void> SleepAndNote(nanoseconds duration, int name, std::vector<int>* order) {
  const absl::Status slept = co_await Sleep(duration);
  EXPECT_TRUE(slept.ok()) << slept;
  order->push_back(name);
}

TEST(SleepTest, EndsInTheOrderOfTheTimes) {
  Runtime runtime = NewRuntime();
  std::vector<int> order;
  runtime.Spawn(SleepAndNote(milliseconds(30), 3, &order));
  runtime.Spawn(SleepAndNote(milliseconds(10), 1, &order));
  runtime.Spawn(SleepAndNote(milliseconds(20), 2, &order));
  runtime.Spawn(SleepAndNote(seconds(0), 0, &order));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(SleepTest, UntilATimeLongPastEndsAtOnce) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    TaskGroup group(r);
    group.Spawn([]() -> Task<void> {
      const absl::Status slept = co_await Sleep(hours(1));
      EXPECT_EQ(slept.code(), absl::StatusCode::kCancelled);
    }());
    // The timer of the kernel has been set for the hour, and moved, by then.
    absl::Status slept = co_await Sleep(milliseconds(1));
    EXPECT_TRUE(slept.ok());
    slept = co_await Sleep(-hours(24 * 365 * 100));
    EXPECT_TRUE(slept.ok());
    group.Cancel();
    const absl::Status ended = co_await group.Wait();
    EXPECT_TRUE(ended.ok());
  }(runtime));
}

TEST(SleepTest, OfNothingLetsTheOthersGoFirst) {
  Runtime runtime = NewRuntime();
  std::vector<int> order;
  const auto twice = [](int name, std::vector<int>* out) -> Task<void> {
    out->push_back(name);
    const absl::Status slept = co_await Sleep(seconds(0));
    EXPECT_TRUE(slept.ok());
    out->push_back(name);
  };
  for (int name = 0; name < 3; ++name) runtime.Spawn(twice(name, &order));
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 0, 1, 2}));
}

Task<void> SleepForEver(int* cancelled) {
  const absl::Status slept = co_await Sleep(nanoseconds::max());
  if (absl::IsCancelled(slept)) ++*cancelled;
}

TEST(SleepTest, EndsWithTheRuntime) {
  int cancelled = 0;
  {
    Runtime runtime = NewRuntime();
    for (int i = 0; i < 100; ++i) runtime.Spawn(SleepForEver(&cancelled));
    EXPECT_TRUE(runtime.RunOnce(seconds(0)).ok());
  }
  EXPECT_EQ(cancelled, 100);
}

// What the process has in memory.
uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0;
  uint64_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// 100,000 timers, armed and disarmed in random order, without allocations once the thread is warm.
TEST(SleepTest, ManyTimersAreCheap) {
  Runtime runtime = NewRuntime();
  constexpr int kTimers = 100'000;
  std::mt19937 random(1);
  int ended = 0;
  const auto sleep = [](nanoseconds duration, int* count) -> Task<void> {
    const absl::Status slept = co_await Sleep(duration);
    EXPECT_TRUE(slept.ok());
    ++*count;
  };
  const uint64_t heap = ResidentBytes();
  for (int i = 0; i < kTimers; ++i) runtime.Spawn(sleep(microseconds(1 + random() % 100'000), &ended));
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());  // arms them
  printf("%.0f bytes of memory for each of %d tasks with a timer\n",
         static_cast<double>(ResidentBytes() - heap) / kTimers, kTimers);
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(ended, kTimers);

  const auto again = [](int rounds, int* count) -> Task<void> {
    for (int i = 0; i < rounds; ++i) {
      const absl::Status slept = co_await Sleep(microseconds(1));
      EXPECT_TRUE(slept.ok());
      ++*count;
    }
  };
  ended = 0;
  runtime.Spawn(again(1000, &ended));
  const uint64_t before = AllocationCount();
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(ended, 1000);
  EXPECT_EQ(AllocationCount(), before);
}

// A foreign loop knows of nothing but the descriptor.
TEST(SleepTest, MakesTheDescriptorReadable) {
  Runtime runtime = NewRuntime();
  int ended = 0;
  const auto rounds = [](int* count) -> Task<void> {
    for (int i = 0; i < 5; ++i) {
      const absl::Status slept = co_await Sleep(milliseconds(5));
      EXPECT_TRUE(slept.ok());
    }
    ++*count;
  };
  const auto later = [](int* count) -> Task<void> {
    const absl::Status slept = co_await Sleep(milliseconds(40));
    EXPECT_TRUE(slept.ok());
    ++*count;
  };
  runtime.Spawn(later(&ended));  // the descriptor's timer is moved to an earlier time, and back
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  runtime.Spawn(rounds(&ended));
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  while (runtime.task_count() > 0) {
    pollfd poll_fd = {.fd = runtime.event_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&poll_fd, 1, 10'000), 1) << "the descriptor did not tell that a timer is due";
    ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  }
  EXPECT_EQ(ended, 2);
}

// --- TaskGroup ---------------------------------------------------------------

Task<absl::Status> EndAfter(int turns, absl::Status status) {
  for (int i = 0; i < turns; ++i) {
    const absl::Status slept = co_await Sleep(seconds(0));
    if (!slept.ok()) co_return slept;
  }
  co_return status;
}

TEST(TaskGroupTest, WaitsForAll) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    TaskGroup group(r);
    const absl::Status nothing = co_await group.Wait();
    EXPECT_TRUE(nothing.ok());
    int done = 0;
    const auto count = [](int turns, int* out) -> Task<void> {
      const absl::Status ended = co_await EndAfter(turns, absl::OkStatus());
      EXPECT_TRUE(ended.ok());
      ++*out;
    };
    for (int i = 0; i < 10; ++i) group.Spawn(count(i, &done));
    EXPECT_EQ(group.size(), 10u);
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok());
    EXPECT_EQ(done, 10);
    EXPECT_EQ(group.size(), 0u);
  }(runtime));
}

TEST(TaskGroupTest, GivesTheFirstError) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    TaskGroup group(r);
    int done = 0;
    const auto count = [](int* out) -> Task<absl::Status> {
      const absl::Status ended = co_await EndAfter(20, absl::OkStatus());
      if (ended.ok()) ++*out;
      co_return ended;
    };
    group.Spawn(EndAfter(5, absl::DataLossError("second")));
    group.Spawn(EndAfter(2, absl::AbortedError("first")));
    group.Spawn(count(&done));
    const absl::Status waited = co_await group.Wait();
    EXPECT_EQ(waited, absl::AbortedError("first"));
    EXPECT_EQ(done, 1) << "the others go on";
    const absl::Status again = co_await group.Wait();
    EXPECT_TRUE(again.ok()) << "told once";
  }(runtime));
}

TEST(TaskGroupTest, FirstErrorCancelsTheOthersIfAsked) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    TaskGroup group(r, TaskGroup::OnError::kCancelOthers);
    int cancelled = 0;
    const auto receive = [](Stream& stream, int* count) -> Task<absl::Status> {
      const absl::StatusOr<Buffer> data = co_await stream.Receive();
      if (absl::IsCancelled(data.status())) ++*count;
      co_return data.status();
    };
    group.Spawn(receive(pair.client, &cancelled));
    group.Spawn(receive(pair.server, &cancelled));
    group.Spawn(SleepForEver(&cancelled));
    group.Spawn(EndAfter(3, absl::AbortedError("enough")));
    const absl::Status waited = co_await group.Wait();
    EXPECT_EQ(waited, absl::AbortedError("enough"));
    EXPECT_EQ(cancelled, 3);
    EXPECT_TRUE(pair.client.is_open()) << "cancelling an operation does not close the stream";
  }(runtime));
}

// A task that is spawned by the last one, just as the waiter is about to go on.
TEST(TaskGroupTest, WaitsForTasksThatAreSpawnedMeanwhile) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    TaskGroup group(r);
    int done = 0;
    struct Chain {
      static Task<void> Link(TaskGroup& in, int left, int* out) {
        const absl::Status slept = co_await Sleep(seconds(0));
        EXPECT_TRUE(slept.ok());
        if (left > 0) in.Spawn(Link(in, left - 1, out));
        ++*out;
      }
    };
    group.Spawn(Chain::Link(group, 9, &done));
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok());
    EXPECT_EQ(done, 10);
  }(runtime));
}

// Cancellation goes down through tasks, groups and limits to the operation.
TEST(TaskGroupTest, CancellationReachesWhatIsNested) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    int cancelled = 0;
    struct Nest {
      static Task<absl::Status> Down(Runtime& in, int depth, int* out) {
        if (depth == 0) {
          co_await SleepForEver(out);
          co_return absl::OkStatus();
        }
        TaskGroup inner(in);
        inner.Spawn(WithTimeout(hours(1), Down(in, depth - 1, out)));
        co_return co_await inner.Wait();
      }
    };
    TaskGroup group(r);
    for (int depth = 0; depth < 10; ++depth) group.Spawn(Nest::Down(r, depth, &cancelled));
    const absl::Status turns = co_await EndAfter(50, absl::OkStatus());
    EXPECT_TRUE(turns.ok());
    EXPECT_EQ(cancelled, 0);
    group.Cancel();
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok()) << waited;
    EXPECT_EQ(cancelled, 10);
    // What is started after that meets it at once.
    group.Spawn(SleepForEver(&cancelled));
    const absl::Status again = co_await group.Wait();
    EXPECT_TRUE(again.ok()) << again;
    EXPECT_EQ(cancelled, 11);
  }(runtime));
}

TEST(TaskGroupTest, EndsWithTheRuntime) {
  int cancelled = 0;
  {
    Runtime runtime = NewRuntime();
    runtime.Spawn([](Runtime& r, int* count) -> Task<void> {
      TaskGroup group(r);
      for (int i = 0; i < 3; ++i) group.Spawn(SleepForEver(count));
      const absl::Status waited = co_await group.Wait();
      EXPECT_TRUE(waited.ok());
      EXPECT_EQ(*count, 3);
    }(runtime, &cancelled));
    EXPECT_TRUE(runtime.RunOnce(seconds(0)).ok());
  }
  EXPECT_EQ(cancelled, 3);
}

struct Never {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<>) {}
  void await_resume() {}
};

TEST(TaskGroupTest, TasksThatNeverEndAreDestroyedWithTheRuntime) {
  auto held = std::make_shared<int>(1);
  {
    Runtime runtime = NewRuntime();
    runtime.Spawn([](Runtime& r, std::shared_ptr<int> shared) -> Task<void> {
      TaskGroup group(r);
      group.Spawn([](std::shared_ptr<int> mine) -> Task<void> {
        co_await Never();
        EXPECT_NE(mine, nullptr);
      }(shared));
      const absl::Status waited = co_await group.Wait();
      ADD_FAILURE() << "its task has not ended: " << waited;
    }(runtime, held));
    EXPECT_TRUE(runtime.RunOnce(seconds(0)).ok());
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TaskGroupDeathTest, MustNotGoBeforeItsTasks) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Runtime runtime = NewRuntime();
        runtime.Spawn([](Runtime& r) -> Task<void> {
          TaskGroup group(r);
          int cancelled = 0;
          group.Spawn(SleepForEver(&cancelled));
          co_return;
        }(runtime));
        EXPECT_TRUE(runtime.Run().ok());
      },
      "");
}

// --- WithTimeout -------------------------------------------------------------

TEST(WithTimeoutTest, PassesOnWhatIsInTime) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string text = "in time";
    const absl::Status sent = co_await WithTimeout(hours(1), pair.client.SendAll(AsBytes(text)));
    EXPECT_TRUE(sent.ok());
    const absl::StatusOr<Buffer> data = co_await WithTimeout(hours(1), pair.server.Receive());
    EXPECT_EQ(data->text(), text);
    pair.client.Close();
    const absl::StatusOr<BufferChain> end = co_await WithTimeout(hours(1), pair.server.ReceiveBatch());
    EXPECT_TRUE(end.ok() && end->empty());
    const absl::Status error = co_await WithTimeout(hours(1), EndAfter(2, absl::DataLossError("its own")));
    EXPECT_EQ(error, absl::DataLossError("its own"));
  }(runtime));
}

TEST(WithTimeoutTest, LateReceiveLosesNothing) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const absl::StatusOr<Buffer> late = co_await WithTimeout(milliseconds(1), pair.server.Receive());
    EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
    EXPECT_EQ(ErrnoOf(late.status()), ETIMEDOUT);
    EXPECT_NE(late.status().message().find("not over after 1ms"), std::string::npos) << late.status();
    const std::string text = "after that";
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    const absl::StatusOr<Buffer> data = co_await pair.server.Receive();
    EXPECT_EQ(data->text(), text);
  }(runtime));
}

TEST(WithTimeoutTest, EndsASendThatThePeerDoesNotTake) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string much = Pattern(0, 64 << 20);
    const absl::Status late = co_await WithTimeout(milliseconds(20), pair.client.SendAll(AsBytes(much)));
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    const uint64_t sent = pair.client.stats().bytes_sent;
    EXPECT_LT(sent, much.size());
    pair.client.Close();
    // The part that was sent is what arrives, and no more.
    absl::StatusOr<std::string> all = co_await ReceiveAll(pair.server);
    EXPECT_TRUE(all.ok()) << all.status();
    const bool whole = all.ok() && *all == much.substr(0, sent);
    EXPECT_TRUE(whole);
  }(runtime));
}

TEST(WithTimeoutTest, EndsAcceptAndTasks) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    absl::StatusOr<Listener> listener = Listener::Create(r, LoopbackAddress());
    const absl::StatusOr<Stream> nobody = co_await WithTimeout(milliseconds(1), listener->Accept());
    EXPECT_TRUE(absl::IsDeadlineExceeded(nobody.status())) << nobody.status();
    absl::StatusOr<Stream> client = co_await Connect(r, listener->address());
    const absl::StatusOr<Stream> peer = co_await WithTimeout(hours(1), listener->Accept());
    EXPECT_TRUE(peer.ok()) << "the next Accept() gets the connection";
    const absl::Status late = co_await WithTimeout(milliseconds(1), EndAfter(1 << 30, absl::OkStatus()));
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  }(runtime));
}

// Nobody answers: the peer's queue of connections is full.
TEST(WithTimeoutTest, EndsConnect) {
  Runtime runtime = NewRuntime();
  const int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SocketAddress address = LoopbackAddress();
  ASSERT_EQ(bind(full, address.get(), address.length()), 0);
  ASSERT_EQ(listen(full, 0), 0);
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  ASSERT_EQ(getsockname(full, reinterpret_cast<sockaddr*>(&storage), &length), 0);
  address = *SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  RunToEnd(runtime, [](Runtime& r, SocketAddress to) -> Task<void> {
    std::vector<Stream> connected;
    for (int i = 0; i < 100; ++i) {
      absl::StatusOr<Stream> stream = co_await WithTimeout(milliseconds(50), Connect(r, to));
      if (!stream.ok()) {
        EXPECT_TRUE(absl::IsDeadlineExceeded(stream.status())) << stream.status();
        co_return;
      }
      connected.push_back(*std::move(stream));
    }
    ADD_FAILURE() << "a queue of no connections took 100";
  }(runtime, address));
  close(full);
}

TEST(WithTimeoutTest, NeedsARuntime) {
  absl::Status result;
  struct Driver {
    struct promise_type {
      Driver get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
    static Driver Drive(absl::Status* out) { *out = co_await WithTimeout(seconds(1), Sleep(seconds(2))); }
    static Driver DriveSleep(absl::Status* out) { *out = co_await Sleep(seconds(2)); }
  };
  Driver::Drive(&result);
  EXPECT_TRUE(absl::IsFailedPrecondition(result)) << result;
  result = absl::OkStatus();
  Driver::DriveSleep(&result);
  EXPECT_TRUE(absl::IsFailedPrecondition(result)) << result;
}

// --- WithCancel, Race --------------------------------------------------------

TEST(WithCancelTest, EndsWhatIsUnderTheSource) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    CancelSource source;
    StreamPair pair = co_await ConnectPair(r);
    TaskGroup group(r);
    group.Spawn([](CancelSource& by) -> Task<void> {
      const absl::Status turns = co_await EndAfter(3, absl::OkStatus());
      EXPECT_TRUE(turns.ok());
      by.Cancel();
    }(source));
    const absl::StatusOr<Buffer> data = co_await WithCancel(source, pair.server.Receive());
    EXPECT_TRUE(absl::IsCancelled(data.status())) << data.status();
    const absl::Status late = co_await WithCancel(source, Sleep(hours(1)));
    EXPECT_TRUE(absl::IsCancelled(late)) << "also what starts later";
    const absl::Status other = co_await Sleep(seconds(0));
    EXPECT_TRUE(other.ok()) << "and nothing else";
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok());
  }(runtime));
}

TEST(RaceTest, GivesTheFirstAndEndsTheOthers) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    auto first = co_await Race(pair.server.Receive(), Sleep(milliseconds(1)), Sleep(hours(1)));
    EXPECT_EQ(first.index(), 1u);
    EXPECT_TRUE(std::get<1>(first).ok());
    const std::string text = "bytes";
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    auto second = co_await Race(pair.server.Receive(), EndAfter(1 << 30, absl::OkStatus()));
    EXPECT_EQ(second.index(), 0u);
    EXPECT_EQ(std::get<0>(second)->text(), text);
  }(runtime));
}

// Both are ready in one turn: the loser has taken nothing.
TEST(RaceTest, LosingReceiveLosesNoByte) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair a = co_await ConnectPair(r);
    StreamPair b = co_await ConnectPair(r);
    for (int round = 0; round < 200; ++round) {
      const std::string text = std::to_string(round);
      const absl::Status sent_a = co_await a.client.SendAll(AsBytes(text));
      const absl::Status sent_b = co_await b.client.SendAll(AsBytes(text));
      EXPECT_TRUE(sent_a.ok() && sent_b.ok());
      auto first = co_await Race(a.server.Receive(), b.server.Receive());
      const absl::StatusOr<Buffer>& won = first.index() == 0 ? std::get<0>(first) : std::get<1>(first);
      EXPECT_EQ(won->text(), text);
      Stream& loser = first.index() == 0 ? b.server : a.server;
      const absl::StatusOr<Buffer> rest = co_await loser.Receive();
      EXPECT_EQ(rest->text(), text);
    }
  }(runtime));
}

// --- The storm ---------------------------------------------------------------

// Receives that are cancelled at random moments while bytes flow: every byte arrives once, in order.
TEST(CancellationStormTest, EveryByteArrivesOnceInOrder) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    constexpr int kCancelled = 10'000;
    StreamPair pair = co_await ConnectPair(r);
    TaskGroup group(r);
    bool enough = false;
    uint64_t sent_bytes = 0;
    group.Spawn([](Stream to, const bool& stop, uint64_t* sent) -> Task<void> {
      std::mt19937 random(2);
      while (!stop) {
        const std::string bytes = Pattern(*sent, 1 + random() % 20'000);
        const absl::Status status = co_await to.SendAll(AsBytes(bytes));
        EXPECT_TRUE(status.ok()) << status;
        *sent += bytes.size();
        if (random() % 2 == 0) continue;
        const absl::Status slept = co_await Sleep(microseconds(random() % 100));
        EXPECT_TRUE(slept.ok());
      }
    }(std::move(pair.client), enough, &sent_bytes));
    std::mt19937 random(3);
    uint64_t received = 0;
    int cancelled = 0;
    int succeeded = 0;
    const auto check = [&received](const Buffer& data) {
      for (const std::byte byte : data.bytes()) {
        if (byte != PatternByte(received)) return false;
        ++received;
      }
      return true;
    };
    while (true) {
      enough = cancelled >= kCancelled && succeeded >= 1000;
      absl::StatusOr<Buffer> data;
      if (random() % 4 == 0 || enough) {
        data = co_await pair.server.Receive();
      } else if (random() % 2 == 0) {
        data = co_await WithTimeout(microseconds(random() % 30), pair.server.Receive());
      } else {
        // Cancelled after a number of turns, which may be the one in which bytes come.
        auto first =
            co_await Race(pair.server.Receive(), EndAfter(static_cast<int>(random() % 4), absl::OkStatus()));
        data = first.index() == 0 ? std::move(std::get<0>(first)) : absl::CancelledError();
      }
      if (data.ok() && data->empty()) break;
      if (data.ok()) {
        ++succeeded;
        if (!check(*data)) {
          ADD_FAILURE() << "byte " << received << " is wrong";
          break;
        }
      } else {
        const bool expected = absl::IsCancelled(data.status()) || absl::IsDeadlineExceeded(data.status());
        EXPECT_TRUE(expected) << data.status();
        ++cancelled;
      }
    }
    pair.server.Close();
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok());
    EXPECT_EQ(received, sent_bytes);
    EXPECT_GE(cancelled, kCancelled);
  }(runtime));
}

}  // namespace
}  // namespace zcrx
