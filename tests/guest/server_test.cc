// SPDX-License-Identifier: Apache-2.0
//
// A server with a thread for each of four queues: where its connections end up, and
// what becomes of those that end up wrong.
#include "zcrx/server.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/guest/guest.h"

namespace zcrx {
namespace {

using std::chrono::seconds;

constexpr uint32_t kQueues = 4;
constexpr size_t kConnections = 2000;
constexpr int kAtOnce = 64;

// From 1 KiB to 4 MiB, most of them small.
size_t SizeOf(size_t connection) {
  if (connection % 64 == 0) return 4 << 20;
  return (size_t{1} << (10 + connection % 8)) + connection;
}

// Checks what comes, and answers with its size.
Task<void> CheckAndCount(Runtime&, Stream peer) {
  ContentChecker checker;
  while (true) {
    const absl::StatusOr<BufferChain> data = co_await peer.ReceiveBatch();
    if (!data.ok()) {
      ADD_FAILURE() << data.status();
      co_return;
    }
    if (data->empty()) break;
    for (const Buffer& buffer : *data) checker.Check(buffer.bytes());
  }
  const uint64_t count = checker.count();
  const absl::Status sent = co_await peer.SendAll(std::as_bytes(std::span(&count, 1)));
  EXPECT_TRUE(sent.ok()) << sent;
}

Task<absl::Status> Exchange(Runtime& runtime, SocketAddress address, std::span<const std::byte> content) {
  absl::StatusOr<Stream> server = co_await Connect(runtime, address);
  if (!server.ok()) co_return server.status();
  absl::Status sent = co_await server->SendAll(content);
  if (!sent.ok()) co_return sent;
  EXPECT_TRUE(server->Shutdown(Stream::Direction::kSend).ok());
  uint64_t count = 0;
  size_t have = 0;
  while (true) {
    const absl::StatusOr<Buffer> data = co_await server->Receive();
    if (!data.ok()) co_return data.status();
    if (data->empty()) break;
    if (have + data->size() > sizeof(count)) co_return absl::InternalError("the answer is too long");
    std::memcpy(reinterpret_cast<char*>(&count) + have, data->data(), data->size());
    have += data->size();
  }
  if (have != sizeof(count) || count != content.size())
    co_return absl::InternalError("the server has not got what was sent");
  co_return absl::OkStatus();
}

// Takes connection after connection, until all have been.
Task<absl::Status> ExchangeMany(Runtime& runtime, SocketAddress address, std::span<const std::byte> content,
                                size_t* next) {
  while (*next < kConnections) {
    const size_t connection = (*next)++;
    absl::Status exchanged = co_await Exchange(runtime, address, content.first(SizeOf(connection)));
    if (!exchanged.ok()) co_return exchanged;
  }
  co_return absl::OkStatus();
}

Task<void> ExchangeAll(Runtime& runtime, SocketAddress address, std::span<const std::byte> content,
                       size_t* next) {
  TaskGroup clients(runtime, TaskGroup::OnError::kCancelOthers);
  for (int i = 0; i < kAtOnce; ++i) clients.Spawn(ExchangeMany(runtime, address, content, next));
  const absl::Status done = co_await clients.Wait();
  EXPECT_TRUE(done.ok()) << done;
}

// All connections, from namespace `b`.
void RunClients(const SocketAddress& address) {
  std::jthread([&address] {
    EnterNamespace("b");
    std::vector<std::byte> content(4 << 20);
    for (size_t i = 0; i < content.size(); ++i) content[i] = ContentAt(i);
    absl::StatusOr<Runtime> runtime = Runtime::Create({.mode = ReceiveMode::kCopy});
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    size_t next = 0;
    runtime->Spawn(ExchangeAll(*runtime, address, content, &next));
    const absl::Status run = runtime->Run();
    EXPECT_TRUE(run.ok()) << run;
    EXPECT_EQ(next, kConnections);
  });
}

class ServerTest : public NicTest {
 protected:
  void SetUp() override {
    NicTest::SetUp();
    if (IsSkipped()) return;
    for (uint32_t queue = 0; queue < kQueues; ++queue) WaitUntilQueueIsFree(queue);
    Shell(NicTool() + " spread " + InterfaceA() + " " + std::to_string(kQueues));
  }
  void TearDown() override {
    if (!InterfaceA().empty()) {
      for (uint32_t queue = 0; queue < kQueues; ++queue) WaitUntilQueueIsFree(queue);
      Shell(NicTool() + " spread " + InterfaceA() + " 1");
    }
    NicTest::TearDown();
  }

