// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/attributes.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace zcrx::inline v0::netdev {
namespace {

struct Attribute {
  int number;
  std::span<const std::byte> value;
};

// Takes the first attribute off `bytes`; absent, and `bytes` as they were, if
// there is no whole one.
std::optional<Attribute> Next(std::span<const std::byte>& bytes) {
  nlattr header;
  if (bytes.size() < sizeof(header)) return std::nullopt;
  memcpy(&header, bytes.data(), sizeof(header));
  if (header.nla_len < NLA_HDRLEN || header.nla_len > bytes.size()) return std::nullopt;
  const Attribute attribute = {header.nla_type & NLA_TYPE_MASK,
                               bytes.subspan(NLA_HDRLEN, header.nla_len - size_t{NLA_HDRLEN})};
  // The padding of the last one may be missing.
  bytes = bytes.subspan(std::min<size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  return attribute;
}

}  // namespace

Attributes::Attributes(std::span<const std::byte> bytes, bool* malformed)
    : bytes_(bytes), malformed_(malformed) {
  while (Next(bytes).has_value()) {
  }
  if (!bytes.empty()) *malformed_ = true;
}

std::optional<std::span<const std::byte>> Attributes::Find(int number) const {
  std::span<const std::byte> bytes = bytes_;
  while (const auto attribute = Next(bytes)) {
    if (attribute->number == number) return attribute->value;
  }
  return std::nullopt;
}

template <typename T>
std::optional<T> Attributes::Number(int number) const {
  const auto value = Find(number);
  if (!value.has_value()) return std::nullopt;
  T result;
  if (value->size() != sizeof(result)) {
    *malformed_ = true;
    return std::nullopt;
  }
  memcpy(&result, value->data(), sizeof(result));
  return result;
}

std::optional<uint8_t> Attributes::U8(int number) const { return Number<uint8_t>(number); }

std::optional<uint32_t> Attributes::U32(int number) const {
  const auto value = Uint(number);
  if (!value.has_value()) return std::nullopt;
  if (*value > UINT32_MAX) {
    *malformed_ = true;
    return std::nullopt;
  }
  return static_cast<uint32_t>(*value);
}

std::optional<uint64_t> Attributes::Uint(int number) const {
  const auto value = Find(number);
  if (value.has_value() && value->size() == sizeof(uint64_t)) return Number<uint64_t>(number);
  return Number<uint32_t>(number);
}

std::vector<uint32_t> Attributes::U32Array(int number) const {
  const auto value = Bytes(number);
  std::vector<uint32_t> array(value.size() / sizeof(uint32_t));
  if (value.size() % sizeof(uint32_t) != 0) *malformed_ = true;
  if (!array.empty()) memcpy(array.data(), value.data(), array.size() * sizeof(uint32_t));
  return array;
}

std::string Attributes::Text(int number) const {
  const auto value = Bytes(number);
  const auto* begin = reinterpret_cast<const char*>(value.data());
  return std::string(begin, value.empty() ? 0 : strnlen(begin, value.size()));
}

std::span<const std::byte> Attributes::Bytes(int number) const {
  return Find(number).value_or(std::span<const std::byte>());
}

std::optional<Attributes> Attributes::Nest(int number) const {
  const auto value = Find(number);
  if (!value.has_value()) return std::nullopt;
  return Attributes(*value, malformed_);
}

std::vector<Attributes> Attributes::Nests(int number) const {
  std::vector<Attributes> nests;
  std::span<const std::byte> bytes = bytes_;
  while (const auto attribute = Next(bytes)) {
    if (attribute->number == number) nests.emplace_back(attribute->value, malformed_);
  }
  return nests;
}

Message::Message(std::span<const std::byte> payload, size_t header_bytes, const char* kind)
    : kind_(kind),
      attributes_(payload.subspan(std::min<size_t>(NLMSG_ALIGN(header_bytes), payload.size())), &malformed_) {
  if (payload.size() < NLMSG_ALIGN(header_bytes)) malformed_ = true;
}

absl::Status Message::status() const {
  if (!malformed_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("malformed netlink reply: ", kind_));
}

}  // namespace zcrx::inline v0::netdev
