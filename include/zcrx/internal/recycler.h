// SPDX-License-Identifier: Apache-2.0
//
// Storage that is handed out again instead of freed: coroutine frames and the
// arrays of buffer chains come and go with every received buffer, and the data
// path must not call malloc once it is warm. Internal to zcrx.
#ifndef ZCRX_INTERNAL_RECYCLER_H_
#define ZCRX_INTERNAL_RECYCLER_H_

#include <cstddef>

namespace zcrx::inline v0::internal {

// Storage of at least `bytes`, aligned for any type. Comes from the calling
// thread's free lists where they have it. Free with RecycleStorage() on any thread.
void* RecycledStorage(size_t bytes);

// Takes back what RecycledStorage(bytes) gave, with the same `bytes`.
void RecycleStorage(void* storage, size_t bytes) noexcept;

// The same as a standard allocator.
template <typename T>
struct RecyclingAllocator {
  using value_type = T;

  RecyclingAllocator() = default;
  // Allocators rebind.
  template <typename U>
  RecyclingAllocator(const RecyclingAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(size_t count) { return static_cast<T*>(RecycledStorage(count * sizeof(T))); }
  void deallocate(T* storage, size_t count) noexcept { RecycleStorage(storage, count * sizeof(T)); }
  friend bool operator==(const RecyclingAllocator&, const RecyclingAllocator&) { return true; }
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_INTERNAL_RECYCLER_H_
