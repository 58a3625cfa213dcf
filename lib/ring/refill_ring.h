// SPDX-License-Identifier: Apache-2.0
//
// The refill ring: we tell the kernel which pieces of the pool region we are done
// with. Two phases: Stage() writes entries that the kernel cannot see yet,
// Publish() makes all of them visible with one store. Works on any memory.
#ifndef ZCRX_LIB_RING_REFILL_RING_H_
#define ZCRX_LIB_RING_REFILL_RING_H_

#include <atomic>
#include <cstdint>

#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::internal {

// Single producer: all calls on the ring's thread. Indices run freely over all
// of uint32_t; the slot is the index modulo the size. We move the tail, the
// kernel moves the head.
class RefillRing {
 public:
  struct Memory {
    uint32_t* head;
    uint32_t* tail;
    uapi::Rqe* entries;
    uint32_t size;  // a power of two
  };

  RefillRing() = default;
  explicit RefillRing(const Memory& memory)
      : memory_(memory),
        staged_(std::atomic_ref(*memory.tail).load(std::memory_order_relaxed)),
        published_(staged_) {
    SeeHead();
  }

  // Writes an entry that gives back the piece at `offset` (with its area). False
  // if the ring is full: the caller keeps the piece and tries again later.
  bool Stage(uint64_t offset) {
    // Where the kernel is is only looked up anew when the ring looks full.
    if (staged_ == end_ && !SeeHead()) return false;
    memory_.entries[staged_ & (memory_.size - 1)] = {.off = offset, .len = 0, .pad = 0};
    ++staged_;
    return true;
  }

  // Shows the staged entries to the kernel; returns how many.
  uint32_t Publish() {
    const uint32_t count = staged_ - published_;
    if (count == 0) return 0;
    // Release: the entries are written before the kernel sees the tail beyond them.
    std::atomic_ref(*memory_.tail).store(staged_, std::memory_order_release);
    published_ = staged_;
    return count;
  }

  // Published entries that the kernel has not taken yet.
  uint32_t lag() const {
    // Relaxed: a figure for people; no entry is touched on its account.
    return published_ - std::atomic_ref(*memory_.head).load(std::memory_order_relaxed);
  }

 private:
  // False if the ring is full.
  bool SeeHead() {
    // Acquire: pairs with the kernel's release of the head; it has read the entry before we write it again.
    end_ = std::atomic_ref(*memory_.head).load(std::memory_order_acquire) + memory_.size;
    return staged_ != end_;
  }

  Memory memory_ = {};
  uint32_t end_ = 0;        // where it is full: one round after the kernel's head when last looked at
  uint32_t staged_ = 0;     // our tail
  uint32_t published_ = 0;  // the tail that the kernel sees
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_REFILL_RING_H_
