// SPDX-License-Identifier: Apache-2.0
//
// Reads completions off the mapped completion ring. Works on any memory laid out
// like the kernel's, so that it is tested and measured without one.
#ifndef ZCRX_LIB_RING_COMPLETION_QUEUE_H_
#define ZCRX_LIB_RING_COMPLETION_QUEUE_H_

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/ring/completion.h"

namespace zcrx::inline v0::internal {

// A view of a completion ring. Indices run freely over all of uint32_t; the slot
// is the index modulo the size. The kernel moves the tail, we move the head.
class CompletionQueue {
 public:
  struct Memory {
    uint32_t* head;
    uint32_t* tail;
    io_uring_cqe* entries;
    uint32_t size;  // a power of two
    bool wide;      // entries of 32 bytes (IORING_SETUP_CQE32)
  };

  CompletionQueue() = default;
  explicit CompletionQueue(const Memory& memory) : memory_(memory) {}

  // Calls `handle(user_data, completion)` for all completions that are there,
  // also for those that come meanwhile; returns how many. `handle` may submit.
  template <typename Handle>
  uint64_t Drain(Handle&& handle) {
    // Does not change; in variables, as the compiler cannot know that of what `handle` may reach.
    uint32_t* const our_head = memory_.head;
    const io_uring_cqe* const entries = memory_.entries;
    const uint32_t mask = memory_.size - 1;
    const unsigned wide = memory_.wide ? 1 : 0;
    uint64_t handled = 0;
    // The head is ours alone: nobody else writes it.
    uint32_t head = std::atomic_ref(*our_head).load(std::memory_order_relaxed);
    while (true) {
      // Acquire: pairs with the kernel's release of the tail, so that the entries before it are there.
      const uint32_t tail = std::atomic_ref(*memory_.tail).load(std::memory_order_acquire);
      if (head == tail) return handled;
      handled += tail - head;
      do {
        const io_uring_cqe* entry = entries + (size_t{head & mask} << wide);
        const uint64_t user_data = entry->user_data;
        const Completion completion = {
            .res = entry->res, .flags = entry->flags, .zc_offset = wide != 0 ? entry->big_cqe[0] : 0};
        ++head;
        // Release: the entry has been read before the kernel may write it again.
        // Per entry, so that the handler finds room if it makes the kernel post more.
        std::atomic_ref(*our_head).store(head, std::memory_order_release);
        handle(user_data, completion);
      } while (head != tail);
    }
  }

  size_t entry_bytes() const { return sizeof(io_uring_cqe) * (memory_.wide ? 2 : 1); }

 private:
  Memory memory_ = {};
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_COMPLETION_QUEUE_H_
