// SPDX-License-Identifier: Apache-2.0
//
// The way of a returned piece back to the kernel. Works on any memory.
#ifndef ZCRX_LIB_IFQ_GIVE_BACK_H_
#define ZCRX_LIB_IFQ_GIVE_BACK_H_

#include <cstdint>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ring/refill_ring.h"

namespace zcrx::inline v0::internal {

// Gives back what has been returned, as far as the refill ring has room; the rest
// waits with the ledger for the next time. Returns how many were given.
inline uint32_t GiveBack(BufferLedger& ledger, RefillRing& refill) {
  ledger.Settle([&](uint64_t token) { return refill.Stage(token); });
  return refill.Publish();
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_GIVE_BACK_H_
