// SPDX-License-Identifier: Apache-2.0
//
// zcrx inside the loop of a program that has one already: here epoll(7), with a
// timerfd and a signalfd as the program's own. zcrx echoes TCP beside them. All
// that it needs of the loop is in Loop(): its descriptor is watched like any
// other, and RunOnce(0) called whenever that is readable.
//
//   embed_epoll --interface=eth0 --queue=1 --port=5002
//
// Once it serves it prints one line, for scripts to wait for:
//   listening on 10.0.0.1:5002 receive path: zero-copy because ...
// then one line per --tick, and on SIGINT or SIGTERM a summary.
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

ABSL_FLAG(std::string, interface, "", "interface to receive from without a copy; none: copy");
ABSL_FLAG(uint32_t, queue, 1, "rx queue of --interface; a flow rule is to steer --port into it");
ABSL_FLAG(uint16_t, port, 5002, "TCP port to listen on; 0 takes a free one");
ABSL_FLAG(absl::Duration, tick, absl::Seconds(1), "time between two lines; 0 prints none");

namespace {

// --- The part of zcrx ------------------------------------------------------------

struct Counts {
  uint64_t connections = 0;
  uint64_t open = 0;
  uint64_t bytes_echoed = 0;
  absl::Status accept_error;
};

zcrx::Task<void> Echo(zcrx::Stream peer, Counts& counts) {
  ++counts.connections;
  ++counts.open;
  while (true) {
    absl::StatusOr<zcrx::BufferChain> data = co_await peer.ReceiveBatch();
    if (!data.ok() || data->empty()) break;
    const size_t bytes = data->size();
    const absl::Status sent = co_await peer.SendAll(*std::move(data));
    if (!sent.ok()) break;
    counts.bytes_echoed += bytes;
  }
  --counts.open;
}

zcrx::Task<void> Accept(zcrx::Runtime& runtime, zcrx::Listener listener, Counts& counts) {
  while (true) {
    absl::StatusOr<zcrx::Stream> peer = co_await listener.Accept();
    if (!peer.ok()) {
      if (!absl::IsCancelled(peer.status())) counts.accept_error = peer.status();
      co_return;
    }
    runtime.Spawn(Echo(*std::move(peer), counts));
  }
}

// --- The program's own -----------------------------------------------------------

// Closes a descriptor at the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

absl::Status SetTicks(int timer) {
  const timespec interval = absl::ToTimespec(absl::GetFlag(FLAGS_tick));
  const itimerspec setting = {.it_interval = interval, .it_value = interval};  // all 0: never
  return zcrx::ErrnoStatus(timerfd_settime(timer, 0, &setting, nullptr) == 0 ? 0 : errno, "--tick");
}

void PrintTick(int timer, const Counts& counts) {
  uint64_t ticks;
  if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks)) return;
  absl::PrintF("%d connections, %d bytes echoed\n", counts.open, counts.bytes_echoed);
  fflush(stdout);
}

absl::Status Watch(int epoll, int fd) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return zcrx::ErrnoStatus(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno, "epoll_ctl");
}

// Until a signal comes or something fails.
absl::Status Loop(zcrx::Runtime& runtime, const Counts& counts) {
  const sigset_t ending = EndingSignals();
  const Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  const Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const Descriptor signals(signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  absl::Status status = SetTicks(timer.get());
  for (const int fd : {timer.get(), signals.get(), runtime.event_fd()}) {
    if (status.ok()) status = Watch(epoll.get(), fd);
  }
  while (status.ok()) {
    std::array<epoll_event, 3> events;
    const int count = epoll_wait(epoll.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) return zcrx::ErrnoStatus(errno, "epoll_wait");
    for (int i = 0; i < count && status.ok(); ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == signals.get()) return absl::OkStatus();
      if (fd == timer.get()) {
        PrintTick(timer.get(), counts);
      } else {
        status = runtime.RunOnce(std::chrono::nanoseconds(0));  // never blocks
        status.Update(counts.accept_error);
      }
    }
  }
  return status;
}

absl::Status Serve() {
  zcrx::RuntimeOptions options;
  if (const std::string interface = absl::GetFlag(FLAGS_interface); !interface.empty()) {
    options.interface_queue = {.interface = interface, .rx_queue = absl::GetFlag(FLAGS_queue)};
  }
  absl::StatusOr<zcrx::SocketAddress> address =
      zcrx::SocketAddress::Parse(absl::StrCat(":", absl::GetFlag(FLAGS_port)));
  if (!address.ok()) return address.status();
  Counts counts;  // the tasks of the runtime use it until the runtime is gone
  absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
  if (!runtime.ok()) return runtime.status();
  absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Create(*runtime, *address);
  if (!listener.ok()) return listener.status();

  PrintListening(listener->address(), runtime->receive_path());

  runtime->Spawn(Accept(*runtime, *std::move(listener), counts));
  const absl::Status status = Loop(*runtime, counts);
  absl::PrintF("summary: connections=%d bytes_echoed=%d open_at_end=%d\n", counts.connections,
               counts.bytes_echoed, counts.open);
  fflush(stdout);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Echoes TCP from inside an epoll loop that has other things to do.");
  // Blocked before anything else, so that they come by the signalfd only.
  const sigset_t ending = EndingSignals();
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  const absl::Status status = Serve();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "embed_epoll: %s\n", std::string(status.message()));
  return 1;
}
