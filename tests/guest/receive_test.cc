// SPDX-License-Identifier: Apache-2.0
//
// Zero-copy receive from the test NIC, with everything going wrong that can; by
// each completion ring.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <deque>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "tests/guest/guest.h"
#include "tests/guest/raw_ring.h"
#include "tests/log_capture.h"

namespace zcrx {
namespace {

class CopyReceiveTest : public NicTest {};

class ReceiveTest : public NicTest, public testing::WithParamInterface<CompletionRing> {
 protected:
  static bool ByRbufRing() { return GetParam() == CompletionRing::kRbufRing; }

  void SetUp() override {
    NicTest::SetUp();
    if (IsSkipped() || !ByRbufRing() || ProbeKernel().rbuf_ring) return;
    GTEST_SKIP() << "this kernel has no rbuf ring: only kernel-patches/linux-6.12 has it";
  }

  static RuntimeOptions Options(size_t pool_bytes = 32 << 20) {
    RuntimeOptions options = ZeroCopyOptions(pool_bytes);
    options.interface_queue->completion = GetParam();
    // What happens when the region is empty must be made to happen.
    options.pressure.enabled = false;
    return options;
  }

  // The main queue's completions do not tell, and the kernel need not count.
  static void ExpectNothingCopied(const RuntimeStats& stats) {
    EXPECT_EQ(stats.copied_bytes.value_or(ByRbufRing() ? 1 : 0), 0u);
  }
};

INSTANTIATE_TEST_SUITE_P(By, ReceiveTest, testing::Values(CompletionRing::kMainCq, CompletionRing::kRbufRing),
                         [](const auto& ring) {
                           return ring.param == CompletionRing::kRbufRing ? "rbuf" : "main_cq";
                         });

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

TEST_P(ReceiveTest, EveryByteLandsInTheRegion) {
  Runtime runtime = NewRuntime(Options());
  EXPECT_EQ(runtime.receive_path().kind, ReceivePathInfo::Kind::kZeroCopy);
  EXPECT_EQ(runtime.receive_path().completion, GetParam());
  Listener listener = Listen(runtime);
  constexpr size_t kBytes = 50'000'001;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_EQ(stats.bytes_received, kBytes);
  ASSERT_TRUE(stats.interface_queue.has_value());
  ExpectNothingCopied(stats);
  EXPECT_GE(SplitBytes(), kBytes);
  const uint64_t entries = ByRbufRing() ? stats.fragments_received : 0;
  EXPECT_EQ(stats.completion_bytes, stats.completions * (ByRbufRing() ? 16 : 32) + entries * 16);
  if (ByRbufRing()) {
    EXPECT_LT(stats.receive_completions, stats.fragments_received / 2) << "hardly any pass had several";
  }
}

// Keeps what comes until the NIC has run out of pieces, then gives back everything at once.
Task<void> ConsumeAfterExhaustion(Listener& listener, uint64_t failures, ContentChecker* checker,
                                  absl::Status* end) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  std::vector<Buffer> kept;
  while (QueueCounter(kZeroCopyQueue, "alloc_fail") == failures) {
    absl::StatusOr<Buffer> data = co_await WithTimeout(std::chrono::milliseconds(1), peer->Receive());
    if (absl::IsDeadlineExceeded(data.status())) continue;
    *end = data.status();
    if (!data.ok() || data->empty()) co_return;
    checker->Check(data->bytes());
    kept.push_back(*std::move(data));
  }
  kept.clear();
  co_await Consume(*peer, checker, end);
}

TEST_P(ReceiveTest, RegionSmallerThanTheTrafficInFlight) {
  // The page pool alone holds on to more than this; the NIC drops, and TCP sends again.
  Runtime runtime = NewRuntime(Options(64 * 4096));
  Listener listener = Listen(runtime);
  constexpr size_t kBytes = 3'000'000;
  const uint64_t failures = QueueCounter(kZeroCopyQueue, "alloc_fail");
  ContentChecker checker;
  absl::Status end;
  runtime.Spawn(ConsumeAfterExhaustion(listener, failures, &checker, &end));
  const Peer peer(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, kBytes)); });
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_EQ(checker.count(), kBytes);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "alloc_fail"), failures)
      << "the region was never empty: the test tested nothing";
}

