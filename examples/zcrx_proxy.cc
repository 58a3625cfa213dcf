// SPDX-License-Identifier: Apache-2.0
//
// A TCP proxy: what arrives is sent on out of the memory that the NIC wrote it to,
// in both directions. User space copies nothing.
//
//   zcrx_proxy --interface=eth0 --queues=1 --port=5001 --backends=10.0.0.9:80,10.0.0.10:80
//
// A side that does not read stops the other: nothing more is received from a
// stream while what it brought has not been sent on, so that TCP closes its
// window. The end of either side's stream is passed on, and the other direction
// goes on. Backends take turns; one that does not answer is passed over.
//
// Once it serves it prints one line ("listening on ..."), then one per
// --stats_interval, and on SIGINT or SIGTERM it drains and prints a summary.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"
#include "examples/serving.h"
#include "zcrx/zcrx.h"

ABSL_FLAG(std::string, backends, "", "where to connect to: ADDRESS:PORT, or several with commas");
ABSL_FLAG(bool, proxy_protocol, false, "tell the backend who the client is (PROXY protocol, version 2)");
ABSL_FLAG(absl::Duration, connect_timeout, absl::Seconds(5), "give up on a client if no backend answers");
ABSL_FLAG(absl::Duration, stats_interval, absl::Seconds(1), "time between two lines; 0 prints none");

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using zcrx::Stream;

// Between two rounds of tries to connect.
constexpr auto kRetryPause = milliseconds(50);

struct Config {
  std::vector<zcrx::SocketAddress> backends;
  nanoseconds connect_timeout = {};
  bool proxy_protocol = false;
};

// Of connections that have ended. The threads of the server count.
struct Counts {
  std::atomic<uint64_t> next_backend = 0;
  std::atomic<uint64_t> ended = 0;
  std::atomic<uint64_t> no_backend = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<uint64_t> bytes_up = 0;    // from clients to backends
  std::atomic<uint64_t> bytes_down = 0;  // from backends to clients
  std::atomic<uint64_t> bytes_sent_in_place = 0;
};

// --- One connection --------------------------------------------------------------

// Passes all of one direction on, and then its end.
zcrx::Task<absl::Status> Forward(Stream& from, Stream& to) {
  while (true) {
    absl::StatusOr<zcrx::BufferChain> data = co_await from.ReceiveBatch();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return to.Shutdown(Stream::Direction::kSend);
    // Returns when the kernel has taken all of it: that is what holds up a fast side before a slow one.
    absl::Status sent = co_await to.SendAll(*std::move(data));
    if (!sent.ok()) co_return sent;
  }
}

// Tries one backend after the other, until the time is over.
zcrx::Task<absl::StatusOr<Stream>> ConnectToBackend(zcrx::Runtime& runtime, const Config& config,
                                                    Counts& counts) {
  const auto deadline = steady_clock::now() + config.connect_timeout;
  absl::Status last;
  do {
    for (size_t i = 0; i < config.backends.size(); ++i) {
      const zcrx::SocketAddress& address = config.backends[counts.next_backend++ % config.backends.size()];
      const nanoseconds left = std::max<nanoseconds>(deadline - steady_clock::now(), milliseconds(1));
      absl::StatusOr<Stream> backend = co_await zcrx::WithTimeout(left, zcrx::Connect(runtime, address));
      if (backend.ok()) co_return backend;
      last = backend.status();
    }
    absl::Status slept = co_await zcrx::Sleep(kRetryPause);
    if (!slept.ok()) co_return slept;
  } while (steady_clock::now() < deadline);
  co_return last;
}

// The header by which a backend learns the addresses: version 2, command PROXY, TCP.
std::string ProxyHeader(const zcrx::SocketAddress& client, const zcrx::SocketAddress& own) {
  constexpr std::array<char, 12> kSignature = {'\r', '\n', '\r', '\n', '\0', '\r',
                                               '\n', 'Q',  'U',  'I',  'T',  '\n'};
  std::string addresses;
  std::string ports;
  char family = 0x11;  // TCP over IPv4
  for (const zcrx::SocketAddress* address : {&client, &own}) {
    const uint16_t port = htons(address->port());
    ports.append(reinterpret_cast<const char*>(&port), sizeof(port));
    if (address->family() == AF_INET6) {
      family = 0x21;
      const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(address->get());
      addresses.append(reinterpret_cast<const char*>(&ipv6->sin6_addr), sizeof(ipv6->sin6_addr));
    } else {
      const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(address->get());
      addresses.append(reinterpret_cast<const char*>(&ipv4->sin_addr), sizeof(ipv4->sin_addr));
    }
  }
  const uint16_t length = htons(static_cast<uint16_t>(addresses.size() + ports.size()));
  std::string header(kSignature.data(), kSignature.size());
  header += {0x21, family};
  header.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return header + addresses + ports;
}

zcrx::Task<absl::Status> SendProxyHeader(const Stream& client, Stream& backend) {
  const absl::StatusOr<zcrx::SocketAddress> peer = client.peer_address();
  if (!peer.ok()) co_return peer.status();
  const absl::StatusOr<zcrx::SocketAddress> own = client.local_address();
  if (!own.ok()) co_return own.status();
  const std::string header = ProxyHeader(*peer, *own);
  absl::Status sent = co_await backend.SendAll(std::as_bytes(std::span(header)));
  co_return sent;
}

