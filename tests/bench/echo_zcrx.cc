// SPDX-License-Identifier: Apache-2.0
//
// Echoes by zcrx, on the copy path: the loopback interface has no queue to receive
// from without a copy.
#include <utility>

#include "tests/bench/echo_server.h"
#include "zcrx/zcrx.h"

namespace {

using zcrx::bench::CheckCall;

zcrx::Task<void> Echo(zcrx::Stream peer) {
  while (true) {
    absl::StatusOr<zcrx::BufferChain> data = co_await peer.ReceiveBatch();
    if (!data.ok() || data->empty()) co_return;
    const absl::Status sent = co_await peer.SendAll(*std::move(data));
    if (!sent.ok()) co_return;
  }
}

zcrx::Task<void> Accept(zcrx::Runtime& runtime, zcrx::Listener listener) {
  while (true) {
    absl::StatusOr<zcrx::Stream> peer = co_await listener.Accept();
    if (!peer.ok()) co_return;
    runtime.Spawn(Echo(*std::move(peer)));
  }
}

}  // namespace

int main() {
  zcrx::RuntimeOptions options;
  options.mode = zcrx::ReceiveMode::kCopy;
  options.copy_pool.buffer_bytes = zcrx::bench::kReadBytes;
  absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
  CheckCall(runtime.ok(), "zcrx::Runtime");
  absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Adopt(*runtime, zcrx::bench::Listen());
  CheckCall(listener.ok(), "zcrx::Listener");
  runtime->Spawn(Accept(*runtime, *std::move(listener)));
  return runtime->Run().ok() ? 0 : 1;
}
