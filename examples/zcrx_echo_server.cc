// SPDX-License-Identifier: Apache-2.0
//
// Echoes TCP: received without a copy where that is possible, and sent back out
// of the same memory.
//
//   zcrx_echo_server --interface=eth0 --queue=1 --port=5001
//
// Once it serves it prints one line, for scripts to wait for:
//   listening on 10.0.0.1:5001 receive path: zero-copy because ...
// then one line per --stats_interval, and on SIGINT or SIGTERM a summary.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "examples/command_line.h"
#include "examples/serving.h"
#include "zcrx/zcrx.h"

ABSL_FLAG(std::string, interface, "",
          "interface to receive from without a copy; none: what was inherited (zcrxctl run), else copy");
ABSL_FLAG(uint32_t, queue, 1, "rx queue of --interface; a flow rule is to steer --port into it");
ABSL_FLAG(std::string, address, "*", "numeric address to listen on; * is any, IPv4 and IPv6");
ABSL_FLAG(uint16_t, port, 5001, "TCP port to listen on; 0 takes a free one");
ABSL_FLAG(std::string, mode, "auto", "auto, zero-copy (fail if it cannot be had) or copy");
ABSL_FLAG(
    std::string, completion, "auto",
    "ring by which the kernel tells of received bytes: auto, main_cq or rbuf (fail or copy without it)");
ABSL_FLAG(uint32_t, region_mib, 64, "memory the NIC writes payload into, in MiB");
ABSL_FLAG(std::string, pages, "normal", "pages of that memory: normal, thp or huge");
ABSL_FLAG(uint32_t, zero_copy_send_bytes, 16384, "sends of so many bytes and more are not copied");
ABSL_FLAG(uint32_t, completion_entries, 8192, "entries of the completion queue");
ABSL_FLAG(absl::Duration, stats_interval, absl::Seconds(1), "time between two lines; 0 prints none");

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t g_stop = 0;
zcrx::Runtime* g_runtime = nullptr;  // set while signals are caught

void OnSignal(int) {
  g_stop = 1;
  g_runtime->Stop();  // wakes the loop
}

struct Connections {
  uint64_t accepted = 0;
  uint64_t open = 0;
  uint64_t failed = 0;
  // Of those that have ended.
  uint64_t bytes_sent = 0;
  uint64_t bytes_sent_zero_copy = 0;
  uint64_t bytes_sent_fixed = 0;
  absl::Status accept_error;
};

zcrx::Task<absl::Status> EchoUntilEnd(zcrx::Stream& peer) {
  while (true) {
    absl::StatusOr<zcrx::BufferChain> data = co_await peer.ReceiveBatch();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return peer.Shutdown(zcrx::Stream::Direction::kSend);
    absl::Status sent = co_await peer.SendAll(*std::move(data));
    if (!sent.ok()) co_return sent;
  }
}

zcrx::Task<void> Serve(zcrx::Stream peer, Connections& connections) {
  ++connections.accepted;
  ++connections.open;
  const absl::Status status = co_await EchoUntilEnd(peer);
  --connections.open;
  connections.bytes_sent += peer.stats().bytes_sent;
  connections.bytes_sent_zero_copy += peer.stats().bytes_sent_zero_copy;
  connections.bytes_sent_fixed += peer.stats().bytes_sent_fixed;
  if (status.ok() || absl::IsCancelled(status)) co_return;
  ++connections.failed;
  absl::FPrintF(stderr, "zcrx_echo_server: a connection ended: %s\n", std::string(status.message()));
}

zcrx::Task<void> Accept(zcrx::Runtime& runtime, zcrx::Listener listener, Connections& connections) {
  while (true) {
    absl::StatusOr<zcrx::Stream> peer = co_await listener.Accept();
    if (!peer.ok()) {
      if (!absl::IsCancelled(peer.status())) connections.accept_error = peer.status();
      co_return;
    }
    runtime.Spawn(Serve(*std::move(peer), connections));
  }
}

// CPU time of this thread, which does all the work of the runtime.
double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// What changes between two lines.
struct Sample {
  explicit Sample(const zcrx::Runtime& runtime) : stats(runtime.stats()) {}

  Clock::time_point time = Clock::now();
  double cpu_seconds = CpuSeconds();
  zcrx::RuntimeStats stats;
};

void PrintLine(const Sample& last, const Sample& now, const Connections& connections) {
  const double seconds = std::chrono::duration<double>(now.time - last.time).count();
  const auto rate = [&](uint64_t before, uint64_t after) {
    return static_cast<double>(after - before) / seconds;
  };
  absl::PrintF("%d connections, %.1f MiB/s, %.0f fragments/s, cpu %.0f%%", connections.open,
               rate(last.stats.bytes_received, now.stats.bytes_received) / (1 << 20),
               rate(last.stats.fragments_received, now.stats.fragments_received),
               100 * (now.cpu_seconds - last.cpu_seconds) / seconds);
  if (now.stats.interface_queue.has_value()) {
    absl::PrintF(", %d of %d pieces out", now.stats.interface_queue->buffers_out,
                 now.stats.interface_queue->pool_pieces);
  }
  absl::PrintF("\n");
  fflush(stdout);
}