zcrx::Task<absl::Status> ForwardBoth(zcrx::Runtime& runtime, Stream& client, Stream& backend) {
  zcrx::TaskGroup directions(runtime, zcrx::TaskGroup::OnError::kCancelOthers);
  directions.Spawn(Forward(client, backend));
  directions.Spawn(Forward(backend, client));
  absl::Status status = co_await directions.Wait();
  co_return status;
}

zcrx::Task<void> Serve(zcrx::Runtime& runtime, Stream client, const Config& config, Counts& counts) {
  absl::StatusOr<Stream> backend = co_await ConnectToBackend(runtime, config, counts);
  if (!backend.ok()) {
    ++counts.no_backend;
    absl::FPrintF(stderr, "zcrx_proxy: no backend answers: %s\n", std::string(backend.status().message()));
    co_return;
  }
  absl::Status status;
  if (config.proxy_protocol) status = co_await SendProxyHeader(client, *backend);
  if (status.ok()) status = co_await ForwardBoth(runtime, client, *backend);
  ++counts.ended;
  if (!status.ok() && !absl::IsCancelled(status)) ++counts.failed;
  counts.bytes_up += client.stats().bytes_received;
  counts.bytes_down += backend->stats().bytes_received;
  counts.bytes_sent_in_place += client.stats().bytes_sent_zero_copy + backend->stats().bytes_sent_zero_copy;
}

// --- The whole -------------------------------------------------------------------

struct Sum {
  explicit Sum(const zcrx::Server& server) {
    for (const zcrx::ServerThreadStats& thread : server.stats()) {
      accepted += thread.accepted;
      open += thread.open;
      received += thread.runtime.bytes_received;
      copied_by_kernel += thread.runtime.copied_bytes.value_or(0);
      copied_known &= thread.runtime.copied_bytes.has_value();
      copied_in_user_space += thread.runtime.pressure.copied_out_bytes;
      pauses += thread.runtime.pressure.pauses;
      misplaced += thread.runtime.misplaced_streams;
    }
  }

  uint64_t accepted = 0;
  uint64_t open = 0;
  uint64_t received = 0;
  uint64_t copied_by_kernel = 0;
  bool copied_known = true;
  uint64_t copied_in_user_space = 0;
  uint64_t pauses = 0;
  uint64_t misplaced = 0;
};

void PrintSummary(const zcrx::Server& server, const Counts& counts) {
  const Sum sum(server);
  absl::PrintF("summary: connections=%d failed=%d no_backend=%d misplaced=%d\n", sum.accepted, counts.failed,
               counts.no_backend, sum.misplaced);
  absl::PrintF("summary: bytes_up=%d bytes_down=%d bytes_sent_in_place=%d\n", counts.bytes_up,
               counts.bytes_down, counts.bytes_sent_in_place);
  absl::PrintF("summary: bytes_copied_in_user_space=%d bytes_copied_by_kernel=%s pauses=%d\n",
               sum.copied_in_user_space, sum.copied_known ? absl::StrCat(sum.copied_by_kernel) : "unknown",
               sum.pauses);
}

Config ConfigFromFlags() {
  Config config = {.backends = {},
                   .connect_timeout = absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_connect_timeout)),
                   .proxy_protocol = absl::GetFlag(FLAGS_proxy_protocol)};
  for (const auto backend : absl::StrSplit(absl::GetFlag(FLAGS_backends), ',', absl::SkipEmpty()))
    config.backends.push_back(ReadAddress(std::string(backend), "--backends"));
  if (config.backends.empty()) WrongUsage("--backends is to name at least one ADDRESS:PORT");
  return config;
}

// Prints a line now and then, until one of the signals comes.
void WaitForSignal(const sigset_t& signals, const zcrx::Server& server) {
  const absl::Duration interval = absl::GetFlag(FLAGS_stats_interval);
  const timespec wait = absl::ToTimespec(interval > absl::ZeroDuration() ? interval : absl::Hours(1));
  uint64_t before = 0;
  while (sigtimedwait(&signals, nullptr, &wait) < 0) {
    if (interval <= absl::ZeroDuration()) continue;
    const Sum sum(server);
    absl::PrintF("%d connections, %.1f MiB/s received, %d bytes copied by the kernel\n", sum.open,
                 static_cast<double>(sum.received - before) / (1 << 20) / absl::ToDoubleSeconds(interval),
                 sum.copied_by_kernel);
    fflush(stdout);
    before = sum.received;
  }
}

absl::Status Run() {
  const Config config = ConfigFromFlags();
  Counts counts;
  const sigset_t signals = BlockEndingSignals();

  absl::StatusOr<zcrx::Server> server = zcrx::Server::Start(
      ServerOptionsFromFlags(), [&config, &counts](zcrx::Runtime& runtime, Stream client) {
        return Serve(runtime, std::move(client), config, counts);
      });
  if (!server.ok()) return server.status();
  PrintListening(server->address(), server->stats().front().receive_path);
  WaitForSignal(signals, *server);
  const absl::Status drained = Drain(*server);
  PrintSummary(*server, counts);
  return drained;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Forwards TCP connections without a copy in user space.");
  const absl::Status status = Run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "zcrx_proxy: %s\n", std::string(status.message()));
  return 1;
}
