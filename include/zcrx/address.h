// SPDX-License-Identifier: Apache-2.0
//
// The address of a TCP socket: IPv4 or IPv6, with port. Numeric only; zcrx does
// not resolve names.
//
//   absl::StatusOr<zcrx::SocketAddress> address = zcrx::SocketAddress::Parse("[fd00::1]:7000");
#ifndef ZCRX_ADDRESS_H_
#define ZCRX_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace zcrx::inline v0 {

// A value. Thread-compatible.
class SocketAddress {
 public:
  // 0.0.0.0:0
  SocketAddress();

  // "10.0.0.1:7000", "[fd00::1]:7000", "[fe80::1%eth0]:7000", ":7000" or "*:7000" for any address
  // of both families. InvalidArgument otherwise, with what is wrong.
  static absl::StatusOr<SocketAddress> Parse(std::string_view text);

  // From the kernel's form. InvalidArgument if it is neither IPv4 nor IPv6.
  static absl::StatusOr<SocketAddress> FromSockaddr(const sockaddr* address, socklen_t length);

  uint16_t port() const;
  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const;

  // The form that Parse() reads.
  std::string ToString() const;

 private:
  sockaddr_storage storage_ = {};
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_ADDRESS_H_
