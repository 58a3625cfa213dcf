// SPDX-License-Identifier: Apache-2.0
#include "zcrx/stream.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/allocation_counter.h"
#include "tests/log_capture.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

Task<void> SendAndEnd(Stream& stream, std::string bytes) {
  const absl::Status sent = co_await stream.SendAll(AsBytes(bytes));
  EXPECT_TRUE(sent.ok()) << sent;
  EXPECT_TRUE(stream.Shutdown(Stream::Direction::kSend).ok());
}

Task<void> Echo(Stream peer) {
  while (true) {
    absl::StatusOr<BufferChain> data = co_await peer.ReceiveBatch();
    EXPECT_TRUE(data.ok()) << data.status();
    if (!data.ok() || data->empty()) co_return;
    const absl::Status sent = co_await peer.SendAll(*std::move(data));
    EXPECT_TRUE(sent.ok()) << sent;
  }
}

Task<void> ServeOne(Listener listener) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  if (peer.ok()) co_await Echo(*std::move(peer));
}

Task<void> SendAndReceive(Runtime& runtime, SocketAddress address, const std::string& out, std::string* in) {
  absl::StatusOr<Stream> stream = co_await Connect(runtime, address);
  EXPECT_TRUE(stream.ok()) << stream.status();
  runtime.Spawn(SendAndEnd(*stream, out));
  absl::StatusOr<std::string> all = co_await ReceiveAll(*stream);
  EXPECT_TRUE(all.ok()) << all.status();
  if (all.ok()) *in = *std::move(all);
  EXPECT_EQ(stream->stats().bytes_sent, out.size());
  EXPECT_EQ(stream->stats().bytes_received, out.size());
  EXPECT_EQ(stream->stats().copied_bytes, out.size()) << "loopback is all copies";
  EXPECT_EQ(stream->stats().copied_fragments, stream->stats().fragments_received);
}

// Sends `bytes` to an echo server with these options, and expects them back; the server's counts. The client
// has a runtime of its own: with one pool for both, each could wait for pieces that the other holds.
RuntimeStats EchoThrough(const RuntimeOptions& options, size_t bytes) {
  Runtime server = NewRuntime(options);
  Runtime client = NewRuntime();
  absl::StatusOr<Listener> listener = Listener::Create(server, LoopbackAddress());
  const std::string sent = Pattern(0, bytes);
  std::string received;
  client.Spawn(SendAndReceive(client, listener->address(), sent, &received));
  server.Spawn(ServeOne(*std::move(listener)));
  while (client.task_count() + server.task_count() > 0) {
    EXPECT_TRUE(server.RunOnce(std::chrono::milliseconds(1)).ok());
    EXPECT_TRUE(client.RunOnce(std::chrono::milliseconds(1)).ok());
  }
  EXPECT_TRUE(received == sent);
  const RuntimeStats stats = server.stats();
  EXPECT_EQ(stats.bytes_received, bytes);
  EXPECT_EQ(stats.copied_bytes, bytes);
  EXPECT_EQ(stats.copied_fragments, stats.fragments_received);
  EXPECT_GE(stats.receive_completions, stats.fragments_received);
  EXPECT_GE(stats.completions, stats.receive_completions);
  EXPECT_EQ(stats.completion_bytes, stats.completions * 16);
  return stats;
}

TEST(StreamTest, EchoesEveryByteAndTheEnd) { EchoThrough({}, 20'000'003); }

TEST(StreamTest, EchoThroughARegionSmallerThanTheTraffic) {
  RuntimeOptions options;
  options.copy_pool = {.bytes = 4 * 4096, .buffer_bytes = 4096};
  EXPECT_GT(EchoThrough(options, 3'000'000).rearms_no_buffer, 0u)
      << "the region was never exhausted: the test tested nothing";
}

TEST(StreamTest, TinyCompletionQueueLosesNothing) {
  RuntimeOptions options;
  options.submission_entries = 2;
  options.completion_entries = 4;
  options.copy_pool = {.bytes = 256 * 4096, .buffer_bytes = 4096};
  const LogCapture heard;
  const RuntimeStats stats = EchoThrough(options, 5'000'000);
  EXPECT_GT(stats.completion_overflows, 0u) << "the queue never overflowed: the test tested nothing";
  EXPECT_GT(stats.rearms_after_bytes, 0u) << "which ends receives, each with its last bytes";
  EXPECT_FALSE(heard.Of("ring.overflow").empty());
}

