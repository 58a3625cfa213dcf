// SPDX-License-Identifier: Apache-2.0
//
// The rbuf completion ring: the kernel tells us which bytes have arrived where in
// the pool region. A completion of the main queue says how many entries it is
// about; Pop() takes them. Works on any memory.
#ifndef ZCRX_LIB_RING_RBUF_RING_H_
#define ZCRX_LIB_RING_RBUF_RING_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::internal {

// Single consumer: all calls on the ring's thread. Indices run freely over all of
// uint32_t; the slot is the index modulo the size. The kernel moves the tail, we
// move the head.
class RbufRing {
 public:
  struct Memory {
    uint32_t* head;
    uint32_t* tail;
    const uapi::RbufCqe* entries;
    uint32_t size;  // a power of two
  };

  // Most bytes that a ring of so many entries takes, wherever it is put: head and
  // tail in a cache line each, then the entries, all of it aligned to cache lines.
  static constexpr size_t BytesFor(uint32_t entries) {
    return 3 * kCacheLine + size_t{entries} * sizeof(uapi::RbufCqe);
  }

  // The ring where the kernel says it put it, in a region that starts at `base`.
  // Nothing if that is not wholly between the offsets `begin` and `end`: to go on
  // would be to read and write what is not the ring.
  static std::optional<Memory> Locate(std::byte* base, size_t begin, size_t end,
                                      const uapi::RbufCqReg& layout) {
    const auto inside = [&](size_t offset, size_t bytes, size_t alignment) {
      return offset >= begin && offset % alignment == 0 && end >= bytes && offset <= end - bytes;
    };
    if (!std::has_single_bit(layout.cq_entries) || layout.cq_entries > uapi::kMaxRbufEntries) return {};
    const size_t entry_bytes = layout.cq_entries * sizeof(uapi::RbufCqe);
    if (!inside(layout.head, sizeof(uint32_t), alignof(uint32_t)) ||
        !inside(layout.tail, sizeof(uint32_t), alignof(uint32_t)) ||
        !inside(layout.cqes, entry_bytes, alignof(uapi::RbufCqe))) {
      return {};
    }
    // The head is what we write.
    if (layout.head == layout.tail || (layout.head >= layout.cqes && layout.head - layout.cqes < entry_bytes))
      return {};
    return Memory{.head = reinterpret_cast<uint32_t*>(base + layout.head),
                  .tail = reinterpret_cast<uint32_t*>(base + layout.tail),
                  .entries = reinterpret_cast<const uapi::RbufCqe*>(base + layout.cqes),
                  .size = layout.cq_entries};
  }

  explicit RbufRing(const Memory& memory)
      // Relaxed: the head is ours alone, and the tail is looked at anew before any entry is.
      : memory_(memory), head_(std::atomic_ref(*memory.head).load(std::memory_order_relaxed)), tail_(head_) {}

  // Calls `handle(entry)` for the next `count` entries, in order, and gives their
  // slots back. False, for ever and without any call, once the kernel has told of
  // entries that are not there: which entry belongs to which stream is then unknown.
  template <typename Handle>
  bool Pop(uint32_t count, Handle&& handle) {
    if (tail_ - head_ < count && !SeeTail(count)) return false;
    // In variables, as the compiler cannot know that `handle` changes none of it.
    const uapi::RbufCqe* const entries = memory_.entries;
    const uint32_t mask = memory_.size - 1;
    const uint32_t end = head_ + count;
    for (uint32_t head = head_; head != end; ++head) {
      const uapi::RbufCqe entry = entries[head & mask];
      handle(entry);
    }
    popped_ += end - head_;
    head_ = end;
    // Release: the entries have been read before the kernel may write them again.
    std::atomic_ref(*memory_.head).store(head_, std::memory_order_release);
    return true;
  }

  // Entries taken since the start.
  uint64_t popped() const { return popped_; }

 private:
  static constexpr size_t kCacheLine = 64;

  // Looks how far the kernel is. False if that is less than `count` entries, or impossible.
  bool SeeTail(uint32_t count) {
    if (broken_) return false;
    // Acquire: pairs with the kernel's release of the tail; the entries before it are there. (It wrote the
    // tail before the completion that made us look, so the tail is never behind that.)
    tail_ = std::atomic_ref(*memory_.tail).load(std::memory_order_acquire);
    const uint32_t there = tail_ - head_;
    broken_ = there < count || there > memory_.size;
    if (broken_) tail_ = head_;  // so that this is asked every time from now on
    return !broken_;
  }

  Memory memory_;
  uint32_t head_;  // the next entry to take
  uint32_t tail_;  // the kernel's tail when last looked at
  uint64_t popped_ = 0;
  bool broken_ = false;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_RBUF_RING_H_
