// SPDX-License-Identifier: Apache-2.0
//
// A refill ring and all who give back through it: one runtime, or several, on a
// thread each, that share the interface queue. Works on any memory.
#ifndef ZCRX_LIB_IFQ_REFILL_H_
#define ZCRX_LIB_IFQ_REFILL_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/give_back.h"
#include "lib/ring/refill_ring.h"

namespace zcrx::inline v0::internal {

// Any thread if it is shared; else that of the ledger.
class Refill {
 public:
  explicit Refill(bool shared) : shared_(shared) {}

  bool shared() const { return shared_; }
  // Before anything else.
  void Use(const RefillRing& ring) { ring_ = ring; }

  // Gives back what has been returned to `ledger`, as far as the ring has room; the
  // rest waits with the ledger for the next time. Returns how many were given.
  uint32_t GiveBack(BufferLedger& ledger) {
    const std::unique_lock lock = LockIfShared();
    StageLate();
    return internal::GiveBack(ledger, ring_);
  }

  // A piece of a ledger that is closed has come back, while others go on with the
  // queue. At once, as nobody may come by for long. Only if it is shared.
  void GiveBackLate(uint64_t token) {
    const std::lock_guard lock(mutex_);
    late_.push_back(token);
    StageLate();
    ring_.Publish();
  }

  // Entries that the kernel has not taken yet.
  uint32_t lag() const {
    const std::unique_lock lock = LockIfShared();
    return ring_.lag();
  }

 private:
  // A runtime that has the queue for itself takes no lock.
  std::unique_lock<std::mutex> LockIfShared() const {
    return shared_ ? std::unique_lock(mutex_) : std::unique_lock<std::mutex>();
  }

  void StageLate() {
    while (!late_.empty() && ring_.Stage(late_.back())) late_.pop_back();
  }

  const bool shared_;
  mutable std::mutex mutex_;    // guards all below if it is shared
  RefillRing ring_;             // has one producer, whoever holds the lock
  std::vector<uint64_t> late_;  // for which the ring has had no room yet
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_REFILL_H_
