// SPDX-License-Identifier: Apache-2.0
//
// What the echo servers of the benchmark have in common, so that they differ in
// their loop alone: the listening socket and how much is read at a time. Each is one
// thread, echoes every connection until its end, and is ended by a signal.
#ifndef ZCRX_TESTS_BENCH_ECHO_SERVER_H_
#define ZCRX_TESTS_BENCH_ECHO_SERVER_H_

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace zcrx::bench {

inline constexpr size_t kReadBytes = 16384;

inline void CheckCall(bool fine, const char* what) {
  if (fine) return;
  perror(what);
  exit(1);
}

inline void AllowManyFiles() {
  rlimit files = {};
  CheckCall(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
  files.rlim_cur = files.rlim_max;
  CheckCall(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
}

// A socket that listens on a free port of the loopback interface; tells scripts which.
inline int Listen() {
  AllowManyFiles();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CheckCall(fd >= 0, "socket");
  // Accepted sockets inherit it.
  const int on = 1;
  CheckCall(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  CheckCall(bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0, "bind");
  CheckCall(listen(fd, 4096) == 0, "listen");
  CheckCall(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  printf("listening on %d\n", ntohs(address.sin_port));
  (void)fflush(stdout);
  return fd;
}

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_ECHO_SERVER_H_
