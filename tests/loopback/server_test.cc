// SPDX-License-Identifier: Apache-2.0
//
// A server of several threads without queues: starting, serving, draining.
#include "zcrx/server.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

using std::chrono::hours;

Task<void> Echo(Runtime&, Stream peer) {
  while (true) {
    absl::StatusOr<Buffer> data = co_await peer.Receive();
    if (!data.ok() || data->empty()) co_return;
    const absl::Status sent = co_await peer.SendAll(*std::move(data));
    if (!sent.ok()) co_return;
  }
}

ServerOptions TwoThreads() {
  ServerOptions options;
  options.address = LoopbackAddress();
  options.threads = 2;
  return options;
}

Server StartServer(const ServerOptions& options) {
  absl::StatusOr<Server> server = Server::Start(options, Echo);
  if (!server.ok()) {
    ADD_FAILURE() << server.status();
    std::abort();
  }
  return *std::move(server);
}

// Sends a word and waits for its echo.
Task<absl::Status> Exchange(Stream& stream) {
  const std::string word = "echo";
  absl::Status sent = co_await stream.SendAll(AsBytes(word));
  if (!sent.ok()) co_return sent;
  std::string echo;
  while (echo.size() < word.size()) {
    const absl::StatusOr<Buffer> data = co_await stream.Receive();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return absl::InternalError("it ended");
    echo += data->text();
  }
  EXPECT_EQ(echo, word);
  co_return absl::OkStatus();
}

// Connections that have been served once, and are open.
Task<void> OpenConnections(Runtime& runtime, SocketAddress address, size_t count, std::vector<Stream>* open) {
  for (size_t i = 0; i < count; ++i) {
    absl::StatusOr<Stream> stream = co_await Connect(runtime, address);
    EXPECT_TRUE(stream.ok()) << stream.status();
    if (!stream.ok()) co_return;
    const absl::Status exchanged = co_await Exchange(*stream);
    EXPECT_TRUE(exchanged.ok()) << exchanged;
    open->push_back(*std::move(stream));
  }
}

std::vector<Stream> OpenConnections(Runtime& runtime, const Server& server, size_t count) {
  std::vector<Stream> open;
  runtime.Spawn(OpenConnections(runtime, server.address(), count, &open));
  EXPECT_TRUE(runtime.Run().ok());
  EXPECT_EQ(open.size(), count);
  return open;
}

TEST(ServerTest, ServesOnAllThreadsAndDrains) {
  Server server = StartServer(TwoThreads());
  EXPECT_NE(server.address().port(), 0);
  Runtime runtime = NewRuntime();
  // By a hash of the ports: that one of two threads gets none of 64 does not happen.
  std::vector<Stream> open = OpenConnections(runtime, server, 64);
  uint64_t accepted = 0;
  for (const ServerThreadStats& thread : server.stats()) {
    EXPECT_GT(thread.accepted, 0u);
    EXPECT_EQ(thread.open, thread.accepted);
    EXPECT_EQ(thread.runtime.misplaced_streams, 0u);
    accepted += thread.accepted;
  }
  EXPECT_EQ(accepted, 64u);
  open.clear();
  runtime = NewRuntime();  // the end of the old one ends the connections
  const absl::Status drained = server.Drain(hours(1));
  EXPECT_TRUE(drained.ok()) << drained;
  for (const ServerThreadStats& thread : server.stats()) EXPECT_EQ(thread.open, 0u);
}

TEST(ServerTest, DrainCancelsWhatDoesNotEnd) {
  Server server = StartServer(TwoThreads());
  Runtime runtime = NewRuntime();
  const std::vector<Stream> open = OpenConnections(runtime, server, 5);
  const absl::Status drained = server.Drain(std::chrono::milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(drained)) << drained;
  EXPECT_NE(std::string(drained.message()).find("5 connections"), std::string::npos) << drained;
  EXPECT_EQ(server.Drain(hours(1)), drained);
}

TEST(ServerTest, NobodyListensAfterwards) {
  Server server = StartServer(TwoThreads());
  const SocketAddress address = server.address();
  EXPECT_TRUE(server.Drain({}).ok());
  Runtime runtime = NewRuntime();
  runtime.Spawn([](Runtime& connecting, SocketAddress to) -> Task<void> {
    const absl::StatusOr<Stream> stream = co_await Connect(connecting, to);
    EXPECT_EQ(ErrnoOf(stream.status()), ECONNREFUSED) << stream.status();
  }(runtime, address));
  EXPECT_TRUE(runtime.Run().ok());
}

TEST(ServerTest, AnAddressInUseIsAnError) {
  Runtime runtime = NewRuntime();
  const absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  ASSERT_TRUE(listener.ok());
  ServerOptions options = TwoThreads();
  options.address = listener->address();
  const absl::StatusOr<Server> server = Server::Start(options, Echo);
  EXPECT_EQ(ErrnoOf(server.status()), EADDRINUSE) << server.status();
}

TEST(ServerTest, OptionsThatDoNotFitTogether) {
  const auto refusal = [](const ServerOptions& options) {
    return std::string(Server::Start(options, Echo).status().message());
  };
  ServerOptions queues = TwoThreads();
  queues.rx_queues = {1, 2};
  EXPECT_NE(refusal(queues).find("interface_queue"), std::string::npos);
  ServerOptions interface = TwoThreads();
  interface.runtime.interface_queue = {.interface = "lo"};
  EXPECT_NE(refusal(interface).find("rx_queues"), std::string::npos);
  ServerOptions twice = TwoThreads();
  twice.runtime.interface_queue = {.interface = "lo"};
  twice.rx_queues = {3, 3};
  EXPECT_NE(refusal(twice).find("queue 3 twice"), std::string::npos);
  ServerOptions cpus = TwoThreads();
  cpus.cpus = {0};
  EXPECT_NE(refusal(cpus).find("cpus"), std::string::npos);
  cpus.cpus = {0, 100000};
  EXPECT_NE(refusal(cpus).find("100000"), std::string::npos);
}

TEST(ServerTest, AThreadRunsOnItsCpu) {
  ServerOptions options = TwoThreads();
  options.cpus = {0, 0};
  Server server = StartServer(options);
  Runtime runtime = NewRuntime();
  EXPECT_EQ(OpenConnections(runtime, server, 4).size(), 4u);
}

}  // namespace
}  // namespace zcrx
