// SPDX-License-Identifier: Apache-2.0
//
// What runtimes publish of themselves (zcrx/stats_page.h) is true, is there when
// nothing happens any more, and goes with them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/runtime/runtime_core.h"
#include "lib/runtime/stats_publisher.h"
#include "tests/allocation_counter.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

constexpr size_t kBytes = 200'000;
constexpr auto kLongEnough = std::chrono::seconds(20);

std::vector<StatsPage> PagesOf(pid_t pid) {
  std::vector<StatsPage> pages;
  for (const PublishedStats& published : ReadStatsPages()) {
    if (published.pid != pid) continue;
    EXPECT_TRUE(published.page.ok()) << published.page.status();
    EXPECT_EQ(published.uid, geteuid());
    if (published.page.ok()) pages.push_back(*published.page);
  }
  return pages;
}

StatsPage TheOnlyPage() {
  const std::vector<StatsPage> pages = PagesOf(getpid());
  EXPECT_EQ(pages.size(), 1u);
  return pages.empty() ? StatsPage() : pages[0];
}

// Keeps what it receives. Waits for ever at last.
Task<void> SendAndKeep(Runtime& runtime, BufferChain* kept, std::atomic<uint64_t>* stream) {
  StreamPair pair = co_await ConnectPair(runtime);
  const std::string bytes = Pattern(1, kBytes);
  const absl::Status sent = co_await pair.client.SendAll(AsBytes(bytes));
  EXPECT_TRUE(sent.ok()) << sent;
  while (kept->size() < kBytes) {
    absl::StatusOr<Buffer> data = co_await pair.server.Receive();
    if (!data.ok()) co_return;
    kept->Append(*std::move(data));
  }
  stream->store(pair.server.id());
  const absl::Status slept = co_await Sleep(std::chrono::hours(1));
  EXPECT_FALSE(slept.ok());
}

TEST(StatsTest, ANewRuntimeHasAPageAndTakesItAlong) {
  EXPECT_TRUE(PagesOf(getpid()).empty());
  {
    const Runtime runtime = NewRuntime();
    const StatsPage page = TheOnlyPage();
    EXPECT_EQ(page.zero_copy, 0u);
    EXPECT_EQ(page.piece_bytes, 16384u);
    EXPECT_EQ(page.pool_pieces, runtime.stats().pool_pieces);
    EXPECT_EQ(page.region_bytes, page.pool_pieces * page.piece_bytes);
    struct stat file = {};
    ASSERT_EQ(stat("/proc/self/ns/net", &file), 0);
    EXPECT_EQ(page.netns, file.st_ino);
    const Runtime other = NewRuntime();
    const std::vector<StatsPage> pages = PagesOf(getpid());
    ASSERT_EQ(pages.size(), 2u);
    EXPECT_EQ(pages[1].runtime, pages[0].runtime + 1);
  }
  EXPECT_TRUE(PagesOf(getpid()).empty());
}

TEST(StatsTest, NoneIfNobodyMayLookOn) {
  const Runtime runtime = NewRuntime({.publish_stats = false});
  EXPECT_TRUE(PagesOf(getpid()).empty());
}

TEST(StatsTest, OthersCannotWriteIntoIt) {
  const Runtime runtime = NewRuntime();
  const std::string link = "/proc/self/fd/";
  for (int fd = 0; fd < 1024; ++fd) {
    char target[64] = {};
    if (readlink((link + std::to_string(fd)).c_str(), target, sizeof(target) - 1) < 0) continue;
    if (std::string(target) != "/memfd:zcrx-stats (deleted)") continue;
    EXPECT_LT(pwrite(fd, "x", 1, 0), 0);
    EXPECT_NE(ftruncate(fd, 0), 0);
    return;
  }
  FAIL() << "there is no such file";
}

// The loop sleeps, as nothing comes any more: what came last is published all the same.
TEST(StatsTest, TheLastOfABurstIsPublished) {
  std::atomic<Runtime*> running = nullptr;
  std::atomic<uint64_t> stream = 0;
  std::thread thread([&] {
    Runtime runtime = NewRuntime();
    BufferChain kept;
    runtime.Spawn(SendAndKeep(runtime, &kept, &stream));
    running.store(&runtime);
    EXPECT_TRUE(runtime.Run().ok());
    running.store(nullptr);
  });
  StatsPage page;
  const auto end = std::chrono::steady_clock::now() + kLongEnough;
  while ((stream.load() == 0 || page.bytes_received < kBytes || page.holder_count == 0) &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (const StatsPage& one : PagesOf(getpid())) page = one;
  }
  EXPECT_EQ(page.bytes_received, kBytes);
  EXPECT_EQ(page.copied_bytes, kBytes);
  EXPECT_EQ(page.zero_copy_bytes(), 0u);
  EXPECT_GE(page.fragments_received, kBytes / page.piece_bytes);
  EXPECT_EQ(page.pieces_out, page.fragments_received);
  EXPECT_GE(page.published_at_ns, 1u);
  ASSERT_EQ(page.holder_count, 1u);
  EXPECT_EQ(page.holders[0].stream, stream.load());
  EXPECT_EQ(page.holders[0].pieces, page.pieces_out);
  if (Runtime* runtime = running.load()) runtime->Stop();
  thread.join();
}

