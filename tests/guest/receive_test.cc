// SPDX-License-Identifier: Apache-2.0
//
// Zero-copy receive from the test NIC, with everything going wrong that can.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <random>
#include <utility>
#include <vector>

#include "tests/guest/guest.h"

namespace zcrx {
namespace {

class ReceiveTest : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    split_before_ = QueueCounter(kZeroCopyQueue, "split_bytes");
  }

  static Runtime NewRuntime(const RuntimeOptions& options) {
    absl::StatusOr<Runtime> runtime = Runtime::Create(options);
    if (!runtime.ok()) {
      ADD_FAILURE() << runtime.status();
      std::abort();
    }
    return *std::move(runtime);
  }

  static Listener Listen(Runtime& runtime, uint16_t port = ZeroCopyPort()) {
    absl::StatusOr<Listener> listener =
        Listener::Create(runtime, *SocketAddress::Parse("10.0.0.1:" + std::to_string(port)));
    if (!listener.ok()) {
      ADD_FAILURE() << listener.status();
      std::abort();
    }
    return *std::move(listener);
  }

  // Payload bytes that the NIC wrote into the region of queue 1 during this test.
  uint64_t SplitBytes() const { return QueueCounter(kZeroCopyQueue, "split_bytes") - split_before_; }

 private:
  uint64_t split_before_ = 0;
};

Task<void> Consume(Stream& peer, ContentChecker* checker, absl::Status* end) {
  while (true) {
    absl::StatusOr<BufferChain> data = co_await peer.ReceiveBatch();
    *end = data.status();
    if (!data.ok() || data->empty()) co_return;
    for (const Buffer& buffer : *data) checker->Check(buffer.bytes());
  }
}

Task<void> AcceptAndConsume(Listener& listener, ContentChecker* checker, absl::Status* end) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  if (!peer.ok()) {
    *end = peer.status();
    co_return;
  }
  co_await Consume(*peer, checker, end);
}

// Receives what a peer sends on the zero-copy port; what the runtime counted.
RuntimeStats ReceiveFromPeer(Runtime& runtime, Listener& listener, size_t bytes) {
  ContentChecker checker;
  absl::Status end;
  runtime.Spawn(AcceptAndConsume(listener, &checker, &end));
  {
    const Peer peer(listener.address().port(), [bytes](int fd) { EXPECT_TRUE(SendContent(fd, 0, bytes)); });
    EXPECT_TRUE(runtime.Run().ok());
  }
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_EQ(checker.count(), bytes);
  return runtime.stats();
}

TEST_F(ReceiveTest, EveryByteLandsInTheRegion) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  EXPECT_EQ(runtime.receive_path().kind, ReceivePathInfo::Kind::kZeroCopy);
  Listener listener = Listen(runtime);
  constexpr size_t kBytes = 50'000'001;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_EQ(stats.bytes_received, kBytes);
  ASSERT_TRUE(stats.interface_queue.has_value());
  EXPECT_EQ(stats.interface_queue->copied_bytes, 0u);
  EXPECT_GE(SplitBytes(), kBytes);
}

TEST_F(ReceiveTest, RegionSmallerThanTheTrafficInFlight) {
  // The page pool alone holds on to more than this; the NIC drops, and TCP sends again.
  Runtime runtime = NewRuntime(ZeroCopyOptions(64 * 4096));
  Listener listener = Listen(runtime);
  const uint64_t failures = QueueCounter(kZeroCopyQueue, "alloc_fail");
  ReceiveFromPeer(runtime, listener, 3'000'000);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "alloc_fail"), failures)
      << "the region was never empty: the test tested nothing";
}

TEST_F(ReceiveTest, InjectedAllocationFailuresLoseNothing) {
  WriteKnob("rx/alloc_fail_every", "97");
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  const uint64_t failures = QueueCounter(kZeroCopyQueue, "injected_fail");
  ReceiveFromPeer(runtime, listener, 5'000'000);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "injected_fail"), failures);
}

TEST_F(ReceiveTest, TinyCompletionQueue) {
  RuntimeOptions options = ZeroCopyOptions();
  options.submission_entries = 4;
  options.completion_entries = 8;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  EXPECT_GT(ReceiveFromPeer(runtime, listener, 10'000'000).rearms_no_space, 0u)
      << "never full: the test tested nothing";
}

