// SPDX-License-Identifier: Apache-2.0
#include "zcrx/buffer_chain.h"

#include <algorithm>
#include <cstring>

#include "lib/ifq/buffer_ledger.h"

namespace zcrx::inline v0 {

void BufferChain::Append(Buffer buffer) {
  if (buffer.empty()) return;
  size_ += buffer.size();
  // A chain that is never empty would grow for ever. Only if most have been popped: what is moved here has
  // been paid for by those.
  if (buffers_.size() == buffers_.capacity() && first_ > buffers_.size() / 2) {
    buffers_.erase(buffers_.begin(), begin());
    first_ = 0;
  }
  buffers_.push_back(std::move(buffer));
}

void BufferChain::Append(BufferChain other) {
  if (empty()) {
    *this = std::move(other);
    return;
  }
  while (!other.empty()) Append(other.PopFront());
}

void BufferChain::Append(internal::RecordQueue& records) {
  buffers_.reserve(buffers_.size() + records.size());
  for (internal::BufferRecord* record = records.front(); record != nullptr; record = record->next) {
    buffers_.emplace_back(record->bytes, record);
    size_ += record->bytes.size();
  }
  records.RemoveBefore(nullptr, records.size());
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

BufferChain BufferChain::Split(size_t count) {
  BufferChain head;
  while (count > 0 && !empty()) {
    Buffer& front = buffers_[first_];
    if (front.size() > count) {
      head.Append(front.Slice(0, count));
      front = front.Slice(count, front.size() - count);
      size_ -= count;
      break;
    }
    count -= front.size();
    head.Append(PopFront());
  }
  return head;
}

// Where the byte at `offset` is; the end if there is none.
BufferChain::Position BufferChain::At(size_t offset) const {
  Position position = {.buffer = begin(), .offset = offset};
  while (position.buffer != end() && position.offset >= position.buffer->size()) {
    position.offset -= position.buffer->size();
    ++position.buffer;
  }
  return position;
}

bool BufferChain::StartsWith(Position position, std::string_view pattern) const {
  while (!pattern.empty()) {
    if (position.buffer == end()) return false;
    const std::string_view here = position.buffer->text().substr(position.offset, pattern.size());
    if (here != pattern.substr(0, here.size())) return false;
    pattern.remove_prefix(here.size());
    position = {.buffer = position.buffer + 1, .offset = 0};
  }
  return true;
}

size_t BufferChain::Find(std::string_view pattern, size_t from) const {
  if (from > size_) return kNotFound;
  if (pattern.empty()) return from;
  Position position = At(from);
  size_t before = from - position.offset;  // bytes in the buffers before that of `position`
  while (position.buffer != end()) {
    // Candidates are where the first byte is; memchr(3) finds them fast.
    const std::string_view text = position.buffer->text();
    position.offset = text.find(pattern.front(), position.offset);
    if (position.offset == std::string_view::npos) {
      before += text.size();
      position = {.buffer = position.buffer + 1, .offset = 0};
    } else if (StartsWith(position, pattern)) {
      return before + position.offset;
    } else {
      ++position.offset;
    }
  }
  return kNotFound;
}

std::span<const std::byte> BufferChain::Peek(std::span<std::byte> scratch) const {
  if (!empty() && begin()->size() >= scratch.size()) return begin()->bytes().first(scratch.size());
  return scratch.first(CopyTo(scratch));
}

size_t BufferChain::CopyTo(std::span<std::byte> out, size_t offset) const {
  size_t copied = 0;
  for (Position at = At(offset); at.buffer != end() && copied < out.size(); at = {at.buffer + 1, 0}) {
    const std::span<const std::byte> bytes = at.buffer->bytes().subspan(at.offset);
    const size_t count = std::min(bytes.size(), out.size() - copied);
    std::memcpy(out.data() + copied, bytes.data(), count);
    copied += count;
  }
  return copied;
}

size_t BufferChain::ToIovecs(std::span<iovec> out, size_t offset) const {
  size_t count = 0;
  for (Position at = At(offset); at.buffer != end() && count < out.size(); at = {at.buffer + 1, 0}) {
    const std::span<const std::byte> bytes = at.buffer->bytes().subspan(at.offset);
    // writev(2) and its like do not write there.
    out[count++] = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  }
  return count;
}

absl::Cord BufferChain::ToCord() && {
  absl::Cord cord;
  while (!empty()) cord.Append(PopFront().ToCord());
  return cord;
}

}  // namespace zcrx::inline v0
