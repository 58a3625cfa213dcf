// SPDX-License-Identifier: Apache-2.0
//
// Buffers in the hands of eight threads after their stream and their runtime, or
// while these go away.
#include "tests/worker_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 1024;
constexpr size_t kBytes = 1'000'000;  // fits into the pool, even if most pieces are not full

// What a server with workers does: takes what comes, and hands it on.
Task<void> HandOn(Stream peer, WorkerPool& workers, std::set<const std::byte*>& pages, Buffer* last) {
  uint64_t position = 0;
  while (position < kBytes) {
    absl::StatusOr<Buffer> data = co_await peer.Receive();
    EXPECT_TRUE(data.ok() && !data->empty()) << data.status();
    if (!data.ok() || data->empty()) co_return;
    pages.insert(data->data());
    const size_t size = data->size();
    if (position == 0) *last = data->Share();
    workers.Give(*std::move(data), position);
    position += size;
  }
}

Task<void> Send(Runtime& runtime, SocketAddress address) {
  absl::StatusOr<Stream> stream = co_await Connect(runtime, address);
  EXPECT_TRUE(stream.ok()) << stream.status();
  const std::string bytes = Pattern(0, kBytes);
  const absl::Status sent = co_await stream->SendAll(AsBytes(bytes));
  EXPECT_TRUE(sent.ok()) << sent;
}

Task<void> Accept(Listener listener, WorkerPool& workers, std::set<const std::byte*>& pages, Buffer* last) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  if (peer.ok()) co_await HandOn(*std::move(peer), workers, pages, last);
}

class WorkersTest : public testing::TestWithParam<WhenReturned> {};

TEST_P(WorkersTest, BuffersOutliveStreamAndRuntime) {
  WorkerPool workers(&PatternByte);
  std::set<const std::byte*> pages;
  Buffer last;
  {
    Runtime client = NewRuntime();
    RuntimeOptions options;
    options.copy_pool = {.bytes = kPieces * kPiece, .buffer_bytes = kPiece};
    options.pressure.enabled = false;  // all of it is to be held
    Runtime server = NewRuntime(options);
    absl::StatusOr<Listener> listener = Listener::Create(server, LoopbackAddress());
    ASSERT_TRUE(listener.ok()) << listener.status();
    client.Spawn(Send(client, listener->address()));
    server.Spawn(Accept(*std::move(listener), workers, pages, &last));
    if (GetParam() == WhenReturned::kBeforeTheEnd) workers.StartReturning();
    while (client.task_count() + server.task_count() > 0) {
      ASSERT_TRUE(server.RunOnce(std::chrono::milliseconds(1)).ok());
      ASSERT_TRUE(client.RunOnce(std::chrono::milliseconds(1)).ok());
    }
    EXPECT_GE(workers.given(), kBytes / kPiece);
    if (GetParam() != WhenReturned::kBeforeTheEnd) {
      EXPECT_GE(workers.held(), workers.given());
      EXPECT_EQ(server.stats().buffers_out, workers.given());
    }
    if (GetParam() == WhenReturned::kMeanwhile) workers.StartReturning();
  }
  EXPECT_EQ(workers.Finish(), 0u) << "bytes were overwritten while they were held";
  EXPECT_EQ(workers.held(), 0u);
  EXPECT_GT(workers.parts(), 0u);

  for (const std::byte* page : pages) EXPECT_TRUE(IsMapped(page));
  for (size_t i = 0; i < last.size(); ++i) ASSERT_EQ(last.bytes()[i], PatternByte(i));
  last.Reset();
  for (const std::byte* page : pages) EXPECT_FALSE(IsMapped(page));
}

INSTANTIATE_TEST_SUITE_P(Returned, WorkersTest,
                         testing::Values(WhenReturned::kBeforeTheEnd, WhenReturned::kMeanwhile,
                                         WhenReturned::kAfterTheEnd),
                         [](const auto& when) { return NameOf(when.param); });

}  // namespace
}  // namespace zcrx
