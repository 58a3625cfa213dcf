// SPDX-License-Identifier: Apache-2.0
//
// Runtimes that share one interface queue: what each of them gets, and what becomes
// of the others' pieces when one ends.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/guest/guest.h"
#include "zcrx/status.h"

namespace zcrx {
namespace {

constexpr size_t kRegion = 2 << 20;
constexpr size_t kBytes = 8 * kRegion;

// Receives all that a peer sends, and keeps some of it.
Task<void> ReceiveBytes(Listener& listener, size_t keep, std::vector<Buffer>& kept) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  if (!peer.ok()) {
    ADD_FAILURE() << peer.status();
    co_return;
  }
  ContentChecker checker;
  while (checker.count() < kBytes) {
    absl::StatusOr<Buffer> data = co_await peer->Receive();
    if (!data.ok() || data->empty()) {
      ADD_FAILURE() << data.status();
      co_return;
    }
    checker.Check(data->bytes());
    if (kept.size() < keep) kept.push_back(*std::move(data));
  }
}

class ShareTest : public NicTest {
 protected:
  void SetUp() override {
    NicTest::SetUp();
    if (!IsSkipped() && !ProbeKernel().shared_queues)
      GTEST_SKIP() << "this kernel cannot share a queue between rings";
  }

  static RuntimeOptions Options(const QueueShare& share) {
    RuntimeOptions options = ZeroCopyOptions(kRegion);
    options.interface_queue->share = share;
    return options;
  }

  static void ReceiveAll(Runtime& runtime, size_t keep, std::vector<Buffer>& kept) {
    Listener listener = Listen(runtime);
    const Peer peer(ZeroCopyPort(), [](int fd) { SendContent(fd, 0, kBytes); });
    runtime.Spawn(ReceiveBytes(listener, keep, kept));
    const absl::Status run = runtime.Run();
    EXPECT_TRUE(run.ok()) << run;
  }
};

TEST_F(ShareTest, MistakesAreNamed) {
  const QueueShare share(2);
  absl::StatusOr<Runtime> first = Runtime::Create(Options(share));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->receive_path().completion, CompletionRing::kMainCq);

  RuntimeOptions other = Options(share);
  other.interface_queue->rx_queue = kZeroCopyQueue + 1;
  EXPECT_EQ(Runtime::Create(other).status().code(), absl::StatusCode::kInvalidArgument);
  RuntimeOptions rbuf = Options(share);
  rbuf.interface_queue->completion = CompletionRing::kRbufRing;
  EXPECT_EQ(Runtime::Create(rbuf).status().code(), absl::StatusCode::kInvalidArgument);

  absl::StatusOr<Runtime> second = Runtime::Create(Options(share));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(Runtime::Create(Options(share)).status().code(), absl::StatusCode::kFailedPrecondition);
  // Half of the region each.
  EXPECT_EQ(second->stats().pool_pieces, kRegion / 4096 / 2);
  // One ends, another may come.
  first = absl::CancelledError();
  absl::StatusOr<Runtime> third = Runtime::Create(Options(share));
  EXPECT_TRUE(third.ok()) << third.status();
}

TEST_F(ShareTest, TheQueueEndsWithTheLast) {
  const QueueShare share(2);
  std::optional<absl::StatusOr<Runtime>> first(Runtime::Create(Options(share)));
  ASSERT_TRUE(first->ok()) << first->status();
  absl::StatusOr<Runtime> second = Runtime::Create(Options(share));
  ASSERT_TRUE(second.ok()) << second.status();
  first.reset();
  RuntimeOptions alone = ZeroCopyOptions(kRegion);
  alone.interface_queue->busy_timeout = {};
  EXPECT_EQ(ErrnoOf(Runtime::Create(alone).status()), EEXIST);
  second = absl::CancelledError();
  WaitUntilQueueIsFree();
  // The share begins anew.
  const absl::StatusOr<Runtime> again = Runtime::Create(Options(share));
  EXPECT_TRUE(again.ok()) << again.status();
}

// A quarter of the region is in the application's hands when a runtime ends, again and again: were that lost,
// the others would soon have nothing to receive into.
TEST_F(ShareTest, PiecesOfThoseThatEndedAreTheOthers) {
  const QueueShare share(2);
  Runtime stays = NewRuntime(Options(share));
  for (int round = 0; round < 8; ++round) {
    std::vector<Buffer> kept;
    std::jthread([&] {
      EnterNamespace("a");
      Runtime ends = NewRuntime(Options(share));
      ReceiveAll(ends, kRegion / 4096 / 4, kept);
    }).join();
    EXPECT_GT(kept.size(), 0u);
  }
  std::vector<Buffer> none;
  ReceiveAll(stays, 0, none);
  EXPECT_EQ(stays.stats().interface_queue->buffers_out, 0u);
}

}  // namespace
}  // namespace zcrx
