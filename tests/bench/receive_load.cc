// SPDX-License-Identifier: Apache-2.0
//
// Sends to receive_bench:
//
//   receive_load ADDRESS PORT CONNECTIONS MIB MESSAGE_KIB
//
// MIB over all connections, each of which gets a message of MESSAGE_KIB whenever it
// takes one. One more connection, the last, is for the receiver: its byte says to
// begin, its end says that nobody looks at the CPU time of this process any more. What
// is sent lies in caches: only the receiver is of interest.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/bench/receive_content.h"

namespace zcrx::bench {
namespace {

void Require(bool fine, const char* what) {
  if (fine) return;
  perror(what);
  exit(1);
}

struct Connection {
  int fd;
  size_t at;              // in the content
  uint64_t left;          // to send
  uint64_t message_left;  // of the message that has been begun
};

class Sender {
 public:
  Sender(const sockaddr_in& address, uint32_t connections, uint64_t bytes, size_t message_bytes)
      : message_bytes_(message_bytes), content_bytes_(kContentWords * 8), content_(kContentWords) {
    for (size_t i = 0; i < content_.size(); ++i) content_[i] = ContentWord(i);
    // What is sent never has to be cut where the content begins anew.
    content_.resize(kContentWords + message_bytes / 8);
    std::copy_n(content_.begin(), message_bytes / 8, content_.begin() + kContentWords);
    for (uint32_t number = 0; number < connections; ++number) {
      connections_.push_back({Connect(address), FirstWord(number) * 8, ShareOf(bytes, connections), 0});
    }
    control_ = Connect(address);
  }

  void Run() {
    char word;
    Require(recv(control_, &word, 1, 0) == 1, "the receiver's word");
    SendAll();
    Require(recv(control_, &word, 1, 0) == 0, "the receiver's end");
  }

 private:
  void SendAll() {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (Connection& connection : connections_) {
      epoll_event event = {.events = EPOLLOUT, .data = {.ptr = &connection}};
      Require(epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event) == 0, "epoll_ctl");
    }
    std::array<epoll_event, 64> events;
    for (size_t open = connections_.size(); open > 0;) {
      const int count = epoll_wait(epoll, events.data(), events.size(), -1);
      Require(count >= 0, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[i].data.ptr);
        SendMessage(*connection);
        if (connection->left > 0) continue;
        close(connection->fd);
        --open;
      }
    }
  }

  static int Connect(const sockaddr_in& address) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Require(fd >= 0, "socket");
    Require(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "connect");
    return fd;
  }

  // As much of it as the socket takes.
  void SendMessage(Connection& connection) {
    if (connection.message_left == 0)
      connection.message_left = std::min<uint64_t>(message_bytes_, connection.left);
    const char* data = reinterpret_cast<const char*>(content_.data()) + connection.at;
    const ssize_t sent = send(connection.fd, data, connection.message_left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    Require(sent > 0, "send");
    connection.message_left -= static_cast<uint64_t>(sent);
    connection.left -= static_cast<uint64_t>(sent);
    connection.at = (connection.at + static_cast<size_t>(sent)) % content_bytes_;
  }

  const size_t message_bytes_;
  const size_t content_bytes_;
  std::vector<uint64_t> content_;
  std::vector<Connection> connections_;
  int control_ = -1;
};

}  // namespace
}  // namespace zcrx::bench

int main(int argc, char** argv) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  if (argc != 6 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
    (void)fputs("usage: receive_load ADDRESS PORT CONNECTIONS MIB MESSAGE_KIB\n", stderr);
    return 2;
  }
  address.sin_port = htons(static_cast<uint16_t>(strtoul(argv[2], nullptr, 10)));
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  zcrx::bench::Sender(address, static_cast<uint32_t>(strtoul(argv[3], nullptr, 10)),
                      strtoull(argv[4], nullptr, 10) << 20, strtoull(argv[5], nullptr, 10) << 10)
      .Run();
  return 0;
}
