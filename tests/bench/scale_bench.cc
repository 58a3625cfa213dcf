// SPDX-License-Identifier: Apache-2.0
//
// What connections, timers, threads and starting cost a program, one line of JSON
// for each figure. What a buffer costs is library_count's and library_bench's.
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <initializer_list>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/echo_server.h"
#include "tests/bench/receiver.h"
#include "zcrx/zcrx.h"

namespace zcrx::bench {
namespace {

using Clock = std::chrono::steady_clock;

void Print(const char* what, size_t count, const char* unit, double value) {
  printf("{\"what\": \"%s\", \"count\": %zu, \"unit\": \"%s\", \"value\": %.3f}\n", what, count, unit, value);
}

double Nanoseconds(Clock::duration time) { return std::chrono::duration<double, std::nano>(time).count(); }

// In use by this process; its arenas all together.
double HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

Runtime NewRuntime() {
  RuntimeOptions options;
  options.mode = ReceiveMode::kCopy;
  options.copy_pool = {.bytes = 1 << 20};
  absl::StatusOr<Runtime> runtime = Runtime::Create(options);
  CheckCall(runtime.ok(), "zcrx::Runtime");
  return *std::move(runtime);
}

void Turn(Runtime& runtime) { CheckCall(runtime.RunOnce({}).ok(), "RunOnce"); }

// --- Connections ------------------------------------------------------------------------

// As a server has it: it waits for the next message, but not for ever.
Task<void> WaitForMessage(Stream peer) {
  const auto data = co_await WithTimeout(std::chrono::hours(1), peer.ReceiveBatch());
  (void)data;  // there is none, before the runtime ends
}

void MeasureConnections(size_t count) {
  Runtime runtime = NewRuntime();
  std::vector<int> ends;
  const auto connect = [&](size_t connections) {
    for (size_t i = 0; i < connections; ++i) {
      // A descriptor each, but a socket for many, as a process may not have that many descriptors. What they
      // cost the kernel is not looked at.
      if (i % 100 == 0) {
        std::array<int, 2> sockets = {-1, -1};
        CheckCall(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0, "socketpair");
        ends.insert(ends.end(), sockets.begin(), sockets.end());
      }
      absl::StatusOr<Stream> stream = Stream::Adopt(runtime, dup(ends.end()[-2]));
      CheckCall(stream.ok(), "Stream::Adopt");
      runtime.Spawn(WaitForMessage(*std::move(stream)));
    }
    Turn(runtime);
  };
  ends.reserve(1000);
  // What is there once is not the connections'.
  connect(1);
  const double before = HeapBytes();
  connect(count);
  Print("idle connection", count, "bytes of heap", (HeapBytes() - before) / static_cast<double>(count));
  for (const int fd : ends) close(fd);
}

// --- Timers -----------------------------------------------------------------------------

Task<void> SleepFor(std::chrono::nanoseconds time) {
  const absl::Status slept = co_await Sleep(time);
  (void)slept;
}

void MeasureSleepers(size_t count) {
  Runtime runtime = NewRuntime();
  const double before = HeapBytes();
  for (size_t i = 0; i < count; ++i) runtime.Spawn(SleepFor(std::chrono::hours(1)));
  Turn(runtime);
  Print("sleeping task", count, "bytes of heap", (HeapBytes() - before) / static_cast<double>(count));
}

void MeasureTimers(size_t count) {
  Runtime runtime = NewRuntime();
  const auto start = Clock::now();
  // In an order that is not theirs, and over about when the last one begins.
  for (size_t i = 0; i < count; ++i) runtime.Spawn(SleepFor(std::chrono::nanoseconds(i * 7919 % count)));
  CheckCall(runtime.Run().ok(), "Run");
  Print("sleeping task", count, "ns from Spawn() to its end",
        Nanoseconds(Clock::now() - start) / static_cast<double>(count));
}

// --- Threads ----------------------------------------------------------------------------

double ThreadSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A queue, a runtime and a thread each, which have nothing in common.
void MeasureThreads(size_t count) {
  constexpr uint64_t kTurns = 5000;
  std::vector<double> seconds(count);
  std::latch ready(static_cast<ptrdiff_t>(count));
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      const Traffic traffic = {.rbuf = true, .streams = 100, .pass = 16, .batch = 64, .pieces = 1024};
      const auto receiver = MakeReceiver("batch", traffic);
      receiver->Run(1000);
      ready.arrive_and_wait();
      const double start = ThreadSeconds();
      receiver->Run(kTurns);
      seconds[i] = ThreadSeconds() - start;
    });
  }
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const double one : seconds) sum += one;
  Print("thread with a queue", count, "ns of its CPU for a buffer, with the synthetic kernel's part",
        sum / static_cast<double>(count * kTurns * 64) * 1e9);
}

// --- The beginning ----------------------------------------------------------------------

Task<void> ReceiveOne(Listener& listener) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  CheckCall(peer.ok(), "Accept");
  const absl::StatusOr<Buffer> data = co_await peer->Receive();
  CheckCall(data.ok() && data->size() == 1, "Receive");
}

void MeasureStart() {
  const auto start = Clock::now();
  Runtime runtime = NewRuntime();
  absl::StatusOr<Listener> listener = Listener::Create(runtime, *SocketAddress::Parse("127.0.0.1:0"));
  CheckCall(listener.ok(), "Listener");
  const auto listening = Clock::now();
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const SocketAddress address = listener->address();
  CheckCall(connect(client, address.get(), address.length()) == 0 && send(client, "x", 1, 0) == 1, "client");
  runtime.Spawn(ReceiveOne(*listener));
  CheckCall(runtime.Run().ok(), "Run");
  const auto received = Clock::now();
  close(client);
  Print("start", 1, "us until it listens", Nanoseconds(listening - start) / 1000);
  Print("start", 1, "us from there to the first byte", Nanoseconds(received - listening) / 1000);
}

}  // namespace
}  // namespace zcrx::bench

int main() {
  using namespace zcrx::bench;
  AllowManyFiles();
  // Each on a thread of its own, as threads keep memory for what comes next.
  const auto measure = [](void (*what)(size_t), std::initializer_list<size_t> counts) {
    for (const size_t count : counts) std::thread(what, count).join();
  };
  measure(MeasureConnections, {100, 1000, 10'000});
  measure(MeasureSleepers, {1000, 100'000});
  measure(MeasureTimers, {1000, 100'000});
  measure(MeasureThreads, {1, 2, 4});
  MeasureStart();
  return 0;
}