TEST_F(ReceiveTest, TinyRefillRing) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->refill_entries = 4;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, 20'000'000);
  EXPECT_GT(stats.interface_queue->refill_overflow_peak, 0u) << "never full: the test tested nothing";
}

TEST_F(ReceiveTest, UnsplitPacketsAreCopied) {
  WriteKnob("rx/unsplit_every", "3");
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  const uint64_t unsplit = QueueCounter(kZeroCopyQueue, "unsplit_pkts");
  constexpr size_t kBytes = 20'000'000;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "unsplit_pkts"), unsplit);
  EXPECT_GT(SplitBytes(), 0u);
  EXPECT_LT(SplitBytes(), kBytes);
  EXPECT_GT(stats.interface_queue->copied_bytes, 0u);
}

TEST_F(ReceiveTest, WrongQueueIsCopied) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  // No rule steers this port: its packets come by another queue.
  Listener listener = Listen(runtime, static_cast<uint16_t>(ZeroCopyPort() + 1));
  constexpr size_t kBytes = 20'000'000;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_EQ(SplitBytes(), 0u);
  EXPECT_GT(stats.interface_queue->copied_bytes, kBytes / 2)
      << "the rest came in the linear part, which is not counted";
}

TEST_F(ReceiveTest, CopyFallbackWaitsForPieces) {
  // The application holds everything for a while: the kernel finds nothing to copy to.
  RuntimeOptions options = ZeroCopyOptions(64 * 4096);
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime, static_cast<uint16_t>(ZeroCopyPort() + 1));
  constexpr size_t kBytes = 2'000'000;
  ContentChecker checker;
  runtime.Spawn([](Listener& from, ContentChecker* check) -> Task<void> {
    absl::StatusOr<Stream> peer = co_await from.Accept();
    std::vector<Buffer> held;
    while (true) {
      absl::StatusOr<Buffer> data = co_await peer->Receive();
      EXPECT_TRUE(data.ok()) << data.status();
      if (!data.ok() || data->empty()) co_return;
      check->Check(data->bytes());
      held.push_back(*std::move(data));
      // All 64 pieces can be out only if the kernel was refused one in between.
      if (held.size() >= 60) held.clear();
    }
  }(listener, &checker));
  const Peer peer(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, kBytes)); });
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(checker.count(), kBytes);
  EXPECT_GT(runtime.stats().rearms_no_buffer, 0u) << "a piece was always free: the test tested nothing";
}

Task<void> HoldAndShuffle(Listener& listener, ContentChecker* checker) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  std::minstd_rand random(7);
  std::vector<std::pair<Buffer, std::vector<std::byte>>> held;
  while (true) {
    absl::StatusOr<Buffer> data = co_await peer->Receive();
    EXPECT_TRUE(data.ok()) << data.status();
    if (!data.ok() || data->empty()) break;
    checker->Check(data->bytes());
    std::vector<std::byte> copy(data->bytes().begin(), data->bytes().end());
    held.emplace_back(*std::move(data), std::move(copy));
    if (held.size() < 600) continue;
    // Gives back half of them, in any order, after a look whether their bytes are still what they were.
    std::shuffle(held.begin(), held.end(), random);
    for (size_t i = 0; i < held.size() / 2; ++i) {
      EXPECT_TRUE(std::ranges::equal(held[i].first.bytes(), held[i].second))
          << "a held piece was overwritten";
    }
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(held.size() / 2));
  }
  for (const auto& [buffer, copy] : held) EXPECT_TRUE(std::ranges::equal(buffer.bytes(), copy));
}

TEST_F(ReceiveTest, HeldBuffersKeepTheirBytesAndReturnInAnyOrder) {
  Runtime runtime = NewRuntime(ZeroCopyOptions(8 << 20));
  Listener listener = Listen(runtime);
  ContentChecker checker;
  runtime.Spawn(HoldAndShuffle(listener, &checker));
  const Peer peer(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, 30'000'000)); });
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(checker.count(), 30'000'000u);
  EXPECT_GE(SplitBytes(), 30'000'000u);
  const InterfaceQueueStats stats = *runtime.stats().interface_queue;
  EXPECT_GE(stats.buffers_out_peak, 600u);
}