TEST_P(ReceiveTest, InjectedAllocationFailuresLoseNothing) {
  WriteKnob("rx/alloc_fail_every", "97");
  Runtime runtime = NewRuntime(Options());
  Listener listener = Listen(runtime);
  const uint64_t failures = QueueCounter(kZeroCopyQueue, "injected_fail");
  ReceiveFromPeer(runtime, listener, 5'000'000);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "injected_fail"), failures);
}

TEST_P(ReceiveTest, TinyRefillRing) {
  RuntimeOptions options = Options();
  options.interface_queue->refill_entries = 4;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  const LogCapture heard;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, 20'000'000);
  EXPECT_GT(stats.interface_queue->refill_overflow_peak, 0u) << "never full: the test tested nothing";
  EXPECT_EQ(heard.Of("queue.refill_full").size(), 1u);
}

TEST_P(ReceiveTest, UnsplitPacketsAreCopied) {
  WriteKnob("rx/unsplit_every", "3");
  Runtime runtime = NewRuntime(Options());
  Listener listener = Listen(runtime);
  const uint64_t unsplit = QueueCounter(kZeroCopyQueue, "unsplit_pkts");
  constexpr size_t kBytes = 20'000'000;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "unsplit_pkts"), unsplit);
  EXPECT_GT(SplitBytes(), 0u);
  EXPECT_LT(SplitBytes(), kBytes);
  if (ByRbufRing()) {
    // More than that only where what the NIC had split was dropped and came again.
    EXPECT_GE(stats.copied_bytes, kBytes - SplitBytes());
    EXPECT_LT(stats.copied_bytes, kBytes);
  } else if (stats.copied_bytes.has_value()) {
    EXPECT_GT(stats.copied_bytes, 0u);
  }
}

// The sender keeps what it has sent until that is acknowledged, and the NIC's GRO must not take it to pieces.
TEST_P(ReceiveTest, UnsplitPacketsCanBeSentAgain) {
  // A thread for NAPI, so that there is more than one packet at a time.
  Shell("ip netns exec a sh -c 'echo 1 >/sys/class/net/$ZCRX_IF_A/threaded'");
  Shell("ip netns exec b ethtool -K $ZCRX_IF_B tso off gso off");
  Shell("ip netns exec b tc qdisc add dev $ZCRX_IF_B root netem loss 5% limit 100000");
  WriteKnob("rx/unsplit_every", "1");
  {
    Runtime runtime = NewRuntime(Options());
    Listener listener = Listen(runtime);
    const RuntimeStats stats = ReceiveFromPeer(runtime, listener, 10'000'000);
    if (ByRbufRing()) {
      EXPECT_EQ(stats.copied_bytes, stats.bytes_received);
    }
  }
  Shell("ip netns exec b tc qdisc delete dev $ZCRX_IF_B root");
  Shell("ip netns exec b ethtool -K $ZCRX_IF_B tso on gso on");
  Shell("ip netns exec a sh -c 'echo 0 >/sys/class/net/$ZCRX_IF_A/threaded'");
}

TEST_P(ReceiveTest, WrongQueueIsCopied) {
  Runtime runtime = NewRuntime(Options());
  // No rule steers this port: its packets come by another queue.
  Listener listener = Listen(runtime, static_cast<uint16_t>(ZeroCopyPort() + 1));
  constexpr size_t kBytes = 20'000'000;
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, kBytes);
  EXPECT_EQ(SplitBytes(), 0u);
  if (ByRbufRing()) {
    EXPECT_EQ(stats.copied_bytes, kBytes);
    EXPECT_EQ(stats.copied_fragments, stats.fragments_received);
  } else if (stats.copied_bytes.has_value()) {
    EXPECT_GT(stats.copied_bytes, kBytes / 2) << "the rest came in the linear part, which is not counted";
  }
}

struct Counted {
  ContentChecker checker;
  StreamStats stats;
};

