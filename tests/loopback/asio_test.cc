// SPDX-License-Identifier: Apache-2.0
//
// A runtime beside Asio's io_context, on one thread, as docs/guide.md says: Asio
// watches a dup(2) of the runtime's descriptor, which it closes in the end.
#include <gtest/gtest.h>
#include <unistd.h>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

// Turns a runtime whenever its descriptor is readable, until it has no task left.
class RuntimeInAsio {
 public:
  RuntimeInAsio(asio::io_context& io, Runtime& runtime)
      : runtime_(runtime), descriptor_(io, dup(runtime.event_fd())) {
    Wait();
  }

 private:
  void Wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
      ASSERT_FALSE(error) << error.message();
      const absl::Status turned = runtime_.RunOnce(std::chrono::nanoseconds(0));
      ASSERT_TRUE(turned.ok()) << turned;
      if (runtime_.task_count() > 0) Wait();
    });
  }

  Runtime& runtime_;
  asio::posix::stream_descriptor descriptor_;
};

// Keeps a runtime turning.
Task<void> WaitForCancel(CancelSource& source) {
  const absl::Status slept = co_await WithCancel(source, Sleep(std::chrono::hours(1)));
  EXPECT_TRUE(absl::IsCancelled(slept)) << slept;
}

// Echoes one connection.
Task<void> ServeOne(Listener listener) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  EXPECT_TRUE(peer.ok()) << peer.status();
  if (!peer.ok()) co_return;
  while (true) {
    absl::StatusOr<BufferChain> data = co_await peer->ReceiveBatch();
    EXPECT_TRUE(data.ok()) << data.status();
    if (!data.ok() || data->empty()) co_return;
    const absl::Status sent = co_await peer->SendAll(*std::move(data));
    EXPECT_TRUE(sent.ok()) << sent;
  }
}

// A client that is Asio's alone: sends all, reads until the end of the stream, and calls `at_end`.
class Client {
 public:
  Client(asio::io_context& io, uint16_t port, std::string bytes, std::function<void()> at_end)
      : socket_(io), out_(std::move(bytes)), at_end_(std::move(at_end)) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    asio::async_write(socket_, asio::buffer(out_), [this](const asio::error_code& error, size_t) {
      ASSERT_FALSE(error) << error.message();
      socket_.shutdown(asio::ip::tcp::socket::shutdown_send);
    });
    asio::async_read(socket_, asio::dynamic_buffer(in_), [this](const asio::error_code& error, size_t) {
      EXPECT_EQ(error, asio::error::eof) << error.message();
      at_end_();
    });
  }

  bool all_came_back() const { return in_ == out_; }

 private:
  asio::ip::tcp::socket socket_;
  const std::string out_;
  const std::function<void()> at_end_;
  std::string in_;
};

TEST(AsioTest, ARuntimeServesAClientOfTheSameLoop) {
  Runtime runtime = NewRuntime();
  asio::io_context io;
  absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  ASSERT_TRUE(listener.ok()) << listener.status();
  CancelSource client_done;
  const Client client(io, listener->address().port(), Pattern(0, 5'000'000),
                      [&] { runtime.Post([&] { client_done.Cancel(); }); });
  runtime.Spawn(WaitForCancel(client_done));
  runtime.Spawn(ServeOne(*std::move(listener)));
  const RuntimeInAsio turning(io, runtime);
  io.run();  // until neither has anything left
  EXPECT_TRUE(client.all_came_back());
  EXPECT_EQ(runtime.task_count(), 0u);
  EXPECT_EQ(runtime.stats().bytes_received, 5'000'000u);
}

Task<void> SleepThenCount(std::chrono::milliseconds duration, int* count) {
  const absl::Status slept = co_await Sleep(duration);
  EXPECT_TRUE(slept.ok()) << slept;
  ++*count;
}

// Asio's epoll is edge-triggered: an event that comes between RunOnce() and the next wait must not be lost.
TEST(AsioTest, TimersOfBothFire) {
  Runtime runtime = NewRuntime();
  asio::io_context io;
  int ours = 0;
  int theirs = 0;
  for (int i = 0; i < 20; ++i) runtime.Spawn(SleepThenCount(std::chrono::milliseconds(i), &ours));
  asio::steady_timer timer(io, std::chrono::milliseconds(3));
  timer.async_wait([&theirs](const asio::error_code& error) {
    EXPECT_FALSE(error) << error.message();
    ++theirs;
  });
  const RuntimeInAsio turning(io, runtime);
  io.run();
  EXPECT_EQ(ours, 20);
  EXPECT_EQ(theirs, 1);
}

// What is given to the runtime from a handler of Asio's runs with the next turn, which Post() brings about.
TEST(AsioTest, PostFromAHandlerOfAsio) {
  Runtime runtime = NewRuntime();
  asio::io_context io;
  CancelSource forever;
  int ours = 0;
  runtime.Spawn(WaitForCancel(forever));
  asio::steady_timer timer(io, std::chrono::milliseconds(3));
  timer.async_wait([&](const asio::error_code&) {
    runtime.Post([&] {
      runtime.Spawn(SleepThenCount(std::chrono::milliseconds(1), &ours));
      forever.Cancel();
    });
  });
  const RuntimeInAsio turning(io, runtime);
  io.run();
  EXPECT_EQ(ours, 1);
}

}  // namespace
}  // namespace zcrx