TEST_F(ReceiveTest, BuffersReturnedOnOtherThreadsWakeASleepingRuntime) {
  // Small enough that the NIC runs dry while the owner sleeps, if returns did not wake it.
  Runtime runtime = NewRuntime(ZeroCopyOptions(512 * 4096));
  Listener listener = Listen(runtime);
  ContentChecker checker;
  runtime.Spawn([](Listener& from, ContentChecker* check) -> Task<void> {
    absl::StatusOr<Stream> peer = co_await from.Accept();
    std::vector<BufferChain> held;
    while (true) {
      absl::StatusOr<BufferChain> data = co_await peer->ReceiveBatch();
      EXPECT_TRUE(data.ok()) << data.status();
      if (!data.ok() || data->empty()) break;
      for (const Buffer& buffer : *data) check->Check(buffer.bytes());
      std::thread([chain = *std::move(data)]() mutable {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        chain = {};
      }).detach();
    }
  }(listener, &checker));
  const Peer peer(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, 10'000'000)); });
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(checker.count(), 10'000'000u);
}

TEST_F(ReceiveTest, PeerEndsItsDirectionFirst) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  std::atomic<int64_t> came_back = 0;
  // Collects everything until the peer has ended, then sends it all.
  runtime.Spawn([](Listener& from) -> Task<void> {
    absl::StatusOr<Stream> peer = co_await from.Accept();
    BufferChain all;
    while (true) {
      absl::StatusOr<BufferChain> data = co_await peer->ReceiveBatch();
      EXPECT_TRUE(data.ok()) << data.status();
      if (!data.ok() || data->empty()) break;
      all.Append(*std::move(data));
    }
    const absl::Status sent = co_await peer->SendAll(std::move(all));
    EXPECT_TRUE(sent.ok()) << sent;
    EXPECT_GT(peer->stats().bytes_sent_zero_copy, 0u);
  }(listener));
  const Peer peer(listener.address().port(), [&](int fd) {
    EXPECT_TRUE(SendContent(fd, 0, 4'000'000));
    shutdown(fd, SHUT_WR);
    came_back = ReceiveContent(fd);
  });
  EXPECT_TRUE(runtime.Run().ok());
  // Sent is not yet received: the peer's check ends with its thread, at the end of the runtime at the latest.
  while (came_back == 0) EXPECT_TRUE(runtime.RunOnce(std::chrono::milliseconds(1)).ok());
  EXPECT_EQ(came_back, 4'000'000);
}

TEST_F(ReceiveTest, WeEndOurDirectionFirst) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  ContentChecker checker;
  absl::Status end;
  runtime.Spawn([](Listener& from, ContentChecker* check, absl::Status* status) -> Task<void> {
    absl::StatusOr<Stream> peer = co_await from.Accept();
    EXPECT_TRUE(peer->Shutdown(Stream::Direction::kSend).ok());
    co_await Consume(*peer, check, status);
  }(listener, &checker, &end));
  const Peer peer(listener.address().port(), [](int fd) {
    EXPECT_EQ(ReceiveContent(fd), 0) << "the end of the other direction comes at once";
    EXPECT_TRUE(SendContent(fd, 0, 3'000'000));
  });
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_EQ(checker.count(), 3'000'000u);
}