// The same in a loop that is not ours: it is told that there is something to do.
TEST(StatsTest, AForeignLoopPublishesTheLastOfABurst) {
  Runtime runtime = NewRuntime();
  BufferChain kept;
  std::atomic<uint64_t> stream = 0;
  runtime.Spawn(SendAndKeep(runtime, &kept, &stream));
  ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(0)).ok());
  while (stream.load() == 0 || TheOnlyPage().pieces_out != runtime.stats().buffers_out) {
    pollfd poll_fd = {.fd = runtime.event_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&poll_fd, 1, 10'000), 1) << "nothing to do, it says, and the page is old";
    ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(0)).ok());
  }
  EXPECT_EQ(TheOnlyPage().bytes_received, kBytes);
}

TEST(StatsTest, PublishingDoesNotAllocate) {
  Runtime runtime = NewRuntime();
  BufferChain kept;
  std::atomic<uint64_t> stream = 0;
  runtime.Spawn(SendAndKeep(runtime, &kept, &stream));
  while (stream.load() == 0) ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(1)).ok());
  auto publisher = internal::StatsPublisher::Create(nullptr);
  ASSERT_TRUE(publisher.ok()) << publisher.status();
  const uint64_t before = AllocationCount();
  (*publisher)->Publish(runtime.stats(), runtime.core().receive_path());
  EXPECT_EQ(AllocationCount(), before);
}

TEST(StatsTest, TheHoldersAreThoseThatHaveMost) {
  Runtime runtime = NewRuntime();
  // Each stream gets a byte more often than the one before.
  constexpr uint64_t kStreams = StatsPage::kMostHolders + 3;
  std::vector<StreamPair> pairs(kStreams);
  std::vector<BufferChain> kept(kStreams);
  RunToEnd(runtime,
           [](Runtime& r, std::vector<StreamPair>* all, std::vector<BufferChain>* chains) -> Task<void> {
             for (uint64_t i = 0; i < kStreams; ++i) {
               (*all)[i] = co_await ConnectPair(r);
               while ((*chains)[i].size() <= i) {
                 const absl::Status sent = co_await (*all)[i].client.SendAll(AsBytes("x"));
                 EXPECT_TRUE(sent.ok());
                 absl::StatusOr<Buffer> data = co_await (*all)[i].server.Receive();
                 EXPECT_TRUE(data.ok());
                 (*chains)[i].Append(*std::move(data));
               }
             }
           }(runtime, &pairs, &kept));
  std::vector<StatsHolder> most(StatsPage::kMostHolders);
  const internal::ReceivePath& path = runtime.core().receive_path();
  ASSERT_EQ(path.FindHolders(most), most.size());
  for (uint64_t i = 0; i < most.size(); ++i) {
    EXPECT_EQ(most[i].pieces, kStreams - i);
    EXPECT_EQ(most[i].stream, pairs[kStreams - 1 - i].server.id());
  }
  // A stream that is gone still holds what the program has of it, until that is dropped.
  const uint64_t first = most[0].stream;
  pairs.back() = {};
  ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(0)).ok());
  ASSERT_EQ(path.FindHolders(most), most.size());
  EXPECT_EQ(most[0].stream, first);
  kept.back() = {};
  ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(0)).ok());
  ASSERT_EQ(path.FindHolders(most), most.size());
  EXPECT_EQ(most[0].pieces, kStreams - 1);
  kept.clear();
  ASSERT_TRUE(runtime.RunOnce(std::chrono::seconds(0)).ok());
  EXPECT_EQ(path.FindHolders(most), 0u);
}

TEST(StatsTest, AKilledProcessLeavesNothing) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const Runtime runtime = NewRuntime();
    if (write(ends[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char created = 0;
  ASSERT_EQ(read(ends[0], &created, 1), 1);
  const std::vector<StatsPage> pages = PagesOf(child);
  ASSERT_EQ(pages.size(), 1u);
  EXPECT_EQ(pages[0].pid, child);
  EXPECT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(PagesOf(child).empty());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace zcrx
