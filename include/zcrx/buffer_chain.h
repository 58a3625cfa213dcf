// SPDX-License-Identifier: Apache-2.0
//
// A BufferChain is an ordered list of buffers: what one ReceiveBatch() found
// ready, or what is to be sent in one go.
//
//   absl::StatusOr<zcrx::BufferChain> data = co_await stream.ReceiveBatch();
//   if (!data.ok() || data->empty()) co_return;
//   for (const zcrx::Buffer& piece : *data) checksum.Add(piece.bytes());
//   absl::Status sent = co_await stream.SendAll(*std::move(data));
#ifndef ZCRX_BUFFER_CHAIN_H_
#define ZCRX_BUFFER_CHAIN_H_

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "zcrx/buffer.h"
#include "zcrx/internal/recycler.h"

namespace zcrx::inline v0 {

// Move-only. Thread-compatible. Its storage is recycled, so that filling and
// dropping chains does not allocate once the thread is warm.
class BufferChain {
  using Storage = std::vector<Buffer, internal::RecyclingAllocator<Buffer>>;

 public:
  using const_iterator = Storage::const_iterator;

  BufferChain() = default;
  BufferChain(BufferChain&& other) noexcept
      : buffers_(std::move(other.buffers_)),
        first_(std::exchange(other.first_, 0)),
        size_(std::exchange(other.size_, 0)) {
    other.buffers_.clear();
  }
  BufferChain& operator=(BufferChain&& other) noexcept {
    if (this != &other) {
      buffers_ = std::move(other.buffers_);
      other.buffers_.clear();
      first_ = std::exchange(other.first_, 0);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }

  // Adds `buffer` at the end. An empty one is dropped.
  void Append(Buffer buffer);
  // Adds all of `other` at the end, in order.
  void Append(BufferChain other);

  // Takes the first buffer out; an empty one if there is none.
  Buffer PopFront();

  // Copies as many of the first bytes as fit into `out`; returns how many. The chain is unchanged.
  size_t CopyTo(std::span<std::byte> out) const;

  // Bytes in all buffers.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t buffer_count() const { return buffers_.size() - first_; }

  // The buffers in order; none of them is empty.
  const_iterator begin() const { return buffers_.begin() + static_cast<std::ptrdiff_t>(first_); }
  const_iterator end() const { return buffers_.end(); }

 private:
  Storage buffers_;
  size_t first_ = 0;  // those before it have been popped
  size_t size_ = 0;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_BUFFER_CHAIN_H_