TEST(StreamTest, CountsWhatIsUnreadAndWhatIsHeld) {
  RuntimeOptions options;
  options.copy_pool = {.bytes = 16 * 4096, .buffer_bytes = 4096};
  options.pressure.stream_quota = size_t{16} * 4096;
  Runtime runtime = NewRuntime(options);
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string bytes = Pattern(0, 3 * 4096 + 10);
    // The first byte arms the receive.
    const absl::Status first = co_await pair.client.SendAll(AsBytes(bytes).first(1));
    EXPECT_TRUE(first.ok());
    Buffer held = *co_await pair.server.Receive();
    EXPECT_EQ(pair.server.stats().buffers_out, 1u) << "the application has it";
    EXPECT_EQ(pair.server.stats().unread_fragments, 0u);
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(bytes).subspan(1));
    EXPECT_TRUE(sent.ok());
    while (pair.server.stats().unread_bytes < bytes.size() - 1) {
      const absl::Status slept = co_await Sleep(std::chrono::milliseconds(1));
      EXPECT_TRUE(slept.ok());
    }
    StreamStats stats = pair.server.stats();
    EXPECT_EQ(stats.bytes_received, 1u) << "the rest is unread";
    EXPECT_EQ(stats.unread_bytes, bytes.size() - 1);
    EXPECT_GE(stats.unread_fragments, 4u);
    EXPECT_EQ(stats.buffers_out, 1 + stats.unread_fragments);
    EXPECT_EQ(r.stats().buffers_out, stats.buffers_out);
    EXPECT_EQ(r.stats().pool_pieces, 16u);
    absl::StatusOr<BufferChain> rest = co_await pair.server.ReceiveBatch();
    EXPECT_TRUE(rest.ok());
    stats = pair.server.stats();
    EXPECT_EQ(stats.unread_bytes, 0u);
    EXPECT_EQ(stats.unread_fragments, 0u);
    EXPECT_EQ(stats.bytes_received, bytes.size());
    EXPECT_EQ(stats.fragments_received, 1 + rest->buffer_count());
    EXPECT_EQ(stats.buffers_out, stats.fragments_received);
    held.Reset();
    rest = BufferChain();
    while (pair.server.stats().buffers_out > 0) {
      const absl::Status slept = co_await Sleep(std::chrono::milliseconds(1));
      EXPECT_TRUE(slept.ok());
    }
    EXPECT_EQ(r.stats().buffers_out, 0u);
    EXPECT_GE(r.stats().buffers_out_peak, 5u);
    pair.server.Close();
    EXPECT_EQ(pair.server.stats().bytes_received, 0u) << "it is gone";
  }(runtime));
}

TEST(StreamTest, HalfCloseLeavesTheOtherDirectionOpen) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    EXPECT_TRUE(pair.client.Shutdown(Stream::Direction::kSend).ok());
    absl::StatusOr<Buffer> end = co_await pair.server.Receive();
    EXPECT_TRUE(end.ok() && end->empty());
    end = co_await pair.server.Receive();
    EXPECT_TRUE(end.ok() && end->empty()) << "the end is told again and again";
    const std::string answer = "still here";
    const absl::Status sent = co_await pair.server.SendAll(AsBytes(answer));
    EXPECT_TRUE(sent.ok());
    pair.server.Close();
    absl::StatusOr<std::string> all = co_await ReceiveAll(pair.client);
    EXPECT_TRUE(all.ok());
    EXPECT_EQ(*all, answer);
  }(runtime));
}

TEST(StreamTest, ResetComesAfterTheBytesBeforeIt) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string text = "last words";
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    absl::StatusOr<Buffer> data = co_await pair.server.Receive();
    EXPECT_TRUE(data.ok());
    EXPECT_EQ(data->text(), text);
    const linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(pair.client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    pair.client.Close();
    data = co_await pair.server.Receive();
    EXPECT_EQ(ErrnoOf(data.status()), ECONNRESET) << data.status();
    data = co_await pair.server.Receive();
    EXPECT_EQ(ErrnoOf(data.status()), ECONNRESET) << "the error stays";
    const absl::Status after = co_await pair.server.SendAll(AsBytes(text));
    EXPECT_FALSE(after.ok());
  }(runtime));
}

