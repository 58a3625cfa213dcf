// SPDX-License-Identifier: Apache-2.0
#include "zcrx/runtime.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/log_capture.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<void> Increment(int* count) {
  ++*count;
  co_return;
}

TEST(RuntimeTest, RunEndsWithTheLastTask) {
  Runtime runtime = NewRuntime();
  int count = 0;
  for (int i = 0; i < 10; ++i) runtime.Spawn(Increment(&count));
  EXPECT_EQ(count, 0) << "tasks start at the next turn";
  EXPECT_EQ(runtime.task_count(), 10u);
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(count, 10);
  EXPECT_TRUE(runtime.Run().ok()) << "and at once without any";
}

Task<void> AcceptForever(Runtime& runtime, int* cancelled) {
  absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  while (true) {
    absl::StatusOr<Stream> stream = co_await listener->Accept();
    if (absl::IsCancelled(stream.status())) {
      ++*cancelled;
      co_return;
    }
  }
}

TEST(RuntimeTest, StopFromAnotherThread) {
  Runtime runtime = NewRuntime();
  int cancelled = 0;
  runtime.Spawn(AcceptForever(runtime, &cancelled));
  std::jthread stopper([&] { runtime.Stop(); });
  EXPECT_TRUE(runtime.Run().ok());
  stopper.join();  // the runtime must outlive the call of Stop()
  EXPECT_EQ(runtime.task_count(), 1u) << "stopping ends the loop, not the tasks";
  runtime = NewRuntime();
  EXPECT_EQ(cancelled, 1) << "the end of the runtime cancels them";
}

// A task that starts only when its runtime ends, by being assigned to, meets the old one and not the new.
TEST(RuntimeTest, TaskThatStartsAtTheEndIsCancelled) {
  Runtime runtime = NewRuntime();
  int cancelled = 0;
  runtime.Spawn(AcceptForever(runtime, &cancelled));
  runtime.Stop();
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(cancelled, 0);
  runtime = NewRuntime();
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(runtime.task_count(), 0u);
}

TEST(RuntimeTest, PostedFunctionsRunInOrderOnTheRuntimesThread) {
  Runtime runtime = NewRuntime();
  int cancelled = 0;
  runtime.Spawn(AcceptForever(runtime, &cancelled));
  const std::thread::id owner = std::this_thread::get_id();
  std::vector<int> order;
  std::jthread poster([&] {
    for (int i = 0; i < 1000; ++i) {
      runtime.Post([&order, i, owner] {
        EXPECT_EQ(std::this_thread::get_id(), owner);
        order.push_back(i);
      });
    }
    runtime.Post([&] { runtime.Stop(); });
  });
  EXPECT_TRUE(runtime.Run().ok());
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

bool Readable(int fd) {
  pollfd poll_fd = {.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, 0) == 1;
}

// What a foreign loop does: wait for the descriptor, then RunOnce(0).
TEST(RuntimeTest, LivesInsideAForeignLoop) {
  Runtime runtime = NewRuntime();
  const std::string sent = Pattern(3, 2'000'000);
  std::string received;
  runtime.Spawn([](Runtime& r, const std::string& out, std::string* in) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    r.Spawn([](Stream stream, const std::string& bytes) -> Task<void> {
      const absl::Status done = co_await stream.SendAll(AsBytes(bytes));
      EXPECT_TRUE(done.ok());
    }(std::move(pair.client), out));
    absl::StatusOr<std::string> all = co_await ReceiveAll(pair.server);
    EXPECT_TRUE(all.ok());
    *in = *std::move(all);
  }(runtime, sent, &received));
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  while (runtime.task_count() > 0) {
    pollfd poll_fd = {.fd = runtime.event_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&poll_fd, 1, 10'000), 1) << "the descriptor did not tell that there is something to do";
    ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  }
  EXPECT_TRUE(received == sent);
}

TEST(RuntimeTest, PostMakesTheDescriptorReadable) {
  Runtime runtime = NewRuntime();
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  EXPECT_FALSE(Readable(runtime.event_fd()));
  bool ran = false;
  std::jthread([&] { runtime.Post([&] { ran = true; }); }).join();
  EXPECT_TRUE(Readable(runtime.event_fd()));
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  EXPECT_TRUE(ran);
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  EXPECT_FALSE(Readable(runtime.event_fd()));
}

TEST(RuntimeTest, CallsBetweenTurnsMakeTheDescriptorReadable) {
  Runtime runtime = NewRuntime();
  ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
  Stream kept;
  runtime.Spawn([](Runtime& r, Stream* out) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    *out = std::move(pair.server);
    const absl::StatusOr<Buffer> end = co_await pair.client.Receive();
    EXPECT_TRUE(end.ok() && end->empty());
  }(runtime, &kept));
  EXPECT_TRUE(Readable(runtime.event_fd())) << "Spawn()";
  const auto run_until_silent = [&runtime] {
    do ASSERT_TRUE(runtime.RunOnce(milliseconds(10)).ok());
    while (Readable(runtime.event_fd()));
  };
  run_until_silent();
  ASSERT_EQ(runtime.task_count(), 1u);
  kept = Stream();
  EXPECT_TRUE(Readable(runtime.event_fd())) << "Stream::Close()";
  run_until_silent();
  EXPECT_EQ(runtime.task_count(), 0u);
}

