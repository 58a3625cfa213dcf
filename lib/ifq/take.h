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
// `fragments`. False if the kernel named bytes outside the area, or none at all.
inline bool TakeFragment(BufferLedger& ledger, uint64_t area_token, uint64_t offset, uint32_t length,
                         bool copied, RecordQueue& fragments) {
  const uint64_t position = offset - area_token;  // of another area: beyond all bytes of this one
  const size_t bytes = ledger.region().bytes();
  if (position > bytes || length > bytes - position || length == 0) return false;
  // The offset is also what the piece goes back by.
  fragments.Push(ledger.Issue(position, length, offset, copied));
  return true;
}

// The same for the next `count` entries of the rbuf ring; those that are sound are
// appended, also if others are not.
inline bool TakeFragments(BufferLedger& ledger, uint64_t area_token, RbufRing& ring, uint32_t count,
                          RecordQueue& fragments) {
  bool sound = true;
  const bool there = ring.Pop(count, [&](const uapi::RbufCqe& entry) {
    const bool copied = (entry.flags & uapi::kRbufCopied) != 0;
    sound &= TakeFragment(ledger, area_token, entry.off, entry.len, copied, fragments);
  });
  return there && sound;
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_TAKE_H_
