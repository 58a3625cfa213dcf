// SPDX-License-Identifier: Apache-2.0
//
// Ten thousand open connections, each with a task that waits with a limit: what
// one costs in memory, and that all of them are served.
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/guest/guest.h"

namespace zcrx {
namespace {

constexpr size_t kMessage = 1024;
constexpr int kRounds = 3;

// Debug kernels are slow.
size_t Connections() {
  const char* text = getenv("ZCRX_CONNECTIONS");
  return text != nullptr ? strtoul(text, nullptr, 10) : 10'000;
}

Task<void> EchoWithLimit(Stream peer, size_t* ended) {
  while (true) {
    absl::StatusOr<BufferChain> data = co_await WithTimeout(std::chrono::hours(1), peer.ReceiveBatch());
    EXPECT_TRUE(data.ok()) << data.status();
    if (!data.ok() || data->empty()) break;
    const absl::Status sent = co_await peer.SendAll(*std::move(data));
    EXPECT_TRUE(sent.ok()) << sent;
  }
  ++*ended;
}

Task<void> AcceptAll(Runtime& runtime, Listener& listener, size_t* ended) {
  for (size_t i = 0; i < Connections(); ++i) {
    absl::StatusOr<Stream> peer = co_await listener.Accept();
    EXPECT_TRUE(peer.ok()) << peer.status();
    if (!peer.ok()) co_return;
    runtime.Spawn(EchoWithLimit(*std::move(peer), ended));
  }
}

// Connects as many sockets as there are places, to where `first`, which is one of them, is connected. How
// many are.
size_t ConnectMany(int first, std::vector<int>& sockets) {
  sockets[0] = first;
  sockaddr_in server = {};
  socklen_t length = sizeof(server);
  auto* address = reinterpret_cast<sockaddr*>(&server);
  if (getpeername(first, address, &length) != 0) return 0;
  for (size_t i = 1; i < sockets.size(); ++i) {
    sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(sockets[i], address, length) != 0) return i;
  }
  return sockets.size();
}

// A message to each of them, then the answer of each; how many were right.
size_t ServeRound(const std::vector<int>& sockets, int round) {
  std::array<unsigned char, kMessage> message;
  std::array<unsigned char, kMessage> answer;
  size_t right = 0;
  const auto fill = [&message, round](size_t connection) {
    for (size_t i = 0; i < kMessage; ++i)
      message[i] = static_cast<unsigned char>(connection * 7 + i * 31 + static_cast<size_t>(round));
  };
  for (size_t i = 0; i < sockets.size(); ++i) {
    fill(i);
    if (send(sockets[i], message.data(), kMessage, MSG_NOSIGNAL) != kMessage) return 0;
  }
  for (size_t i = 0; i < sockets.size(); ++i) {
    fill(i);
    if (recv(sockets[i], answer.data(), kMessage, MSG_WAITALL) == kMessage && message == answer) ++right;
  }
  return right;
}

size_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class ManyTest : public NicTest {};

TEST_F(ManyTest, ManyConnectionsAreServedInTurns) {
  const size_t connections = Connections();
  const rlimit files = {.rlim_cur = 3 * connections, .rlim_max = 3 * connections};
  ASSERT_GT(connections, 0u);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  Runtime runtime = NewRuntime(ZeroCopyOptions(64 << 20));
  Listener listener = Listen(runtime);
  size_t ended = 0;
  std::vector<int> sockets(connections, -1);
  std::atomic<int> rounds = 0;  // that the peer may begin
  std::atomic<int> done = 0;
  std::atomic<size_t> right = 0;
  Peer peers(ZeroCopyPort(), [&](int first) {
    const size_t opened = ConnectMany(first, sockets);
    EXPECT_EQ(opened, connections);
    for (int round = 0; round < kRounds; ++round) {
      while (rounds <= round) std::this_thread::yield();
      right += ServeRound(sockets, round);
      ++done;
    }
    for (size_t i = 1; i < sockets.size(); ++i) close(sockets[i]);
  });
  const size_t before = HeapBytes();
  runtime.Spawn(AcceptAll(runtime, listener, &ended));
  for (int round = 0; round < kRounds; ++round) {
    ++rounds;
    while (done <= round) ASSERT_TRUE(runtime.RunOnce(std::chrono::milliseconds(10)).ok());
    EXPECT_EQ(right, static_cast<size_t>(round + 1) * connections);
    // All of them wait by now: their answers have come.
    printf("round %d: %.0f bytes of heap for each of %zu open connections with a timer\n", round + 1,
           static_cast<double>(HeapBytes() - before) / static_cast<double>(connections), connections);
  }
  EXPECT_LT(HeapBytes() - before, connections * 4096);
  while (ended < connections) ASSERT_TRUE(runtime.RunOnce(std::chrono::milliseconds(10)).ok());
  EXPECT_EQ(runtime.stats().buffers_out, 0u);
}

}  // namespace
}  // namespace zcrx
