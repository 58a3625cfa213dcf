// SPDX-License-Identifier: Apache-2.0
//
// Loads one of the echo servers: each connection has one request in flight, and
// sends the next when the response has come whole. What comes back is compared with
// what was sent. After a warm-up of a quarter of SECONDS it is measured for SECONDS.
//
// Prints requests per second; latency in microseconds, percentiles 50, 99 and 99.9
// and the maximum; and CPU time of the server in microseconds per request.
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
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <vector>

#include "tests/bench/echo_server.h"

namespace {

using zcrx::bench::CheckCall;
using Clock = std::chrono::steady_clock;

class Connection {
 public:
  Connection(uint16_t port, size_t bytes, int epoll) : message_(bytes) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CheckCall(fd_ >= 0, "socket");
    const int on = 1;
    CheckCall(setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CheckCall(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "connect");
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = this}};
    CheckCall(epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event) == 0, "epoll_ctl");
    for (size_t i = 0; i < bytes; ++i) message_[i] = static_cast<char>(i * 7 + static_cast<size_t>(fd_));
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(fd_); }

  void SendRequest(Clock::time_point now) {
    start_ = now;
    received_ = 0;
    // No two in a row are the same.
    ++message_.front();
    // Waits if the socket is full; the server has what came before, so that ends.
    const ssize_t sent = send(fd_, message_.data(), message_.size(), MSG_NOSIGNAL);
    CheckCall(sent == static_cast<ssize_t>(message_.size()), "send");
  }

  // True if the response is whole.
  bool Receive() {
    static std::array<char, zcrx::bench::kReadBytes> data;
    const ssize_t count = recv(fd_, data.data(), data.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return false;
    CheckCall(count > 0, "recv");
    const auto size = static_cast<size_t>(count);
    if (size > message_.size() - received_ || memcmp(data.data(), &message_[received_], size) != 0) {
      (void)fputs("echo_load: what came back is not what was sent\n", stderr);
      exit(1);
    }
    received_ += size;
    return received_ == message_.size();
  }

  Clock::time_point start() const { return start_; }

 private:
  int fd_;
  std::vector<char> message_;
  size_t received_ = 0;
  Clock::time_point start_;
};

double CpuSeconds(pid_t process) {
  clockid_t clock;
  timespec time = {};
  CheckCall(clock_getcpuclockid(process, &clock) == 0 && clock_gettime(clock, &time) == 0,
            "CPU time of the server");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Answers what comes until `end`; the latencies, in microseconds.
std::vector<float> Load(int epoll, Clock::time_point end) {
  std::vector<float> latencies;
  std::array<epoll_event, 256> events;
  auto now = Clock::now();
  while (now < end) {
    const int ready = epoll_wait(epoll, events.data(), events.size(), 1000);
    now = Clock::now();
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (!connection->Receive()) continue;
      now = Clock::now();
      latencies.push_back(std::chrono::duration<float, std::micro>(now - connection->start()).count());
      connection->SendRequest(now);
    }
  }
  return latencies;
}

float Percentile(const std::vector<float>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(part * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    (void)fputs("usage: echo_load PORT SERVER_PID CONNECTIONS MESSAGE_BYTES SECONDS\n", stderr);
    return 2;
  }
  const auto port = static_cast<uint16_t>(atoi(argv[1]));
  const pid_t server = atoi(argv[2]);
  const int count = atoi(argv[3]);
  const size_t bytes = strtoul(argv[4], nullptr, 10);
  const auto duration =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(strtod(argv[5], nullptr)));
  zcrx::bench::AllowManyFiles();
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::deque<Connection> connections;
  for (int i = 0; i < count; ++i) connections.emplace_back(port, bytes, epoll);
  for (Connection& connection : connections) connection.SendRequest(Clock::now());
  Load(epoll, Clock::now() + duration / 4);

  const double cpu_before = CpuSeconds(server);
  const auto start = Clock::now();
  std::vector<float> latencies = Load(epoll, start + duration);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double cpu = CpuSeconds(server) - cpu_before;
  if (latencies.empty()) {
    (void)fputs("echo_load: nothing came back\n", stderr);
    return 1;
  }
  std::sort(latencies.begin(), latencies.end());
  const auto requests = static_cast<double>(latencies.size());
  printf("%.0f %.1f %.1f %.1f %.1f %.3f\n", requests / seconds, Percentile(latencies, 0.5),
         Percentile(latencies, 0.99), Percentile(latencies, 0.999), latencies.back(), cpu * 1e6 / requests);
  return 0;
}
