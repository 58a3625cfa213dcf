// SPDX-License-Identifier: Apache-2.0
//
// A Buffer is one received fragment, lying where the NIC (or, on the copy path,
// the kernel) put it. It is a reference on a piece of the pool region: while it
// lives the NIC cannot use that piece again, so drop it as soon as its bytes are
// no longer needed, and Copy() what must be kept for long.
//
//   absl::StatusOr<zcrx::Buffer> data = co_await stream.Receive();
//   if (!data.ok()) co_return data.status();
//   if (data->empty()) co_return absl::OkStatus();   // end of stream
//   parser.Feed(data->bytes());                      // read-only, in place
//
// A Buffer may be moved to another thread and destroyed there, and may outlive
// its stream and its runtime: it keeps the memory mapped, and giving it back is
// then a no-op. Payload starts anywhere in a piece; no alignment is promised.
//
// Misuse, such as two threads that reset the same Buffer, ends debug builds with a
// message that names address and stream; a span that outlives its Buffer is caught
// under AddressSanitizer.
#ifndef ZCRX_BUFFER_H_
#define ZCRX_BUFFER_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"

namespace zcrx::inline v0 {

namespace internal {
struct BufferRecord;
void AddReference(BufferRecord* record);
void DropReference(BufferRecord* record);
// Debug builds: ends the program, with a message, if nobody has a reference to `bytes` of `record`.
void CheckHeld(const BufferRecord* record, std::span<const std::byte> bytes);
}  // namespace internal

// Thread-compatible; different Buffers, also of the same piece, may be used and
// destroyed on different threads at the same time.
class Buffer {
 public:
  // An empty buffer, which is also what Receive() gives at the end of the stream.
  Buffer() = default;

  Buffer(Buffer&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})), record_(std::exchange(other.record_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      Reset();
      bytes_ = std::exchange(other.bytes_, {});
      record_ = std::exchange(other.record_, nullptr);
    }
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (record_ != nullptr) internal::DropReference(record_);
  }

  std::span<const std::byte> bytes() const {
    Check();
    return bytes_;
  }
  const std::byte* data() const { return bytes().data(); }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // The bytes as text; they need not be valid in any encoding.
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size()}; }

  // A second reference to the same bytes. The piece goes back with the last one. Does not allocate.
  Buffer Share() const { return Slice(0, bytes_.size()); }

  // A second reference to `length` bytes from `offset` on; both are clamped to
  // what there is. Does not allocate.
  Buffer Slice(size_t offset, size_t length) const;

  // The bytes on the heap, independent of the region and of its lifetime. Allocates.
  Buffer Copy() const;

  // The bytes without a copy; the piece goes back when the last Cord that refers to it ends, on whatever
  // thread. The buffer is empty afterwards. Allocates; pays off from a few hundred bytes on.
  absl::Cord ToCord() &&;

  // Gives the piece back now; the buffer is empty afterwards. Never blocks.
  void Reset() {
    bytes_ = {};
    if (record_ != nullptr) internal::DropReference(std::exchange(record_, nullptr));
  }

  // Internal: takes over one reference of `record`.
  Buffer(std::span<const std::byte> bytes, internal::BufferRecord* record) : bytes_(bytes), record_(record) {}

 private:
  friend class BufferChain;

  void Check() const {
#ifndef NDEBUG
    if (record_ != nullptr) internal::CheckHeld(record_, bytes_);
#endif
  }

  std::span<const std::byte> bytes_;
  internal::BufferRecord* record_ = nullptr;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_BUFFER_H_
