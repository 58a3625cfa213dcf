// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/misuse.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "lib/ifq/buffer_ledger.h"

namespace zcrx::inline v0::internal {

#ifdef NDEBUG

// Exists, as the program may be a debug build with a library that is none.
void CheckHeld(const BufferRecord*, std::span<const std::byte>) {}

#else

namespace {

[[noreturn]] void Die(const char* what, std::span<const std::byte> bytes, const char* stream) {
  std::fprintf(stderr, "zcrx: a buffer was %s: %zu bytes at %p, %s\n", what, bytes.size(),
               static_cast<const void*>(bytes.data()), stream);
  std::abort();
}

[[noreturn]] void Die(const char* what, const BufferRecord& record) {
  const uint64_t number = record.guard.stream();
  char stream[40] = "of no stream";
  if (number != 0) std::snprintf(stream, sizeof(stream), "stream %" PRIu64, number);
  Die(what, record.bytes, stream);
}

// Whether `part` lies in `whole`.
bool IsPart(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

}  // namespace

void CheckHeld(const BufferRecord* record, std::span<const std::byte> bytes) {
  constexpr const char* kWhat = "used after it was returned";
  CheckReferenced(*record, kWhat);
  // The record may have been issued again meanwhile, for other bytes.
  if (!IsPart(bytes, record->bytes))
    Die(kWhat, bytes, "stream unknown: its record is another fragment's by now");
}

void CheckReferenced(const BufferRecord& record, const char* what) {
  // Relaxed: who has a reference sees that it is there.
  if (record.references.load(std::memory_order_relaxed) == 0) Die(what, record);
}

void RecordGuard::Move(Place from, Place to, const BufferRecord& record, const char* what) {
  // Relaxed: it orders nothing.
  if (place_.exchange(to, std::memory_order_relaxed) != from) Die(what, record);
}

void RecordGuard::OnIssue(const BufferRecord& record) {
  Move(Place::kFree, Place::kOut, record, "issued before it was settled");
  stream_ = 0;
}

void RecordGuard::OnReturn(const BufferRecord& record) {
  Move(Place::kOut, Place::kReturned, record, "returned twice");
}

void RecordGuard::OnSettle(const BufferRecord& record) {
  Move(Place::kReturned, Place::kFree, record, "settled twice, or before it was returned");
}

void RecordGuard::OnLedgerEnd(const BufferRecord& record) const {
  if (place_.load(std::memory_order_relaxed) == Place::kOut)
    Die("still held at the end of its region", record);
}

#endif

}  // namespace zcrx::inline v0::internal