void PrintSummary(const Sample& start, const Sample& end, const Connections& connections, uint64_t open) {
  const zcrx::RuntimeStats& stats = end.stats;
  const double seconds = std::chrono::duration<double>(end.time - start.time).count();
  const double cpu_seconds = end.cpu_seconds - start.cpu_seconds;
  const double gib = static_cast<double>(stats.bytes_received) / (1 << 30);
  absl::PrintF(
      "summary: connections=%d failed=%d open_at_end=%d seconds=%.3f cpu_seconds=%.3f "
      "cpu_seconds_per_gib=%.3f\n",
      connections.accepted, connections.failed, open, seconds, cpu_seconds,
      gib > 0 ? cpu_seconds / gib : 0.0);
  absl::PrintF(
      "summary: bytes_received=%d fragments_received=%d bytes_sent=%d bytes_sent_zero_copy=%d "
      "bytes_sent_fixed=%d\n",
      stats.bytes_received, stats.fragments_received, connections.bytes_sent,
      connections.bytes_sent_zero_copy, connections.bytes_sent_fixed);
  if (stats.copied_bytes.has_value() && stats.copied_fragments.has_value()) {
    absl::PrintF("summary: bytes_zero_copy=%d bytes_copied=%d fragments_zero_copy=%d fragments_copied=%d\n",
                 stats.bytes_received - *stats.copied_bytes, *stats.copied_bytes,
                 stats.fragments_received - *stats.copied_fragments, *stats.copied_fragments);
  } else {
    absl::PrintF("summary: bytes_copied=unknown fragments_copied=unknown (the kernel does not count them)\n");
  }
  absl::PrintF("summary: rearms_no_space=%d rearms_no_buffer=%d completion_overflows=%d turns=%d\n",
               stats.rearms_no_space, stats.rearms_no_buffer, stats.completion_overflows, stats.turns);
  absl::PrintF("summary: completions=%d receive_completions=%d completion_bytes=%d\n", stats.completions,
               stats.receive_completions, stats.completion_bytes);
  fflush(stdout);
}

zcrx::CompletionRing CompletionRingFromFlags() {
  const std::string name = absl::GetFlag(FLAGS_completion);
  if (name == "main_cq") return zcrx::CompletionRing::kMainCq;
  if (name == "rbuf") return zcrx::CompletionRing::kRbufRing;
  if (name != "auto")
    WrongUsage(absl::StrCat("--completion is to be auto, main_cq or rbuf, not \"", name, "\""));
  return zcrx::CompletionRing::kAuto;
}

zcrx::RuntimeOptions OptionsFromFlags() {
  zcrx::RuntimeOptions options;
  options.completion_entries = absl::GetFlag(FLAGS_completion_entries);
  options.zero_copy_send_bytes = absl::GetFlag(FLAGS_zero_copy_send_bytes);
  options.mode = ReadMode(absl::GetFlag(FLAGS_mode));

  zcrx::PoolOptions pool = {.bytes = size_t{absl::GetFlag(FLAGS_region_mib)} << 20};
  const std::string pages = absl::GetFlag(FLAGS_pages);
  if (pages == "thp") {
    pool.pages = zcrx::PoolPages::kTransparentHuge;
  } else if (pages == "huge") {
    pool.pages = zcrx::PoolPages::kHuge;
  } else if (pages != "normal") {
    WrongUsage(absl::StrCat("--pages is to be normal, thp or huge, not \"", pages, "\""));
  }
  if (const std::string interface = absl::GetFlag(FLAGS_interface); !interface.empty()) {
    options.interface_queue = {.interface = interface,
                               .rx_queue = absl::GetFlag(FLAGS_queue),
                               .pool = pool,
                               .completion = CompletionRingFromFlags()};
  } else if (HasInheritedQueues()) {
    options.interface_queue = {.inherited = 0};
  }
  return options;
}

// Turns the runtime until a signal comes or something fails.
absl::Status Turn(zcrx::Runtime& runtime, const Connections& connections) {
  const auto interval = absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_stats_interval));
  Sample last(runtime);
  while (g_stop == 0) {
    const bool lines = interval.count() > 0;
    const auto wait = lines ? last.time + interval - Clock::now() : std::chrono::hours(1);
    if (absl::Status status = runtime.RunOnce(std::max(wait, Clock::duration::zero())); !status.ok())
      return status;
    if (!connections.accept_error.ok()) return connections.accept_error;
    if (!lines || Clock::now() - last.time < interval) continue;
    const Sample now(runtime);
    PrintLine(last, now, connections);
    last = now;
  }
  return absl::OkStatus();
}

absl::Status Serve() {
  const zcrx::SocketAddress address = ReadAddress(absl::GetFlag(FLAGS_address), absl::GetFlag(FLAGS_port));
  Connections connections;  // the tasks of the runtime use it until the runtime is gone
  absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(OptionsFromFlags());
  if (!runtime.ok()) return runtime.status();
  absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Create(*runtime, address);
  if (!listener.ok()) return listener.status();
  g_runtime = &*runtime;
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);

  PrintListening(listener->address(), runtime->receive_path());

  const Sample start(*runtime);
  runtime->Spawn(Accept(*runtime, *std::move(listener), connections));
  const absl::Status status = Turn(*runtime, connections);
  const Sample end(*runtime);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  const uint64_t open = connections.open;
  runtime = absl::CancelledError();  // ends the runtime, and with it all tasks, which count what they sent
  PrintSummary(start, end, connections, open);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Echoes TCP, received without a copy where that is possible.");
  const absl::Status status = Serve();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "zcrx_echo_server: %s\n", std::string(status.message()));
  return 1;
}
