// SPDX-License-Identifier: Apache-2.0
#include "zcrx/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace zcrx::inline v0 {
namespace {

absl::Status Invalid(std::string_view text, const char* why) {
  return absl::InvalidArgumentError(absl::StrCat("\"", std::string(text), "\" is not an address: ", why,
                                                 "; write 10.0.0.1:7000 or [fd00::1]:7000 or :7000"));
}

}  // namespace

SocketAddress::SocketAddress() { storage_.ss_family = AF_INET; }

absl::StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Invalid(text, "it has no port");
  std::string host(text.substr(0, colon));
  const std::string port_text(text.substr(colon + 1));
  uint32_t port = 0;
  if (!absl::SimpleAtoi(port_text, &port) || port > UINT16_MAX)
    return Invalid(text, "the port is not a number from 0 to 65535");

  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (host.empty() || host == "*") {
    host = "::";
  } else if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return Invalid(text, "an IPv6 address needs brackets");
  }

  SocketAddress address;
  if (host.find(':') == std::string::npos) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage_);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    if (bracketed || inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1)
      return Invalid(text, "the host is not a numeric address");
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage_);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(static_cast<uint16_t>(port));
  if (const size_t percent = host.find('%'); percent != std::string::npos) {
    v6->sin6_scope_id = if_nametoindex(host.c_str() + percent + 1);
    if (v6->sin6_scope_id == 0) return Invalid(text, "there is no interface of the name behind %");
    host.resize(percent);
  }
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1)
    return Invalid(text, "the host is not a numeric address");
  return address;
}

absl::StatusOr<SocketAddress> SocketAddress::FromSockaddr(const sockaddr* address, socklen_t length) {
  const bool v4 = length >= sizeof(sockaddr_in) && address->sa_family == AF_INET;
  const bool v6 = length >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6;
  if (!v4 && !v6) return absl::InvalidArgumentError("the socket's address is neither IPv4 nor IPv6");
  SocketAddress result;
  std::memcpy(&result.storage_, address, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return result;
}

uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET ? reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port
                                   : reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
}

socklen_t SocketAddress::length() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

std::string SocketAddress::ToString() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, host, sizeof(host));
    return absl::StrCat(host, ":", port());
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
  inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
  char scope[IF_NAMESIZE] = "";
  const bool scoped = v6->sin6_scope_id != 0 && if_indextoname(v6->sin6_scope_id, scope) != nullptr;
  return absl::StrCat("[", host, scoped ? "%" : "", scope, "]:", port());
}

}  // namespace zcrx::inline v0
