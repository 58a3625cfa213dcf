// SPDX-License-Identifier: Apache-2.0
//
// A BufferChain is an ordered list of buffers: what one ReceiveBatch() found
// ready, what a parser has collected, or what is to be sent in one go.
//
//   zcrx::BufferChain input;
//   while (true) {
//     const size_t end = input.Find("\n");
//     if (end == zcrx::BufferChain::kNotFound) {
//       absl::StatusOr<zcrx::BufferChain> more = co_await stream.ReceiveBatch();
//       if (!more.ok() || more->empty()) co_return;
//       input.Append(*std::move(more));
//       continue;
//     }
//     co_await Handle(input.Split(end + 1));   // one line, in place
//   }
#ifndef ZCRX_BUFFER_CHAIN_H_
#define ZCRX_BUFFER_CHAIN_H_

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "zcrx/buffer.h"
#include "zcrx/internal/recycler.h"

namespace zcrx::inline v0 {

namespace internal {
class RecordQueue;
}  // namespace internal

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
  ~BufferChain() {
    // What was held for long has left the caches: fetch the records side by side, not one after the other.
    for (const Buffer& buffer : buffers_) __builtin_prefetch(buffer.record_, /*write=*/1);
  }

  // Makes room for so many buffers; of use before that many are added one by one.
  void Reserve(size_t buffers) { buffers_.reserve(buffers); }

  // Adds `buffer` at the end. An empty one is dropped.
  void Append(Buffer buffer);
  // Adds all of `other` at the end, in order.
  void Append(BufferChain other);

  // Internal: adds a buffer for each of `records`, none of which is empty, and takes them out.
  void Append(internal::RecordQueue& records);

  // Takes the first buffer out; an empty one if there is none.
  Buffer PopFront();

  // Takes the first `count` bytes out, or all if there are fewer. Nothing is copied: a buffer that is cut
  // is shared between both chains.
  BufferChain Split(size_t count);

  // Drops the first `count` bytes, or all if there are fewer; buffers that have none left go back.
  void Drop(size_t count) { Split(count); }

  static constexpr size_t kNotFound = static_cast<size_t>(-1);
  // Where `pattern` begins first, at `from` or later; kNotFound if it does not. It may be spread over
  // buffers. An empty one begins everywhere. To go on after more bytes have come, search from
  // size() - pattern.size() + 1 of before.
  size_t Find(std::string_view pattern, size_t from = 0) const;

  // The first bytes, as many as `scratch` is long, or all if there are fewer: in place if they lie in one
  // buffer, else copied to `scratch`. For headers.
  std::span<const std::byte> Peek(std::span<std::byte> scratch) const;

  // Copies as many of the bytes from `offset` on as fit into `out`; returns how many. The chain is unchanged.
  size_t CopyTo(std::span<std::byte> out, size_t offset = 0) const;

  // Describes the bytes from `offset` on, as far as `out` suffices; returns how many entries that took.
  // Valid as long as the buffers are in the chain. For writev(2) and its like.
  size_t ToIovecs(std::span<iovec> out, size_t offset = 0) const;

  // All bytes without a copy; the buffers go back when the last Cord that refers to them ends, on whatever
  // thread. The chain is empty afterwards.
  absl::Cord ToCord() &&;

  // Bytes in all buffers.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t buffer_count() const { return buffers_.size() - first_; }

  // The buffers in order; none of them is empty.
  const_iterator begin() const { return buffers_.begin() + static_cast<std::ptrdiff_t>(first_); }
  const_iterator end() const { return buffers_.end(); }

 private:
  struct Position {
    const_iterator buffer;
    size_t offset;  // in the buffer
  };
  Position At(size_t offset) const;
  bool StartsWith(Position position, std::string_view pattern) const;

  Storage buffers_;
  size_t first_ = 0;  // those before it have been popped
  size_t size_ = 0;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_BUFFER_CHAIN_H_
