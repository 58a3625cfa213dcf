// SPDX-License-Identifier: Apache-2.0
//
// epoll and recv(2): level-triggered, and read until a read comes back short, so
// that no call is made to learn that there is nothing.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tests/bench/receive.h"

namespace zcrx::bench {
namespace {

class Epoll final : public Contender {
 public:
  explicit Epoll(const ReceivePlan& plan) : memory_(plan.copy_memory_bytes()) {}

  void Receive(std::span<const int> sockets, Arrivals& arrivals) override {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    Require(epoll >= 0, "epoll_create1", errno);
    for (uint32_t number = 0; number < sockets.size(); ++number) {
      epoll_event event = {.events = EPOLLIN, .data = {.u32 = number}};
      Require(epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[number], &event) == 0, "epoll_ctl", errno);
    }
    std::array<epoll_event, 256> events;
    while (arrivals.open() > 0) {
      const int count = epoll_wait(epoll, events.data(), events.size(), -1);
      Require(count >= 0, "epoll_wait", errno);
      ++counts_.system_calls;
      counts_.completions += static_cast<uint64_t>(count);
      for (int i = 0; i < count; ++i) {
        const uint32_t number = events[i].data.u32;
        while (ReceiveOnce(sockets[number], number, arrivals)) continue;
      }
    }
    close(epoll);
  }

 private:
  // Whether there may be more.
  bool ReceiveOnce(int socket, uint32_t number, Arrivals& arrivals) {
    if (memory_.bytes() - at_ < kReadBytes) at_ = 0;
    unsigned char* const data = memory_.base() + at_;
    const ssize_t received = recv(socket, data, kReadBytes, MSG_DONTWAIT);
    ++counts_.system_calls;
    if (received < 0 && errno == EAGAIN) return false;
    Require(received >= 0, "recv", errno);
    if (received == 0) {
      arrivals.End(number);
      close(socket);
      return false;
    }
    const auto size = static_cast<size_t>(received);
    arrivals.Add(number, data, size);
    at_ += size;
    return size == kReadBytes;
  }

  Memory memory_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Contender> MakeEpoll(const ReceivePlan& plan) { return std::make_unique<Epoll>(plan); }

}  // namespace zcrx::bench
