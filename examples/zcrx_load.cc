// SPDX-License-Identifier: Apache-2.0
//
// Loads an echo server and checks what comes back, byte for byte. Plain sockets
// and epoll, nothing of zcrx: a bug in the library cannot hide itself here.
//
// The bytes of a connection are a function of the seed, the connection's number
// and the position in the stream, so an echo that is lost, doubled, reordered or
// of another connection is seen at its first byte. At the end each connection is
// half-closed, and the server has to echo the rest and close in turn.
//
// Exit status: 0 all came back as sent, 1 it did not, 2 wrong usage.
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "examples/command_line.h"
#include "examples/content.h"

ABSL_FLAG(std::string, address, "127.0.0.1", "numeric IPv4 or IPv6 address of the server");
ABSL_FLAG(uint16_t, port, 5001, "TCP port of the server");
ABSL_FLAG(uint32_t, connections, 1, "connections, all at the same time");
ABSL_FLAG(std::string, message_bytes, "65536", "size of a message, or \"MIN-MAX\" for random sizes");
ABSL_FLAG(uint32_t, window, 4, "messages in flight on each connection; 1 is request and response");
ABSL_FLAG(uint64_t, total_bytes, 64 << 20, "bytes to send, over all connections; not used with --duration");
ABSL_FLAG(absl::Duration, duration, absl::ZeroDuration(), "send for so long (\"10s\") instead");
ABSL_FLAG(absl::Duration, stall_timeout, absl::Seconds(30), "give up if nothing comes back for so long");
ABSL_FLAG(absl::Duration, pause, absl::ZeroDuration(),
          "each connection stops reading now and then, for a random time of up to so long");
ABSL_FLAG(uint64_t, seed, 1, "seed of the content and of random sizes");
ABSL_FLAG(bool, json, false, "print the result as one line of JSON");

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kBytesBetweenPauses = 8 << 20;  // at most
constexpr size_t kChunkBytes = 64 << 10;           // what is generated, sent, read and checked at a time

// Percentiles of durations: exact up to a million, of a fair sample of a million beyond.
class Latencies {
 public:
  void Add(Clock::duration duration) {
    max_ = std::max(max_, duration);
    const uint64_t place = count_ < kSamples ? count_ : RandomWord(0, count_) % count_;
    ++count_;
    if (place == samples_.size()) samples_.push_back(duration);
    if (place < kSamples) samples_[place] = duration;
  }
  // Percentiles 50, 90, 99 and 99.9 and the maximum, in microseconds.
  std::array<double, 5> Summary() {
    std::sort(samples_.begin(), samples_.end());
    std::array<double, 5> result = {0.5, 0.9, 0.99, 0.999, 1};
    for (double& value : result) {
      const auto at = static_cast<size_t>(value * static_cast<double>(samples_.size()));
      const auto duration = at < samples_.size() ? samples_[at] : max_;
      value = std::chrono::duration<double, std::micro>(duration).count();
    }
    return result;
  }
  uint64_t count() const { return count_; }

 private:
  static constexpr uint64_t kSamples = 1 << 20;
  std::vector<Clock::duration> samples_;
  uint64_t count_ = 0;
  Clock::duration max_ = Clock::duration::zero();
};

struct Plan {
  sockaddr_storage address = {};
  socklen_t address_length = 0;
  uint64_t min_message = 0;
  uint64_t max_message = 0;
  uint32_t window = 0;
  uint64_t seed = 0;
  Clock::duration pause = {};                             // the longest
  Clock::time_point deadline = Clock::time_point::max();  // no new messages after it
};

class Connection {
 public:
  Connection(const Plan& plan, uint32_t number, uint64_t bytes, int epoll, Latencies& latencies)
      : plan_(plan), number_(number), share_(bytes), epoll_(epoll), latencies_(latencies) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { Close(); }

