// SPDX-License-Identifier: Apache-2.0
//
// Reads the attributes of a netlink message. Nothing outside of the message is
// read whatever it says, and what is wrong with it is remembered, so that a
// parser asks only once, when it has read all it wants.
#ifndef ZCRX_LIB_NETDEV_ATTRIBUTES_H_
#define ZCRX_LIB_NETDEV_ATTRIBUTES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace zcrx::inline v0::netdev {

// The attributes of a message or of a nest in it. Each accessor returns an absent
// or empty value for an attribute that is missing, and also for one of a wrong
// size, which makes the message malformed. Of attributes with the same number the
// first counts.
class Attributes {
 public:
  // Both outlive this. `malformed` is set if anything is wrong.
  Attributes(std::span<const std::byte> bytes, bool* malformed);

  bool Has(int number) const { return Find(number).has_value(); }
  std::optional<uint8_t> U8(int number) const;
  // Both take 4 and 8 bytes, as the kernel sends what it calls "uint".
  std::optional<uint32_t> U32(int number) const;
  std::optional<uint64_t> Uint(int number) const;
  std::vector<uint32_t> U32Array(int number) const;
  // Up to its first 0 byte, if there is one.
  std::string Text(int number) const;
  std::span<const std::byte> Bytes(int number) const;
  std::optional<Attributes> Nest(int number) const;
  // All nests with that number, for the lists of the ethtool family.
  std::vector<Attributes> Nests(int number) const;

  // `value`, whose absence makes the message malformed.
  template <typename T>
  T Required(std::optional<T> value) const {
    if (!value.has_value()) *malformed_ = true;
    return value.value_or(T());
  }

 private:
  std::optional<std::span<const std::byte>> Find(int number) const;
  template <typename T>
  std::optional<T> Number(int number) const;

  std::span<const std::byte> bytes_;
  bool* malformed_;
};

// One message, which begins with a header of the family's own.
class Message {
 public:
  // `payload` outlives this. `kind` names the message in errors.
  Message(std::span<const std::byte> payload, size_t header_bytes, const char* kind);
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  const Attributes& attributes() const { return attributes_; }
  // DataLoss if the message is malformed, as far as it was read.
  absl::Status status() const;

 private:
  const char* kind_;
  bool malformed_ = false;
  Attributes attributes_;
};

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_ATTRIBUTES_H_
