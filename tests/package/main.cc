// SPDX-License-Identifier: Apache-2.0
//
// A program of a user: says what the kernel can do, and echoes once over the
// loopback interface, with the public headers alone.
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "zcrx/zcrx.h"

namespace {

constexpr std::string_view kGreeting = "hello, zcrx";

zcrx::Task<absl::Status> EchoOnce(zcrx::Listener& listener) {
  absl::StatusOr<zcrx::Stream> peer = co_await listener.Accept();
  if (!peer.ok()) co_return peer.status();
  absl::StatusOr<zcrx::BufferChain> data = co_await peer->ReceiveBatch();
  if (!data.ok()) co_return data.status();
  co_return co_await peer->SendAll(*std::move(data));
}

// Receives to the end of the stream.
zcrx::Task<absl::StatusOr<std::string>> Ask(zcrx::Runtime& runtime, zcrx::SocketAddress address) {
  absl::StatusOr<zcrx::Stream> stream = co_await zcrx::Connect(runtime, address);
  if (!stream.ok()) co_return stream.status();
  const absl::Status sent = co_await stream->SendAll(std::as_bytes(std::span(kGreeting)));
  if (!sent.ok()) co_return sent;
  std::string answer;
  while (true) {
    absl::StatusOr<zcrx::Buffer> data = co_await stream->Receive();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return answer;
    answer += data->text();
  }
}

zcrx::Task<void> Serve(zcrx::Listener& listener, absl::Status& result) {
  result = co_await EchoOnce(listener);
}

zcrx::Task<void> Client(zcrx::Runtime& runtime, zcrx::SocketAddress address,
                        absl::StatusOr<std::string>& result) {
  result = co_await Ask(runtime, address);
}

absl::StatusOr<std::string> Echo() {
  absl::StatusOr<zcrx::SocketAddress> any_port = zcrx::SocketAddress::Parse("127.0.0.1:0");
  if (!any_port.ok()) return any_port.status();
  absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create({});
  if (!runtime.ok()) return runtime.status();
  absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Create(*runtime, *any_port);
  if (!listener.ok()) return listener.status();

  absl::Status served;
  absl::StatusOr<std::string> answer;
  runtime->Spawn(Serve(*listener, served));
  runtime->Spawn(Client(*runtime, listener->address(), answer));
  const absl::Status ran = runtime->Run();
  if (!ran.ok()) return ran;
  if (!served.ok()) return served;
  return answer;
}

}  // namespace

int main() {
  std::cout << "zcrx " << ZCRX_VERSION << ": " << zcrx::ProbeKernel().Describe() << "\n";
  const absl::StatusOr<std::string> answer = Echo();
  if (!answer.ok()) {
    std::cerr << "user: " << answer.status().ToString() << "\n";
    return EXIT_FAILURE;
  }
  if (*answer != kGreeting) {
    std::cerr << "user: got \"" << *answer << "\"\n";
    return EXIT_FAILURE;
  }
  std::cout << "echo: " << *answer << "\n";
  return EXIT_SUCCESS;
}