  void Connect() {
    fd_ = socket(plan_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return Fail(absl::StrCat("socket: ", strerror(errno)));
    const int on = 1;
    (void)setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&plan_.address), plan_.address_length) != 0 &&
        errno != EINPROGRESS) {
      return Fail(absl::StrCat("connect: ", strerror(errno)));
    }
    epoll_event event = {.events = interest_, .data = {.ptr = this}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event) != 0) Fail(absl::StrCat("epoll: ", strerror(errno)));
  }

  bool done() const { return fd_ < 0; }
  bool failed() const { return failed_; }
  uint64_t checked() const { return checked_; }

  void OnReady(uint32_t events) {
    if ((events & ~uint32_t{EPOLLOUT}) != 0) Receive();
    if (!done()) Send();
  }

  // Reads again, if a pause is over.
  void EndPause(Clock::time_point now) {
    if (done() || !paused() || now < paused_until_) return;
    paused_until_ = {};
    Want(interest_ | EPOLLIN);
  }

  // Ends the connection with an error, which is printed.
  void Fail(const std::string& why) {
    absl::FPrintF(stderr, "zcrx_load: connection %d: %s (%d bytes sent, %d came back right)\n", number_, why,
                  sent_, checked_);
    failed_ = true;
    Close();
  }

 private:
  struct Message {
    uint64_t end;
    Clock::time_point start;
  };

  bool paused() const { return paused_until_ != Clock::time_point(); }

  // Stops reading every few megabytes.
  void PauseNowAndThen(Clock::time_point now) {
    if (plan_.pause == Clock::duration::zero() || checked_ < next_pause_) return;
    const uint64_t word = RandomWord(seed_, checked_);
    next_pause_ = checked_ + 1 + word % kBytesBetweenPauses;
    paused_until_ = now + plan_.pause * static_cast<int64_t>(word % 1000) / 1000;
    Want(interest_ & ~uint32_t{EPOLLIN});
  }

  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  // Begins as many messages as the window and the plan allow.
  void BeginMessages() {
    while (in_flight_.size() < plan_.window && begun_ < share_) {
      const auto now = Clock::now();
      if (now >= plan_.deadline) return void(share_ = begun_);
      const uint64_t spread = plan_.max_message - plan_.min_message + 1;
      const uint64_t size = plan_.min_message + RandomWord(size_seed_, messages_++) % spread;
      begun_ += std::min(size, share_ - begun_);
      in_flight_.push_back({begun_, now});
    }
  }

  void Send() {
    static std::array<unsigned char, kChunkBytes> chunk;
    BeginMessages();
    while (sent_ < begun_) {
      const size_t size = std::min<uint64_t>(chunk.size(), begun_ - sent_);
      FillContent(seed_, sent_, chunk.data(), size);
      const ssize_t count = send(fd_, chunk.data(), size, MSG_NOSIGNAL);
      if (count < 0) {
        if (errno == EAGAIN || errno == EINTR) return Want(EPOLLIN | EPOLLOUT);
        return Fail(absl::StrCat("send: ", strerror(errno)));
      }
      sent_ += static_cast<uint64_t>(count);
    }
    Want(EPOLLIN);
    if (sent_ == share_ && !half_closed_) {
      half_closed_ = true;
      if (shutdown(fd_, SHUT_WR) != 0) Fail(absl::StrCat("shutdown: ", strerror(errno)));
    }
  }

  void Receive() {
    static std::array<unsigned char, kChunkBytes> chunk;
    const ssize_t count = recv(fd_, chunk.data(), chunk.size(), 0);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      return Fail(absl::StrCat(sent_ == 0 ? "connect: " : "recv: ", strerror(errno)));
    }
    if (count == 0) {
      if (!half_closed_) return Fail("the server closed before all was sent");
      if (checked_ < sent_) return Fail(absl::StrCat(sent_ - checked_, " bytes did not come back"));
      return Close();
    }
    Check(chunk.data(), static_cast<size_t>(count));
  }

  void Check(const unsigned char* got, size_t size) {
    static std::array<unsigned char, kChunkBytes> expected;
    if (size > sent_ - checked_) return Fail("more came back than was sent");
    FillContent(seed_, checked_, expected.data(), size);
    if (memcmp(got, expected.data(), size) != 0) {
      const size_t at = static_cast<size_t>(std::mismatch(got, got + size, expected.data()).first - got);
      checked_ += at;
      return Fail(absl::StrCat("mismatch at byte ", checked_, ": expected 0x", absl::Hex(expected[at]),
                               ", got 0x", absl::Hex(got[at])));
    }
    checked_ += size;
    PauseNowAndThen(Clock::now());
    if (in_flight_.empty() || in_flight_.front().end > checked_) return;
    const auto now = Clock::now();
    while (!in_flight_.empty() && in_flight_.front().end <= checked_) {
      latencies_.Add(now - in_flight_.front().start);
      in_flight_.pop_front();
    }
  }

  void Want(uint32_t events) {
    if (paused()) events &= ~uint32_t{EPOLLIN};
    if (events == interest_) return;
    interest_ = events;
    epoll_event event = {.events = events, .data = {.ptr = this}};
    (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);  // cannot fail on what is in the set
  }

  const Plan& plan_;
  const uint32_t number_;
  uint64_t share_;  // bytes this connection is to send
  const int epoll_;
  Latencies& latencies_;
  const uint64_t seed_ = RandomWord(plan_.seed, 2 * uint64_t{number_});
  const uint64_t size_seed_ = RandomWord(plan_.seed, 2 * uint64_t{number_} + 1);
  int fd_ = -1;
  uint32_t interest_ = EPOLLIN | EPOLLOUT;  // writable is how connect() reports
  std::deque<Message> in_flight_;
  uint64_t messages_ = 0;
  uint64_t begun_ = 0;    // end of the last message begun
  uint64_t sent_ = 0;     // bytes the socket has taken
  uint64_t checked_ = 0;  // bytes that came back right
  uint64_t next_pause_ = 1;
  Clock::time_point paused_until_;  // the epoch: not paused
  bool half_closed_ = false;
  bool failed_ = false;
};

