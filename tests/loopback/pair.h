// SPDX-License-Identifier: Apache-2.0
//
// Helpers of the tests that run on the loopback interface.
#ifndef ZCRX_TESTS_LOOPBACK_PAIR_H_
#define ZCRX_TESTS_LOOPBACK_PAIR_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "zcrx/zcrx.h"

namespace zcrx {

inline Runtime NewRuntime(RuntimeOptions options = {}) {
  absl::StatusOr<Runtime> runtime = Runtime::Create(options);
  if (!runtime.ok()) {
    ADD_FAILURE() << runtime.status();
    std::abort();
  }
  return *std::move(runtime);
}

inline SocketAddress LoopbackAddress(uint16_t port = 0) {
  return *SocketAddress::Parse("127.0.0.1:" + std::to_string(port));
}

struct StreamPair {
  Stream client;
  Stream server;
};

// Two connected streams of one runtime.
inline Task<StreamPair> ConnectPair(Runtime& runtime) {
  absl::StatusOr<Listener> listener = Listener::Create(runtime, LoopbackAddress());
  EXPECT_TRUE(listener.ok()) << listener.status();
  absl::StatusOr<Stream> client = co_await Connect(runtime, listener->address());
  EXPECT_TRUE(client.ok()) << client.status();
  absl::StatusOr<Stream> server = co_await listener->Accept();
  EXPECT_TRUE(server.ok()) << server.status();
  StreamPair pair;
  pair.client = *std::move(client);
  pair.server = *std::move(server);
  co_return pair;
}

// Byte `index` of the test pattern.
inline std::byte PatternByte(uint64_t index) { return static_cast<std::byte>((index * 2654435761u) >> 13); }

inline std::string Pattern(uint64_t start, size_t count) {
  std::string bytes(count, 0);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(PatternByte(start + i));
  return bytes;
}

inline std::span<const std::byte> AsBytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// Receives until the end of the stream; all bytes.
inline Task<absl::StatusOr<std::string>> ReceiveAll(Stream& stream) {
  std::string all;
  while (true) {
    absl::StatusOr<Buffer> data = co_await stream.Receive();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return all;
    all += data->text();
  }
}

// Runs `task` to its end; the test fails if it does not end by itself.
inline void RunToEnd(Runtime& runtime, Task<void> task) {
  runtime.Spawn(std::move(task));
  const absl::Status status = runtime.Run();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runtime.task_count(), 0u);
}

}  // namespace zcrx

#endif  // ZCRX_TESTS_LOOPBACK_PAIR_H_
