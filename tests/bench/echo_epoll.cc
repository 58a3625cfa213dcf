// SPDX-License-Identifier: Apache-2.0
//
// Echoes by epoll and nothing else: what the others stand on, or compete with.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/echo_server.h"

namespace {

using zcrx::bench::CheckCall;

struct Connection {
  int fd;
  std::vector<char> unsent;  // while there is any nothing more is read
};

class Server {
 public:
  Server() { Change(EPOLL_CTL_ADD, listening_, EPOLLIN, nullptr); }

  void Run() {
    std::array<epoll_event, 256> events;
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
      CheckCall(count >= 0 || errno == EINTR, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[i].data.ptr);
        if (connection == nullptr) {
          Accept();
        } else if (!(connection->unsent.empty() ? Receive(*connection) : SendUnsent(*connection))) {
          close(connection->fd);
          delete connection;
        }
      }
    }
  }

 private:
  void Change(int operation, int fd, uint32_t interest, Connection* connection) const {
    epoll_event event = {.events = interest, .data = {.ptr = connection}};
    CheckCall(epoll_ctl(epoll_, operation, fd, &event) == 0, "epoll_ctl");
  }

  void Accept() const {
    int fd;
    // The epoll set has them until they end. NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
    while ((fd = accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
      Change(EPOLL_CTL_ADD, fd, EPOLLIN, new Connection{fd, {}});
    CheckCall(errno == EAGAIN || errno == ECONNABORTED, "accept");
  }

  // These are false once the connection has ended.
  bool Receive(Connection& connection) {
    const ssize_t received = recv(connection.fd, data_.data(), data_.size(), 0);
    if (received <= 0) return received < 0 && errno == EAGAIN;
    const ssize_t sent = send(connection.fd, data_.data(), static_cast<size_t>(received), MSG_NOSIGNAL);
    if (sent == received) return true;
    if (sent < 0 && errno != EAGAIN) return false;
    connection.unsent.assign(data_.data() + (sent > 0 ? sent : 0), data_.data() + received);
    Change(EPOLL_CTL_MOD, connection.fd, EPOLLOUT, &connection);
    return true;
  }

  bool SendUnsent(Connection& connection) const {
    std::vector<char>& unsent = connection.unsent;
    const ssize_t sent = send(connection.fd, unsent.data(), unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    unsent.erase(unsent.begin(), unsent.begin() + sent);
    if (unsent.empty()) Change(EPOLL_CTL_MOD, connection.fd, EPOLLIN, &connection);
    return true;
  }

  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const int listening_ = zcrx::bench::Listen();
  std::array<char, zcrx::bench::kReadBytes> data_;
};

}  // namespace

int main() {
  Server().Run();
  return 0;
}