Plan MakePlan() {
  Plan plan;
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string address = absl::GetFlag(FLAGS_address);
  if (getaddrinfo(address.c_str(), absl::StrCat(absl::GetFlag(FLAGS_port)).c_str(), &hints, &found) != 0) {
    WrongUsage(absl::StrCat("--address: \"", address, "\" is no numeric IPv4 or IPv6 address"));
  }
  memcpy(&plan.address, found->ai_addr, found->ai_addrlen);
  plan.address_length = found->ai_addrlen;
  freeaddrinfo(found);

  const std::vector<std::string> sizes = absl::StrSplit(absl::GetFlag(FLAGS_message_bytes), '-');
  if (sizes.size() > 2 || !absl::SimpleAtoi(sizes.front(), &plan.min_message) ||
      !absl::SimpleAtoi(sizes.back(), &plan.max_message) || plan.min_message == 0 ||
      plan.min_message > plan.max_message) {
    WrongUsage(absl::StrCat("--message_bytes: \"", absl::GetFlag(FLAGS_message_bytes),
                            "\" is neither a size from 1 nor a range like 1-65536"));
  }
  plan.window = absl::GetFlag(FLAGS_window);
  plan.seed = absl::GetFlag(FLAGS_seed);
  plan.pause = absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_pause));
  if (plan.window == 0) WrongUsage("--window is to be 1 or more");
  if (absl::GetFlag(FLAGS_connections) == 0) WrongUsage("--connections is to be 1 or more");
  return plan;
}

void PrintResult(uint64_t bytes, uint64_t failed, double seconds, Latencies& latencies) {
  const double rate = static_cast<double>(bytes) / (1 << 20) / seconds;
  const double cpu = static_cast<double>(clock()) / CLOCKS_PER_SEC;
  const uint32_t connections = absl::GetFlag(FLAGS_connections);
  const std::array<double, 5> us = latencies.Summary();
  if (absl::GetFlag(FLAGS_json)) {
    absl::PrintF(
        "{\"ok\": %s, \"connections\": %d, \"failed_connections\": %d, \"bytes_verified\": %d, "
        "\"messages\": %d, \"seconds\": %.6f, \"mib_per_second\": %.3f, \"cpu_seconds\": %.3f, "
        "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}}\n",
        failed == 0 ? "true" : "false", connections, failed, bytes, latencies.count(), seconds, rate, cpu,
        us[0], us[1], us[2], us[3], us[4]);
  } else {
    absl::PrintF(
        "%s: %d connections, %d of them failed; %d bytes in %d messages came back as sent\n"
        "%.3f s, %.1f MiB/s each way, %.2f s of CPU in this process\n"
        "latency of a message in us: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
        failed == 0 ? "verified" : "FAILED", connections, failed, bytes, latencies.count(), seconds, rate,
        cpu, us[0], us[1], us[2], us[3], us[4]);
  }
}

bool Run(Plan plan) {
  const uint32_t count = absl::GetFlag(FLAGS_connections);
  const absl::Duration duration = absl::GetFlag(FLAGS_duration);
  const auto stall_limit = absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_stall_timeout));
  const auto start = Clock::now();
  uint64_t total = absl::GetFlag(FLAGS_total_bytes);
  if (duration > absl::ZeroDuration()) {
    plan.deadline = start + absl::ToChronoNanoseconds(duration);
    total = UINT64_MAX;
  }

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  Latencies latencies;
  std::deque<Connection> connections;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t share = total / count + (i < total % count ? 1 : 0);
    connections.emplace_back(plan, i, share, epoll, latencies).Connect();
  }
  std::array<epoll_event, 64> events;
  auto last_news = start;
  while (!std::all_of(connections.begin(), connections.end(), std::mem_fn(&Connection::done))) {
    const bool pauses = plan.pause > Clock::duration::zero();
    const int ready = epoll_wait(epoll, events.data(), events.size(), pauses ? 1 : 100);
    const auto now = Clock::now();
    if (pauses) {
      for (Connection& connection : connections) connection.EndPause(now);
    }
    if (ready > 0) last_news = now;
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (!connection->done()) connection->OnReady(events[i].events);
    }
    if (now - last_news <= stall_limit) continue;
    for (Connection& connection : connections) {
      if (!connection.done()) connection.Fail("stalled: nothing came back for --stall_timeout");
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  close(epoll);

  uint64_t bytes = 0;
  uint64_t failed = 0;
  for (const Connection& connection : connections) {
    bytes += connection.checked();
    failed += connection.failed() ? 1 : 0;
  }
  PrintResult(bytes, failed, seconds, latencies);
  return failed == 0;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Loads a TCP echo server and verifies every byte that comes back.");
  return Run(MakePlan()) ? 0 : 1;
}
