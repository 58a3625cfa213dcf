// SPDX-License-Identifier: Apache-2.0
//
// Messages of the kernel's netlink as tests make them up.
#ifndef ZCRX_TESTS_UNIT_NETLINK_BYTES_H_
#define ZCRX_TESTS_UNIT_NETLINK_BYTES_H_

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/netdev/netlink.h"

namespace zcrx::netdev {

// Bytes of messages and attributes, padded as netlink pads them.
class Bytes {
 public:
  template <typename T>
  Bytes& Raw(const T& value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), begin, begin + sizeof(value));
    return Pad();
  }
  Bytes& Attribute(int type, const void* data, size_t size) {
    Raw(nlattr{static_cast<uint16_t>(sizeof(nlattr) + size), static_cast<uint16_t>(type)});
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
    return Pad();
  }
  template <typename T>
  Bytes& Attribute(int type, T value) {
    return Attribute(type, &value, sizeof(value));
  }
  Bytes& Text(int type, const std::string& text) { return Attribute(type, text.c_str(), text.size() + 1); }
  Bytes& Nest(int type, const Bytes& inner) {
    return Attribute(type | NLA_F_NESTED, inner.bytes_.data(), inner.bytes_.size());
  }
  Bytes& Message(uint16_t type, uint16_t flags, uint32_t sequence, const Bytes& payload) {
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + payload.bytes_.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    header.nlmsg_seq = sequence;
    Raw(header);
    bytes_.insert(bytes_.end(), payload.bytes_.begin(), payload.bytes_.end());
    return *this;
  }
  const Payload& get() const { return bytes_; }

 private:
  Bytes& Pad() {
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
  }
  Payload bytes_;
};

// The header that replies of generic netlink families begin with.
inline Bytes Generic() { return Bytes().Raw(genlmsghdr{1, 1, 0}); }

}  // namespace zcrx::netdev

#endif  // ZCRX_TESTS_UNIT_NETLINK_BYTES_H_