  static ServerOptions Options() {
    ServerOptions options;
    options.address = *SocketAddress::Parse("10.0.0.1:0");
    options.rx_queues = {0, 1, 2, 3};
    options.runtime = ZeroCopyOptions(16 << 20);
    return options;
  }

  // Serves all connections; the sums over the threads, and a line for each.
  static ServerThreadStats ServeAll(const ServerOptions& options) {
    absl::StatusOr<Server> server = Server::Start(options, CheckAndCount);
    if (!server.ok()) {
      ADD_FAILURE() << server.status();
      return {};
    }
    RunClients(server->address());
    const absl::Status drained = server->Drain(seconds(60));
    EXPECT_TRUE(drained.ok()) << drained;
    ServerThreadStats sum;
    for (const ServerThreadStats& thread : server->stats()) {
      printf("queue %u: %llu connections, %llu misplaced, %llu bytes\n", thread.rx_queue,
             static_cast<unsigned long long>(thread.accepted),
             static_cast<unsigned long long>(thread.runtime.misplaced_streams),
             static_cast<unsigned long long>(thread.runtime.bytes_received));
      EXPECT_GT(thread.accepted, 0u);
      EXPECT_EQ(thread.open, 0u);
      EXPECT_EQ(thread.receive_path.kind, ReceivePathInfo::Kind::kZeroCopy);
      sum.accepted += thread.accepted;
      sum.runtime.misplaced_streams += thread.runtime.misplaced_streams;
    }
    EXPECT_EQ(sum.accepted, kConnections);
    return sum;
  }
};

TEST_F(ServerTest, EachConnectionIsAcceptedByTheThreadOfItsQueue) {
  EXPECT_EQ(ServeAll(Options()).runtime.misplaced_streams, 0u);
}

TEST_F(ServerTest, WrongSteeringIsServedAndCounted) {
  ServerOptions options = Options();
  options.steer = false;
  const ServerThreadStats sum = ServeAll(options);
  // By a hash that knows nothing of queues: about three of four.
  EXPECT_GT(sum.runtime.misplaced_streams, kConnections / 2);
  EXPECT_LT(sum.runtime.misplaced_streams, kConnections);
}

// Fewer queues than threads: they export and import.
TEST_F(ServerTest, SeveralThreadsReceiveFromOneQueue) {
  if (!ProbeKernel().shared_queues) GTEST_SKIP() << "this kernel cannot share a queue between rings";
  Shell(NicTool() + " spread " + InterfaceA() + " 2");
  ServerOptions options = Options();
  options.rx_queues = {0, 1};
  // The test NIC has no interrupts: the threads run anywhere.
  options.run_where_interrupts_go = true;
  options.threads_per_queue = 3;
  EXPECT_EQ(ServeAll(options).runtime.misplaced_streams, 0u);
}

TEST_F(ServerTest, OneThreadThatFailsFailsTheStart) {
  ServerOptions options = Options();
  options.rx_queues = {0, 1, 4096};
  const absl::StatusOr<Server> server = Server::Start(options, CheckAndCount);
  EXPECT_FALSE(server.ok());
  EXPECT_NE(std::string(server.status().message()).find("4096"), std::string::npos) << server.status();
}

}  // namespace
}  // namespace zcrx
