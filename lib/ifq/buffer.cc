// SPDX-License-Identifier: Apache-2.0
#include "zcrx/buffer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include "lib/ifq/buffer_ledger.h"

namespace zcrx::inline v0 {
namespace internal {

void AddReference(BufferRecord* record) {
  CheckReferenced(*record, "used after it was returned");
  // Relaxed: whoever adds a reference has one, so the record cannot end meanwhile.
  record->references.fetch_add(1, std::memory_order_relaxed);
}

BufferRecord* NewHeapRecord(std::span<const std::byte> bytes) {
  // The bytes lie behind their record, in one allocation.
  void* storage = ::operator new(sizeof(BufferRecord) + bytes.size());
  auto* record = new (storage) BufferRecord;
  auto* copy = static_cast<std::byte*>(storage) + sizeof(BufferRecord);
  std::memcpy(copy, bytes.data(), bytes.size());
  record->bytes = {copy, bytes.size()};
  record->references.store(1, std::memory_order_relaxed);
  return record;
}

}  // namespace internal

Buffer Buffer::Slice(size_t offset, size_t length) const {
  offset = std::min(offset, bytes_.size());
  length = std::min(length, bytes_.size() - offset);
  if (length == 0) return {};
  const std::span<const std::byte> part = bytes().subspan(offset, length);
  internal::AddReference(record_);
  return {part, record_};
}

Buffer Buffer::Copy() const {
  if (empty()) return {};
  internal::BufferRecord* record = internal::NewHeapRecord(bytes());
  return {record->bytes, record};
}

absl::Cord Buffer::ToCord() && {
  if (empty()) return {};
  // Abseil may have a string_view of its own.
  const absl::string_view bytes(reinterpret_cast<const char*>(data()), size());
  // The Cord owns the function object, and the buffer with it.
  return absl::MakeCordFromExternal(bytes, [buffer = std::move(*this)] {});
}

}  // namespace zcrx::inline v0
