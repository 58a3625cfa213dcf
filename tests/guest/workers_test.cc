// SPDX-License-Identifier: Apache-2.0
//
// Buffers that the NIC wrote, in the hands of eight threads after their stream,
// their interface queue and their runtime, or while these go away.
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "tests/guest/guest.h"
#include "tests/worker_pool.h"

namespace zcrx {
namespace {

constexpr size_t kBytes = 8'000'000;
constexpr size_t kRegion = 32 << 20;

Task<void> HandOn(Listener listener, WorkerPool& workers, std::set<const std::byte*>& pages, Buffer* last) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  uint64_t position = 0;
  while (peer.ok() && position < kBytes) {
    absl::StatusOr<Buffer> data = co_await peer->Receive();
    EXPECT_TRUE(data.ok() && !data->empty()) << data.status();
    if (!data.ok() || data->empty()) co_return;
    pages.insert(data->data());
    const size_t size = data->size();
    if (position == 0) *last = data->Share();
    workers.Give(*std::move(data), position);
    position += size;
  }
}

class WorkersTest : public NicTest, public testing::WithParamInterface<WhenReturned> {};

TEST_P(WorkersTest, BuffersOutliveStreamQueueAndRuntime) {
  WorkerPool workers(&ContentAt);
  std::set<const std::byte*> pages;
  Buffer last;
  {
    RuntimeOptions options = ZeroCopyOptions(kRegion);
    options.pressure.enabled = false;  // all of it is to be held
    Runtime runtime = NewRuntime(options);
    runtime.Spawn(HandOn(Listen(runtime), workers, pages, &last));
    const Peer peer(ZeroCopyPort(), [](int fd) { SendContent(fd, 0, kBytes); });
    if (GetParam() == WhenReturned::kBeforeTheEnd) workers.StartReturning();
    ASSERT_TRUE(runtime.Run().ok());
    EXPECT_GT(SplitBytes(), 0u);
    if (GetParam() != WhenReturned::kBeforeTheEnd) {
      EXPECT_GE(workers.held(), workers.given());
    }
    if (GetParam() == WhenReturned::kMeanwhile) workers.StartReturning();
  }
  EXPECT_EQ(workers.Finish(), 0u) << "bytes were overwritten while they were held";
  EXPECT_EQ(workers.held(), 0u);

  for (const std::byte* page : pages) EXPECT_TRUE(IsMapped(page));
  for (size_t i = 0; i < last.size(); ++i) ASSERT_EQ(last.bytes()[i], ContentAt(i));
  last.Reset();
  for (const std::byte* page : pages) EXPECT_FALSE(IsMapped(page));
}

INSTANTIATE_TEST_SUITE_P(Returned, WorkersTest,
                         testing::Values(WhenReturned::kBeforeTheEnd, WhenReturned::kMeanwhile,
                                         WhenReturned::kAfterTheEnd),
                         [](const auto& when) { return NameOf(when.param); });

}  // namespace
}  // namespace zcrx