Task<void> ReceiveOnce(Stream& stream, absl::Status* status) {
  absl::StatusOr<Buffer> data = co_await stream.Receive();
  *status = data.status();
}

TEST(StreamTest, CloseCancelsAWaitingReceive) {
  Runtime runtime = NewRuntime();
  absl::Status status;
  RunToEnd(runtime, [](Runtime& r, absl::Status* s) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    r.Spawn(ReceiveOnce(pair.server, s));
    const std::string text = "x";
    // Lets the other task run and wait.
    const absl::Status sent = co_await pair.server.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    absl::StatusOr<Buffer> data = co_await pair.client.Receive();
    EXPECT_TRUE(data.ok());
    pair.server.Close();
    data = co_await pair.server.Receive();
    EXPECT_TRUE(absl::IsCancelled(data.status()));
    data = co_await pair.client.Receive();
    EXPECT_TRUE(data.ok() && data->empty()) << "the peer sees the end";
  }(runtime, &status));
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST(StreamTest, OneReceiveAndOneSendAtATime) {
  Runtime runtime = NewRuntime();
  absl::Status first = absl::UnknownError("not run");
  RunToEnd(runtime, [](Runtime& r, absl::Status* s) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    r.Spawn(ReceiveOnce(pair.server, s));
    const std::string text = "x";
    absl::Status sent = co_await pair.server.SendAll(AsBytes(text));
    absl::StatusOr<Buffer> data = co_await pair.server.Receive();
    EXPECT_TRUE(absl::IsFailedPrecondition(data.status())) << data.status();
    sent = co_await pair.client.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    data = co_await pair.client.Receive();
    EXPECT_TRUE(data.ok());
  }(runtime, &first));
  EXPECT_TRUE(first.ok()) << first;
}

TEST(StreamTest, SendsOfNothingAndToNobody) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    absl::Status sent = co_await pair.client.SendAll(Buffer());
    EXPECT_TRUE(sent.ok());
    const absl::StatusOr<size_t> count = co_await pair.client.Send({});
    EXPECT_EQ(*count, 0u);
    Stream closed;
    sent = co_await closed.SendAll(AsBytes("x"));
    EXPECT_TRUE(absl::IsCancelled(sent));
    const absl::StatusOr<Buffer> data = co_await closed.Receive();
    EXPECT_TRUE(absl::IsCancelled(data.status()));
    EXPECT_FALSE(closed.Shutdown(Stream::Direction::kBoth).ok());
    EXPECT_EQ(closed.fd(), -1);
    EXPECT_FALSE(closed.peer_address().ok());
    EXPECT_EQ(pair.client.peer_address()->ToString(), pair.server.local_address()->ToString());
  }(runtime));
}

TEST(StreamTest, ConnectionRefusedHasItsErrno) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    SocketAddress free_port;
    {
      absl::StatusOr<Listener> listener = Listener::Create(r, LoopbackAddress());
      free_port = listener->address();
    }
    absl::StatusOr<Stream> stream = co_await Connect(r, free_port);
    EXPECT_EQ(ErrnoOf(stream.status()), ECONNREFUSED) << stream.status();
    EXPECT_NE(stream.status().message().find(free_port.ToString()), std::string::npos);
  }(runtime));
}

TEST(StreamTest, AdoptRefusesWhatIsNoTcpSocket) {
  Runtime runtime = NewRuntime();
  const int udp = socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT_EQ(ErrnoOf(Stream::Adopt(runtime, udp).status()), EPROTOTYPE);
  EXPECT_EQ(ErrnoOf(Stream::Adopt(runtime, -1).status()), EBADF);
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  EXPECT_EQ(ErrnoOf(Stream::Adopt(runtime, pipe_fds[0]).status()), ENOTSOCK);
  close(pipe_fds[1]);
}

// The limit of its buffer is no limit of the window that the connection began with.
TEST(StreamTest, AdoptLetsTheWindowGrow) {
  Runtime runtime = NewRuntime();
  absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  ASSERT_TRUE(listener.ok());
  const SocketAddress address = listener->address();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, address.get(), address.length()), 0);
  const absl::StatusOr<Stream> stream = Stream::Adopt(runtime, fd);
  ASSERT_TRUE(stream.ok());
  int buffer = 0;
  int window = 0;
  socklen_t length = sizeof(buffer);
  ASSERT_EQ(getsockopt(stream->fd(), SOL_SOCKET, SO_RCVBUF, &buffer, &length), 0);
  ASSERT_EQ(getsockopt(stream->fd(), IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, &length), 0);
  EXPECT_GT(buffer, 1 << 17) << "as small as it always was: nothing is tested";
  EXPECT_GE(window, buffer);
}