// The pieces of a region that is low are wanted at once: what arrives might find none.
TEST(RuntimeTest, BuffersDroppedBetweenTurnsMakeTheDescriptorReadable) {
  constexpr size_t kPieces = 16;
  absl::StatusOr<Runtime> runtime = Runtime::Create(
      {.mode = ReceiveMode::kCopy, .copy_pool = {.bytes = kPieces * 4096}, .pressure = {.enabled = false}});
  ASSERT_TRUE(runtime.ok()) << runtime.status();
  BufferChain kept;
  runtime->Spawn([](Runtime& r, BufferChain* out) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string bytes = Pattern(1, kPieces * 4096 * 3 / 4);
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(bytes));
    EXPECT_TRUE(sent.ok());
    while (out->size() < bytes.size()) {
      absl::StatusOr<Buffer> data = co_await pair.server.Receive();
      if (!data.ok()) co_return;
      out->Append(*std::move(data));
    }
    const absl::Status slept = co_await Sleep(std::chrono::hours(1));
    EXPECT_FALSE(slept.ok());
  }(*runtime, &kept));
  do ASSERT_TRUE(runtime->RunOnce(milliseconds(10)).ok());
  while (kept.size() < kPieces * 4096 * 3 / 4 || Readable(runtime->event_fd()));
  EXPECT_GT(runtime->stats().buffers_out, kPieces / 2);
  kept = BufferChain();
  EXPECT_TRUE(Readable(runtime->event_fd()));
  ASSERT_TRUE(runtime->RunOnce(seconds(0)).ok());
  EXPECT_EQ(runtime->stats().buffers_out, 0u);
}

TEST(RuntimeTest, RunOnceReturnsWhenNothingHappens) {
  Runtime runtime = NewRuntime();
  EXPECT_TRUE(runtime.RunOnce(milliseconds(5)).ok());
}

Task<void> NeverEnds(std::shared_ptr<int> held) {
  struct Never {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<>) {}
    void await_resume() {}
  };
  co_await Never();
  EXPECT_NE(held, nullptr);
}

TEST(RuntimeTest, TasksThatNeverEndAreDestroyedWithTheRuntime) {
  auto held = std::make_shared<int>(1);
  {
    Runtime runtime = NewRuntime();
    runtime.Spawn(NeverEnds(held));
    ASSERT_TRUE(runtime.RunOnce(seconds(0)).ok());
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(RuntimeTest, StreamsMayOutliveTheRuntime) {
  StreamPair pair;
  {
    Runtime runtime = NewRuntime();
    RunToEnd(runtime, [](Runtime& r, StreamPair* out) -> Task<void> {
      *out = co_await ConnectPair(r);
      const std::string text = "unread";
      const absl::Status sent = co_await out->client.SendAll(AsBytes(text));
      EXPECT_TRUE(sent.ok());
      const absl::StatusOr<Buffer> data = co_await out->server.Receive();  // leaves the receive armed
      EXPECT_TRUE(data.ok());
    }(runtime, &pair));
  }
  EXPECT_FALSE(pair.client.is_open());
  EXPECT_EQ(pair.server.stats().bytes_received, 6u);
  pair.server.Close();
}

// The peer never reads: what was sent stays with the kernel until the runtime drops the connection.
TEST(RuntimeTest, EndsWhileThePeerDoesNotAcknowledge) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const SocketAddress any = LoopbackAddress();
  ASSERT_EQ(bind(listener, any.get(), any.length()), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  sockaddr_in address;
  socklen_t length = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  const LogCapture heard;
  {
    Runtime runtime = NewRuntime();
    runtime.Spawn([](Runtime& r, SocketAddress to) -> Task<void> {
      absl::StatusOr<Stream> stream = co_await Connect(r, to);
      EXPECT_TRUE(stream.ok());
      StreamPair pair = co_await ConnectPair(r);
      const std::string block = Pattern(0, 1 << 20);
      r.Spawn([](Stream from, std::string bytes) -> Task<void> {
        while ((co_await from.SendAll(AsBytes(bytes))).ok()) {
        }
      }(std::move(pair.client), block));
      while (true) {
        absl::StatusOr<BufferChain> data = co_await pair.server.ReceiveBatch();
        if (!data.ok() || data->empty()) co_return;
        const absl::Status sent = co_await stream->SendAll(*std::move(data));
        if (!sent.ok()) co_return;
      }
    }(runtime, *SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&address), length)));
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(runtime.RunOnce(milliseconds(10)).ok());
    EXPECT_GT(runtime.task_count(), 0u);
    EXPECT_TRUE(heard.Of("shutdown.reset").empty());
  }
  ASSERT_FALSE(heard.Of("shutdown.reset").empty());
  EXPECT_EQ(heard.Of("shutdown.reset")[0].severity, LogSeverity::kWarning);
  close(listener);
}