Task<void> Count(Stream peer, Counted* counted) {
  absl::Status end;
  co_await Consume(peer, &counted->checker, &end);
  EXPECT_TRUE(end.ok()) << end;
  counted->stats = peer.stats();
}

// Accepts one connection for each of `counted`, and counts all of them at the same
// time, as soon as each has so many bytes waiting.
Task<void> AcceptAndCount(Runtime& runtime, Listener& listener, std::span<Counted> counted, int waiting = 0) {
  std::vector<Stream> peers;
  for (size_t i = 0; i < counted.size(); ++i) {
    absl::StatusOr<Stream> peer = co_await listener.Accept();
    EXPECT_TRUE(peer.ok()) << peer.status();
    if (!peer.ok()) co_return;
    peers.push_back(*std::move(peer));
  }
  for (const Stream& peer : peers) WaitQueued(peer.fd(), waiting);
  for (size_t i = 0; i < counted.size(); ++i) runtime.Spawn(Count(std::move(peers[i]), &counted[i]));
}

TEST_P(ReceiveTest, TinyCompletionRing) {
  RuntimeOptions options = Options();
  options.interface_queue->rbuf_entries = 8;
  options.submission_entries = 4;
  options.completion_entries = 8;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  // What waits for the first stream fills the ring. Nothing is left for the second.
  std::array<Counted, 2> counted;
  runtime.Spawn(AcceptAndCount(runtime, listener, counted, /*waiting=*/50'000));
  constexpr size_t kBytes = 2'000'000;
  std::deque<Peer> peers;
  for (size_t i = 0; i < counted.size(); ++i) {
    peers.emplace_back(listener.address().port(), [](int fd) { EXPECT_TRUE(SendContent(fd, 0, kBytes)); });
  }
  EXPECT_TRUE(runtime.Run().ok());
  for (const Counted& one : counted) EXPECT_EQ(one.checker.count(), kBytes);
  EXPECT_GT(runtime.stats().rearms_no_space, 0u) << "never full: the test tested nothing";
}

TEST_P(ReceiveTest, StreamsKnowWhatOfTheirsWasCopied) {
  Runtime runtime = NewRuntime(Options());
  Listener split = Listen(runtime);
  Listener wrong_queue = Listen(runtime, static_cast<uint16_t>(ZeroCopyPort() + 1));
  constexpr size_t kBytes = 5'000'000;
  std::array<Counted, 2> counted;
  runtime.Spawn(AcceptAndCount(runtime, split, std::span(counted).first(1)));
  runtime.Spawn(AcceptAndCount(runtime, wrong_queue, std::span(counted).last(1)));
  const auto send = [](int fd) { EXPECT_TRUE(SendContent(fd, 0, kBytes)); };
  const Peer first(split.address().port(), send);
  const Peer second(wrong_queue.address().port(), send);
  EXPECT_TRUE(runtime.Run().ok());
  for (const Counted& one : counted) EXPECT_EQ(one.stats.bytes_received, kBytes);
  if (ByRbufRing()) {
    EXPECT_EQ(counted[0].stats.copied_bytes, 0u);
    EXPECT_EQ(counted[1].stats.copied_bytes, kBytes);
    EXPECT_EQ(counted[0].stats.copied_fragments, 0u);
    EXPECT_EQ(counted[1].stats.copied_fragments, counted[1].stats.fragments_received);
  } else {
    EXPECT_FALSE(counted[0].stats.copied_bytes.has_value());
    EXPECT_FALSE(counted[1].stats.copied_bytes.has_value());
  }
}

// What one pass appends to the rbuf ring must meet the completion that tells of it,
// whatever ring is full meanwhile.
TEST_P(ReceiveTest, ManyStreamsThroughTinyRings) {
  RuntimeOptions options = Options();
  options.submission_entries = 2;
  options.completion_entries = 4;
  options.interface_queue->rbuf_entries = 32;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  constexpr size_t kStreams = 24;
  constexpr size_t kBytes = 500'000;
  std::array<Counted, kStreams> counted;
  runtime.Spawn(AcceptAndCount(runtime, listener, counted));
  std::deque<Peer> peers;
  // So that all of them send at the same time.
  std::barrier begin(kStreams);
  for (size_t i = 0; i < kStreams; ++i) {
    peers.emplace_back(listener.address().port(), [&begin](int fd) {
      begin.arrive_and_wait();
      EXPECT_TRUE(SendContent(fd, 0, kBytes));
    });
  }
  EXPECT_TRUE(runtime.Run().ok());
  for (const Counted& one : counted) EXPECT_EQ(one.checker.count(), kBytes);
  const RuntimeStats stats = runtime.stats();
  EXPECT_GT(stats.completion_overflows + stats.rearms_no_space, 0u) << "never full: the test tested nothing";
}

TEST_P(ReceiveTest, CopyFallbackWaitsForPieces) {
  // The application holds everything for a while: the kernel finds nothing to copy to.
  RuntimeOptions options = Options(64 * 4096);
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

TEST_P(ReceiveTest, HeldBuffersKeepTheirBytesAndReturnInAnyOrder) {
  Runtime runtime = NewRuntime(Options(8 << 20));
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

TEST_P(ReceiveTest, BuffersReturnedOnOtherThreadsWakeASleepingRuntime) {
  // Small enough that the NIC runs dry while the owner sleeps, if returns did not wake it.
  Runtime runtime = NewRuntime(Options(512 * 4096));
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

TEST_P(ReceiveTest, PeerEndsItsDirectionFirst) {
  Runtime runtime = NewRuntime(Options());
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

TEST_P(ReceiveTest, WeEndOurDirectionFirst) {
  Runtime runtime = NewRuntime(Options());
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

TEST_P(ReceiveTest, ResetInMidStream) {
  Runtime runtime = NewRuntime(Options());
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

TEST_P(ReceiveTest, ClosingARuntimeWithBuffersAliveAndRegisteringAgain) {
  std::vector<Buffer> kept;
  for (int round = 0; round < 5; ++round) {
    // The queue's previous owner has just gone; registering waits for the kernel to free it.
    Runtime runtime = NewRuntime(Options(8 << 20));
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

TEST_P(ReceiveTest, WarmReceiveSettlesEverything) {
  Runtime runtime = NewRuntime(Options());
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

TEST_P(ReceiveTest, HugePagesWithLargePieces) {
  RuntimeOptions options = Options(32 << 20);
  options.interface_queue->pool.pages = PoolPages::kHuge;
  options.interface_queue->pool.buffer_bytes = 32768;
  if (access("/proc/sys/vm/nr_hugepages", F_OK) != 0) {
    EXPECT_NE(Runtime::Create(options).status().message().find("CONFIG_HUGETLBFS"), std::string::npos);
    GTEST_SKIP() << "this machine's kernel has no huge pages (User Mode Linux cannot)";
  }
  const bool large = ProbeKernel().large_buffers;
  if (!large) {
    EXPECT_NE(Runtime::Create(options).status().message().find("Linux 7.0"), std::string::npos);
    options.interface_queue->pool.buffer_bytes = PoolOptions().buffer_bytes;
  }
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  const RuntimeStats stats = ReceiveFromPeer(runtime, listener, 20'000'000);
  ExpectNothingCopied(stats);
  if (large) {
    EXPECT_LT(stats.fragments_received, 20'000'000u / 4096) << "pieces were no larger than a page";
  }
}

TEST_P(ReceiveTest, TransparentHugePages) {
  RuntimeOptions options = Options(8 << 20);
  options.interface_queue->pool.pages = PoolPages::kTransparentHuge;
  Runtime runtime = NewRuntime(options);
  Listener listener = Listen(runtime);
  ExpectNothingCopied(ReceiveFromPeer(runtime, listener, 10'000'000));
}

TEST_F(CopyReceiveTest, OnTheSameNic) {
  Runtime runtime = NewRuntime({.mode = ReceiveMode::kCopy});
  Listener listener = Listen(runtime);
  ReceiveFromPeer(runtime, listener, 10'000'000);
  EXPECT_EQ(SplitBytes(), 0u) << "no region is registered";
}

}  // namespace
}  // namespace zcrx
