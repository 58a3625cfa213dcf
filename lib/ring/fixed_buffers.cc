// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/fixed_buffers.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace zcrx::inline v0::internal {
namespace {

// The kernel's limit for one of them (io_buffer_validate()). Pieces do not cross it: their size divides it.
constexpr size_t kMostBytes = size_t{1} << 30;

}  // namespace

void FixedBuffers::Register(std::span<std::byte> memory) {
  if (std::exchange(tried_, true)) return;
  std::vector<iovec> buffers;
  for (size_t begin = 0; begin < memory.size(); begin += kMostBytes)
    buffers.push_back({memory.data() + begin, std::min(kMostBytes, memory.size() - begin)});
  if (ring_.Register(IORING_REGISTER_BUFFERS, buffers.data(), static_cast<unsigned>(buffers.size())) >= 0)
    memory_ = memory;
}

std::optional<uint16_t> FixedBuffers::Find(std::span<const iovec> parts) const {
  std::optional<size_t> buffer;
  for (const iovec& part : parts) {
    const auto* begin = static_cast<const std::byte*>(part.iov_base);
    if (begin < memory_.data() || begin + part.iov_len > memory_.data() + memory_.size()) return std::nullopt;
    const size_t index = static_cast<size_t>(begin - memory_.data()) / kMostBytes;
    if (buffer.value_or(index) != index) return std::nullopt;
    buffer = index;
  }
  if (!buffer.has_value()) return std::nullopt;
  return static_cast<uint16_t>(*buffer);
}

}  // namespace zcrx::inline v0::internal