TEST(RuntimeTest, ModesSayWhichPathAndWhy) {
  EXPECT_EQ(NewRuntime({.mode = ReceiveMode::kCopy}).receive_path().reason, "copy was asked for");

  RuntimeOptions options;
  EXPECT_NE(NewRuntime(options).receive_path().reason.find("no interface queue"), std::string::npos);
  options.mode = ReceiveMode::kZeroCopy;
  EXPECT_TRUE(absl::IsInvalidArgument(Runtime::Create(options).status()));

  // Loopback cannot, whatever the kernel is; and the error says so, or that the kernel cannot.
  options.interface_queue = InterfaceQueueOptions{.interface = "lo", .rx_queue = 0};
  const absl::Status zero_copy = Runtime::Create(options).status();
  EXPECT_FALSE(zero_copy.ok());
  options.mode = ReceiveMode::kAuto;
  const LogCapture heard;
  const Runtime fallback = NewRuntime(options);
  EXPECT_EQ(fallback.receive_path().kind, ReceivePathInfo::Kind::kCopy);
  EXPECT_EQ(fallback.receive_path().reason, zero_copy.message());
  ASSERT_EQ(heard.Of("runtime.copy").size(), 1u);
  EXPECT_EQ(heard.Of("runtime.copy")[0].severity, LogSeverity::kWarning) << "zero copy was asked for";
  EXPECT_EQ(heard.Of("runtime.copy")[0].text, "receives with a copy: " + fallback.receive_path().reason);
  NewRuntime();
  ASSERT_EQ(heard.Of("runtime.copy").size(), 2u);
  EXPECT_EQ(heard.Of("runtime.copy")[1].severity, LogSeverity::kInfo) << "no queue was named";
  EXPECT_FALSE(fallback.stats().interface_queue.has_value());
}

TEST(RuntimeTest, RbufRingThatTheKernelLacksIsNamed) {
  RuntimeOptions options;
  options.mode = ReceiveMode::kZeroCopy;
  options.interface_queue =
      InterfaceQueueOptions{.interface = "lo", .rx_queue = 0, .completion = CompletionRing::kRbufRing};
  const absl::Status status = Runtime::Create(options).status();
  ASSERT_FALSE(status.ok()) << "loopback cannot";
  const KernelFeatures features = ProbeKernel();
  const bool lacks = features.zero_copy_receive && !features.rbuf_ring;
  EXPECT_EQ(status.message().find("CompletionRing::kAuto") != std::string::npos, lacks) << status;
  options.mode = ReceiveMode::kAuto;
  const Runtime fallback = NewRuntime(options);
  EXPECT_EQ(fallback.receive_path().kind, ReceivePathInfo::Kind::kCopy);
  EXPECT_EQ(fallback.receive_path().completion, CompletionRing::kMainCq);
  EXPECT_EQ(fallback.receive_path().reason, status.message());
}

TEST(RuntimeTest, BadOptionsAreNamed) {
  RuntimeOptions options;
  options.submission_entries = 64;
  options.completion_entries = 2;
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_NE(status.message().find("completion_entries"), std::string::npos) << status;
  options = {};
  options.copy_pool.buffer_bytes = 1000;
  EXPECT_NE(Runtime::Create(options).status().message().find("buffer_bytes"), std::string::npos);
}

TEST(RuntimeTest, WatermarksThatMakeNoSenseAreRefused) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    double low;
    double high;
    const char* named;  // null: they are fine
  };
  for (const Case& c :
       {Case{0, 0, nullptr}, Case{1, 1, nullptr}, Case{0, 1, nullptr}, Case{0.5, 0.5, nullptr},
        Case{0.6, 0.5, "low_watermark"}, Case{-0.1, 0.5, "low_watermark"}, Case{kNan, 0.5, "low_watermark"},
        Case{0.5, 1.1, "high_watermark"}, Case{-0.2, -0.1, "high_watermark"},
        Case{0.5, kNan, "high_watermark"}}) {
    SCOPED_TRACE(testing::Message() << c.low << " to " << c.high);
    const RuntimeOptions options = {.pressure = {.high_watermark = c.high, .low_watermark = c.low}};
    const absl::Status status = Runtime::Create(options).status();
    EXPECT_EQ(status.ok(), c.named == nullptr) << status;
    if (c.named == nullptr) continue;
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    const std::string start = std::string("PressureOptions::") + c.named;
    EXPECT_EQ(status.message().substr(0, start.size()), start);
    EXPECT_NE(status.message().find("fix: "), std::string::npos) << status;
  }
}

TEST(RuntimeTest, KernelFeaturesDescribeThemselves) {
  const KernelFeatures features = ProbeKernel();
  EXPECT_TRUE(features.io_uring);
  EXPECT_NE(features.Describe().find("zero-copy receive"), std::string::npos);
  EXPECT_NE(features.zero_copy_receive, !features.reason.empty()) << features.Describe();
}

}  // namespace
}  // namespace zcrx
