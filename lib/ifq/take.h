// SPDX-License-Identifier: Apache-2.0
//
// The way of received bytes from the kernel's word to the ledger. Works on any memory.
#ifndef ZCRX_LIB_IFQ_TAKE_H_
#define ZCRX_LIB_IFQ_TAKE_H_

#include <cstddef>
#include <cstdint>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ring/rbuf_ring.h"
#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::internal {

// Appends the record of the `length` bytes at `offset`, as a completion has it, to
// `fragments`, put down to `account` if there is one. False if the kernel named bytes outside the area, or
// none at all.
inline bool TakeFragment(BufferLedger& ledger, uint64_t area_token, uint64_t offset, uint32_t length,
                         bool copied, RecordQueue& fragments, Account* account);

// The same when the ledger has to make records first. Apart and last: with a call in its midst the usual way
// would have to save registers, of what it costs a twentieth.
[[gnu::noinline, gnu::cold]] inline bool GrowAndTakeFragment(BufferLedger& ledger, uint64_t area_token,
                                                             uint64_t offset, uint32_t length, bool copied,
                                                             RecordQueue& fragments, Account* account) {
  ledger.Grow();
  return TakeFragment(ledger, area_token, offset, length, copied, fragments, account);
}

inline bool TakeFragment(BufferLedger& ledger, uint64_t area_token, uint64_t offset, uint32_t length,
                         bool copied, RecordQueue& fragments, Account* account) {
  const uint64_t position = offset - area_token;  // of another area: beyond all bytes of this one
  const size_t bytes = ledger.region().bytes();
  if (position > bytes || length > bytes - position || length == 0) return false;
  if (!ledger.has_free_record())
    return GrowAndTakeFragment(ledger, area_token, offset, length, copied, fragments, account);
  // The offset is also what the piece goes back by.
  BufferRecord* record = ledger.Issue(position, length, offset, copied);
  if (account != nullptr) BufferLedger::Assign(record, account);
  fragments.Push(record);
  return true;
}

// The same for the next `count` entries of the rbuf ring: all of them, or, if one is not sound, none; the
// pieces of the others go back.
inline bool TakeFragments(BufferLedger& ledger, uint64_t area_token, RbufRing& ring, uint32_t count,
                          RecordQueue& fragments, Account* account) {
  const uint64_t before = fragments.size();
  bool sound = true;
  const bool there = ring.Pop(count, [&](const uapi::RbufCqe& entry) {
    const bool copied = (entry.flags & uapi::kRbufCopied) != 0;
    sound &= TakeFragment(ledger, area_token, entry.off, entry.len, copied, fragments, account);
  });
  if (there && sound) return true;
  fragments.DropAllBut(before);
  return false;
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_TAKE_H_
