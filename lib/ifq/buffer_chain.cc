// SPDX-License-Identifier: Apache-2.0
#include "zcrx/buffer_chain.h"

#include <algorithm>
#include <cstring>

namespace zcrx::inline v0 {

void BufferChain::Append(Buffer buffer) {
  if (buffer.empty()) return;
  size_ += buffer.size();
  buffers_.push_back(std::move(buffer));
}

void BufferChain::Append(BufferChain other) {
  if (empty()) {
    *this = std::move(other);
    return;
  }
  while (!other.empty()) Append(other.PopFront());
}

Buffer BufferChain::PopFront() {
  if (empty()) return {};
  Buffer front = std::move(buffers_[first_++]);
  size_ -= front.size();
  if (first_ == buffers_.size()) {
    buffers_.clear();
    first_ = 0;
  }
  return front;
}

size_t BufferChain::CopyTo(std::span<std::byte> out) const {
  size_t copied = 0;
  for (const Buffer& buffer : *this) {
    if (copied == out.size()) break;
    const size_t count = std::min(buffer.size(), out.size() - copied);
    std::memcpy(out.data() + copied, buffer.data(), count);
    copied += count;
  }
  return copied;
}

}  // namespace zcrx::inline v0