TEST_F(ReceiveTest, ResetInMidStream) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  for (int round = 0; round < 20; ++round) {
    ContentChecker checker;
    absl::Status end;
    runtime.Spawn(AcceptAndConsume(listener, &checker, &end));
    const Peer peer(listener.address().port(), [round](int fd) {
      EXPECT_TRUE(SendContent(fd, 0, 100'000 * static_cast<size_t>(round + 1)));
      const linger reset = {.l_onoff = 1, .l_linger = 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    });
    EXPECT_TRUE(runtime.Run().ok());
    EXPECT_EQ(ErrnoOf(end), ECONNRESET) << end;
    EXPECT_LE(checker.count(), 100'000u * static_cast<uint64_t>(round + 1));
  }
  // Everything that went out came back.
  EXPECT_TRUE(runtime.RunOnce(std::chrono::nanoseconds::zero()).ok());
  const InterfaceQueueStats stats = *runtime.stats().interface_queue;
  EXPECT_EQ(stats.buffers_out, 0u);
  EXPECT_EQ(stats.buffers_received, stats.buffers_returned);
}

TEST_F(ReceiveTest, ClosingARuntimeWithBuffersAliveAndRegisteringAgain) {
  std::vector<Buffer> kept;
  for (int round = 0; round < 5; ++round) {
    // The queue's previous owner has just gone; registering waits for the kernel to free it.
    Runtime runtime = NewRuntime(ZeroCopyOptions(8 << 20));
    Listener listener = Listen(runtime);
    runtime.Spawn([](Listener& from, std::vector<Buffer>* keep) -> Task<void> {
      absl::StatusOr<Stream> peer = co_await from.Accept();
      for (int i = 0; i < 20; ++i) {
        absl::StatusOr<Buffer> data = co_await peer->Receive();
        EXPECT_TRUE(data.ok()) << data.status();
        if (data.ok()) keep->push_back(*std::move(data));
      }
    }(listener, &kept));
    const Peer peer(listener.address().port(), [](int fd) { SendContent(fd, 0, 200'000); });
    EXPECT_TRUE(runtime.Run().ok());
  }
  EXPECT_EQ(kept.size(), 100u);
  uint64_t sum = 0;
  for (const Buffer& buffer : kept) {
    for (const std::byte byte : buffer.bytes()) sum += static_cast<uint64_t>(byte);  // still mapped
  }
  EXPECT_GT(sum, 0u);
}

TEST_F(ReceiveTest, WarmReceiveSettlesEverything) {
  Runtime runtime = NewRuntime(ZeroCopyOptions());
  Listener listener = Listen(runtime);
  for (int round = 0; round < 3; ++round) {
    ContentChecker checker;
    absl::Status end;
    runtime.Spawn(AcceptAndConsume(listener, &checker, &end));
    const Peer peer(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, 5'000'000)); });
    EXPECT_TRUE(runtime.Run().ok());
    EXPECT_EQ(checker.count(), 5'000'000u);
  }
  EXPECT_TRUE(runtime.RunOnce(std::chrono::nanoseconds::zero()).ok());
  const InterfaceQueueStats stats = *runtime.stats().interface_queue;
  EXPECT_EQ(stats.buffers_out, 0u);
  EXPECT_EQ(stats.buffers_received, stats.buffers_returned);
}

TEST_F(ReceiveTest, HugePagesWithLargePieces) {
  RuntimeOptions options = ZeroCopyOptions(32 << 20);
  options.interface_queue->pool.pages = PoolPages::kHuge;
  options.interface_queue->pool.buffer_bytes = 32768;
  if (access("/proc/sys/vm/nr_hugepages", F_OK) != 0) {
    EXPECT_NE(Runtime::Create(options).status().message().find("CONFIG_HUGETLBFS"), std::string::npos);
    GTEST_SKIP() << "this machine's kernel has no huge pages (User Mode Linux cannot)";
  }
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, 20'000'000);
  EXPECT_EQ(stats.interface_queue->copied_bytes, 0u);
  EXPECT_LT(stats.fragments_received, 20'000'000u / 4096) << "pieces were no larger than a page";
}

TEST_F(ReceiveTest, TransparentHugePages) {
  RuntimeOptions options = ZeroCopyOptions(8 << 20);
  options.interface_queue->pool.pages = PoolPages::kTransparentHuge;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  EXPECT_EQ(ReceiveFromPeer(runtime, listener, 10'000'000).interface_queue->copied_bytes, 0u);
}

TEST_F(ReceiveTest, CopyModeOnTheSameNic) {
  Runtime runtime = NewRuntime({.mode = ReceiveMode::kCopy});
  Listener listener = Listen(runtime);
  ReceiveFromPeer(runtime, listener, 10'000'000);
  EXPECT_EQ(SplitBytes(), 0u) << "no region is registered";
}

}  // namespace
}  // namespace zcrx
