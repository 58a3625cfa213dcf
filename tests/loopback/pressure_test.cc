// SPDX-License-Identifier: Apache-2.0
//
// Streams that take more than their part of the region. On the copy path, whose
// pieces run out just like those of a NIC.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kPiece = 4096;
constexpr size_t kPieces = 256;
constexpr size_t kQuota = 32;

RuntimeOptions Options(PressureOptions pressure) {
  RuntimeOptions options;
  options.mode = ReceiveMode::kCopy;
  options.copy_pool = {.bytes = kPieces * kPiece, .buffer_bytes = kPiece};
  pressure.stream_quota = kQuota * kPiece;
  options.pressure = pressure;
  return options;
}

// Sends the pattern until it is cancelled; how much the kernel took.
Task<void> SendForEver(Stream& stream, uint64_t* sent) {
  while (true) {
    const std::string bytes = Pattern(*sent, 100'000);
    const absl::Status status = co_await stream.SendAll(AsBytes(bytes));
    *sent = stream.stats().bytes_sent;
    if (!status.ok()) co_return;
  }
}

// Receives `bytes` of the pattern, dropping each piece at once.
Task<absl::Status> ReceivePattern(Stream& stream, uint64_t bytes) {
  uint64_t received = 0;
  while (received < bytes) {
    absl::StatusOr<Buffer> data = co_await stream.Receive();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return absl::DataLossError("the stream ended early");
    for (const std::byte byte : data->bytes()) {
      if (byte != PatternByte(received++)) co_return absl::DataLossError("a byte is wrong");
    }
  }
  co_return absl::OkStatus();
}

// Takes whatever comes and gives nothing back.
Task<void> Hoard(Stream& stream, std::vector<Buffer>* hoard) {
  while (true) {
    absl::StatusOr<Buffer> data = co_await stream.Receive();
    if (!data.ok() || data->empty()) co_return;
    hoard->push_back(*std::move(data));
  }
}

// One hoards, another one wants to receive: what comes of the latter.
Task<absl::Status> BesideAHoarder(Runtime& server, Runtime& client, uint64_t bytes, milliseconds limit) {
  // The peers' sockets are the other runtime's, so that its pieces are not needed.
  absl::StatusOr<Listener> listener = Listener::Create(server, LoopbackAddress());
  StreamPair hog;
  StreamPair honest;
  for (StreamPair* pair : {&hog, &honest}) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const SocketAddress address = listener->address();
    EXPECT_EQ(connect(fd, address.get(), address.length()), 0);
    pair->client = *Stream::Adopt(client, fd);
    pair->server = *co_await listener->Accept();
  }
  std::vector<Buffer> hoard;
  uint64_t sent[2] = {};
  TaskGroup senders(client);
  senders.Spawn(SendForEver(hog.client, &sent[0]));
  senders.Spawn(SendForEver(honest.client, &sent[1]));
  TaskGroup hoarders(server);
  hoarders.Spawn(Hoard(hog.server, &hoard));
  // It has taken what it can get.
  while (hoard.size() < kPieces && server.stats().pressure.paused == 0) {
    const absl::Status slept = co_await Sleep(milliseconds(1));
    EXPECT_TRUE(slept.ok());
  }
  const absl::Status received = co_await WithTimeout(limit, ReceivePattern(honest.server, bytes));
  const std::vector<BufferHolder> holders = server.holders();
  EXPECT_FALSE(holders.empty());
  if (!holders.empty()) {
    EXPECT_EQ(holders.front().stream, hog.server.id()) << "the oldest piece is the hoarder's";
    EXPECT_GE(holders.front().pieces, kQuota);
    EXPECT_GT(holders.front().oldest_age.count(), 0);
  }
  EXPECT_EQ(hog.server.stats().pauses > 0, server.stats().pressure.pauses > 0);
  hoarders.Cancel();
  const absl::Status hoarded = co_await hoarders.Wait();
  EXPECT_TRUE(hoarded.ok());
  // What it has is right, and in order.
  uint64_t position = 0;
  for (const Buffer& buffer : hoard) {
    for (const std::byte byte : buffer.bytes()) EXPECT_EQ(byte, PatternByte(position++));
  }
  hoard.clear();
  hog.server.Close();
  honest.server.Close();
  // The senders are of another runtime, which may be turning: it is told, not touched.
  client.Post([&senders] { senders.Cancel(); });
  while (senders.size() > 0) {
    const absl::Status slept = co_await Sleep(milliseconds(1));
    EXPECT_TRUE(slept.ok());
  }
  co_return received;
}

// Turns two runtimes of one thread until the tasks of the first have ended.
void TurnBoth(Runtime& server, Runtime& client) {
  while (server.task_count() > 0) {
    ASSERT_TRUE(server.RunOnce(milliseconds(1)).ok());
    ASSERT_TRUE(client.RunOnce(seconds(0)).ok());
  }
}

absl::Status RunBesideAHoarder(const PressureOptions& pressure, uint64_t bytes, milliseconds limit,
                               PressureStats* stats) {
  Runtime client = NewRuntime();
  Runtime server = NewRuntime(Options(pressure));
  absl::Status result;
  server.Spawn(
      [](Runtime& s, Runtime& c, uint64_t count, milliseconds within, absl::Status* out) -> Task<void> {
        *out = co_await BesideAHoarder(s, c, count, within);
      }(server, client, bytes, limit, &result));
  TurnBoth(server, client);
  *stats = server.stats().pressure;
  return result;
}

