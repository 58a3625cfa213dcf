// SPDX-License-Identifier: Apache-2.0
#include "lib/net/listening_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {

absl::StatusOr<int> OpenListeningSocket(const SocketAddress& address, const ListenerOptions& options,
                                        const ReceivePath* path) {
  const std::string name = absl::StrCat("listening on ", address.ToString());
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, name);
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Before the first connection's window is agreed upon.
  if (path != nullptr) path->LimitSocket(fd);
  // "[::]" takes IPv4 connections as well, whatever net.ipv6.bindv6only says.
  if (address.family() == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if ((options.reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
      bind(fd, address.get(), address.length()) != 0 || listen(fd, options.backlog) != 0) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(error, name);
  }
  return fd;
}

absl::StatusOr<SocketAddress> BoundAddress(int fd) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  auto* bound = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd, bound, &length) != 0) return ErrnoStatus(errno, "the address of a listening socket");
  return SocketAddress::FromSockaddr(bound, length);
}

}  // namespace zcrx::inline v0::internal
