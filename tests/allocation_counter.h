// SPDX-License-Identifier: Apache-2.0
//
// Counts every operator new of the program that includes this, once per program.
#ifndef ZCRX_TESTS_ALLOCATION_COUNTER_H_
#define ZCRX_TESTS_ALLOCATION_COUNTER_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace zcrx {

inline std::atomic<uint64_t> allocation_count = 0;

inline uint64_t AllocationCount() { return allocation_count.load(std::memory_order_relaxed); }

}  // namespace zcrx

// Replacements must not be inline; this header belongs into one file per program. Nor may they be inlined:
// where g++ 12 inlines but one of the two it sees a mismatch of malloc and delete.
[[gnu::noinline]] void* operator new(size_t bytes) {
  zcrx::allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* storage = std::malloc(bytes)) return storage;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* storage) noexcept { std::free(storage); }
[[gnu::noinline]] void operator delete(void* storage, size_t) noexcept { std::free(storage); }

#endif  // ZCRX_TESTS_ALLOCATION_COUNTER_H_