TEST(StreamTest, ListenerErrors) {
  Runtime runtime = NewRuntime();
  absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(ErrnoOf(Listener::Create(runtime, listener->address()).status()), EADDRINUSE);
  EXPECT_EQ(ErrnoOf(Listener::Create(runtime, *SocketAddress::Parse("192.0.2.1:0")).status()), EADDRNOTAVAIL);
  RunToEnd(runtime, [](Listener own) -> Task<void> {
    own.Close();
    absl::StatusOr<Stream> stream = co_await own.Accept();
    EXPECT_TRUE(absl::IsCancelled(stream.status()));
  }(*std::move(listener)));
}

// The hot path: receive, use, drop. Nothing is allocated per buffer once warm.
TEST(StreamTest, WarmReceiveDoesNotAllocate) {
  Runtime runtime = NewRuntime();
  uint64_t allocations = 0;
  uint64_t buffers = 0;
  RunToEnd(runtime, [](Runtime& r, uint64_t* a, uint64_t* b) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    const std::string block = Pattern(0, 64 << 10);
    uint64_t before = 0;
    for (int round = 0; round < 400; ++round) {
      if (round == 100) before = AllocationCount();
      const absl::Status sent = co_await pair.client.SendAll(AsBytes(block));
      EXPECT_TRUE(sent.ok());
      for (size_t left = block.size(); left > 0;) {
        if (round % 2 == 0) {
          const absl::StatusOr<Buffer> data = co_await pair.server.Receive();
          left -= data->size();
          ++*b;
        } else {
          const absl::StatusOr<BufferChain> data = co_await pair.server.ReceiveBatch();
          left -= data->size();
          *b += data->buffer_count();
        }
      }
    }
    *a = AllocationCount() - before;
  }(runtime, &allocations, &buffers));
  EXPECT_GT(buffers, 1000u);
  EXPECT_EQ(allocations, 0u) << "for " << buffers << " buffers";
}

TEST(StreamTest, BuffersOutliveStreamAndRuntime) {
  std::vector<Buffer> kept;
  {
    Runtime runtime = NewRuntime();
    RunToEnd(runtime, [](Runtime& r, std::vector<Buffer>* keep) -> Task<void> {
      StreamPair pair = co_await ConnectPair(r);
      for (int i = 0; i < 10; ++i) {
        const std::string text = Pattern(static_cast<uint64_t>(i) * 100, 100);
        const absl::Status sent = co_await pair.client.SendAll(AsBytes(text));
        EXPECT_TRUE(sent.ok());
        absl::StatusOr<Buffer> data = co_await pair.server.Receive();
        keep->push_back(*std::move(data));
      }
    }(runtime, &kept));
    EXPECT_EQ(runtime.stats().fragments_received, 10u);
  }
  for (uint64_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].text(), Pattern(i * 100, 100));
  std::jthread([&] { kept.clear(); }).join();
}

// A consumer on another thread returns buffers while the owner sleeps with its region empty.
TEST(StreamTest, ReturnsFromAnotherThreadWakeAStarvedRuntime) {
  RuntimeOptions options;
  options.copy_pool = {.bytes = 2 * 4096, .buffer_bytes = 4096};
  Runtime runtime = NewRuntime(options);
  const std::string sent = Pattern(1, 1'000'000);
  std::string received;
  RunToEnd(runtime, [](Runtime& r, const std::string& out, std::string* in) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    r.Spawn(SendAndEnd(pair.client, out));
    while (true) {
      absl::StatusOr<BufferChain> data = co_await pair.server.ReceiveBatch();
      EXPECT_TRUE(data.ok()) << data.status();
      if (!data.ok() || data->empty()) break;
      for (const Buffer& buffer : *data) *in += buffer.text();
      std::thread([chain = *std::move(data)]() mutable { chain = {}; }).detach();
    }
  }(runtime, sent, &received));
  EXPECT_TRUE(received == sent);
  EXPECT_GT(runtime.stats().rearms_no_buffer, 0u);
}

}  // namespace
}  // namespace zcrx