TEST(PressureTest, HoarderDoesNotStarveTheOthers) {
  PressureStats stats;
  // The high watermark is what one stream with its quota is below, but not two.
  const absl::Status received = RunBesideAHoarder({.high_watermark = 0.2, .low_watermark = 0.1}, 20'000'000,
                                                  std::chrono::duration_cast<milliseconds>(hours(1)), &stats);
  EXPECT_TRUE(received.ok()) << received;
  EXPECT_GE(stats.rises, 1u);
  EXPECT_GE(stats.pauses, 1u);
}

TEST(PressureTest, WithoutThePolicyItDoes) {
  PressureStats stats;
  const absl::Status received = RunBesideAHoarder({.enabled = false}, 20'000'000, milliseconds(300), &stats);
  EXPECT_TRUE(absl::IsDeadlineExceeded(received)) << received;
  EXPECT_EQ(stats.rises, 0u);
  EXPECT_EQ(stats.pauses, 0u);
}

// Many streams, none over its quota, that nobody reads: the oldest go to the heap, and all is right later.
TEST(PressureTest, UnreadBuffersAreCopiedOut) {
  Runtime runtime = NewRuntime(Options({}));
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    constexpr int kStreams = 20;
    constexpr size_t kBytes = 20 * kPiece;
    std::vector<StreamPair> pairs;
    const std::string bytes = Pattern(0, kBytes + 1);
    for (int i = 0; i < kStreams; ++i) {
      pairs.push_back(co_await ConnectPair(r));
      // The first byte arms the receive.
      const absl::Status sent = co_await pairs.back().client.SendAll(AsBytes(bytes).first(1));
      EXPECT_TRUE(sent.ok());
      const absl::StatusOr<Buffer> first = co_await pairs.back().server.Receive();
      EXPECT_EQ(first->size(), 1u);
    }
    std::vector<Pressure> told;
    TaskGroup group(r);
    group.Spawn([](Runtime& in, std::vector<Pressure>* out) -> Task<void> {
      while (true) {
        const absl::StatusOr<Pressure> pressure = co_await in.PressureChange();
        if (!pressure.ok()) co_return;
        out->push_back(*pressure);
      }
    }(r, &told));
    for (StreamPair& pair : pairs) {
      const absl::Status sent = co_await pair.client.SendAll(AsBytes(bytes).subspan(1));
      EXPECT_TRUE(sent.ok());
    }
    // All of it arrives, though it is more than the region holds.
    while (r.stats().bytes_received < kStreams * (kBytes + 1)) {
      const absl::Status slept = co_await Sleep(milliseconds(1));
      EXPECT_TRUE(slept.ok());
    }
    const PressureStats stats = r.stats().pressure;
    EXPECT_EQ(stats.now, Pressure::kHigh);
    EXPECT_GE(stats.copied_out_fragments, kStreams * 20 - kPieces);
    EXPECT_GE(stats.copied_out_bytes, stats.copied_out_fragments);
    uint64_t copied_out[2] = {};
    for (const StreamPair& pair : pairs) {
      copied_out[0] += pair.server.stats().copied_out_fragments;
      copied_out[1] += pair.server.stats().copied_out_bytes;
    }
    EXPECT_EQ(copied_out[0], stats.copied_out_fragments);
    EXPECT_EQ(copied_out[1], stats.copied_out_bytes);
    for (StreamPair& pair : pairs) {
      uint64_t received = 1;
      while (received < kBytes + 1) {
        const absl::StatusOr<Buffer> data = co_await pair.server.Receive();
        EXPECT_TRUE(data.ok() && !data->empty());
        if (!data.ok() || data->empty()) break;
        for (const std::byte byte : data->bytes()) EXPECT_EQ(byte, PatternByte(received++));
      }
    }
    while (r.stats().pressure.now == Pressure::kHigh) {
      const absl::Status slept = co_await Sleep(milliseconds(1));
      EXPECT_TRUE(slept.ok());
    }
    EXPECT_TRUE(r.holders().empty());
    group.Cancel();
    const absl::Status waited = co_await group.Wait();
    EXPECT_TRUE(waited.ok());
    EXPECT_EQ(told, (std::vector<Pressure>{Pressure::kHigh, Pressure::kNone}));
  }(runtime));
}

// A runtime that has slept for long takes what wakes it for new.
TEST(PressureTest, WhatEndsALongWaitIsNotOld) {
  Runtime runtime = NewRuntime(Options({}));
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Stream stream = *Stream::Adopt(runtime, ends[0]);
  std::chrono::steady_clock::time_point sent_at;
  std::thread sender([&] {
    std::this_thread::sleep_for(milliseconds(50));
    sent_at = std::chrono::steady_clock::now();
    EXPECT_EQ(send(ends[1], "x", 1, MSG_NOSIGNAL), 1);
  });
  Buffer held;
  RunToEnd(runtime, [](Stream& s, Buffer* out) -> Task<void> {
    absl::StatusOr<Buffer> data = co_await s.Receive();
    EXPECT_TRUE(data.ok() && !data->empty());
    if (data.ok()) *out = *std::move(data);
  }(stream, &held));
  sender.join();
  const std::vector<BufferHolder> holders = runtime.holders();
  ASSERT_EQ(holders.size(), 1u);
  EXPECT_LE(holders[0].oldest_age, std::chrono::steady_clock::now() - sent_at);
  close(ends[1]);
}

}  // namespace
}  // namespace zcrx
