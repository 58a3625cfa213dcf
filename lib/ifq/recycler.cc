// SPDX-License-Identifier: Apache-2.0
#include "zcrx/internal/recycler.h"

#include <array>
#include <bit>
#include <cstdint>
#include <new>

#include "lib/ifq/poison.h"

namespace zcrx::inline v0::internal {
namespace {

struct FreeBlock {
  FreeBlock* next;
};

// Size classes are powers of two from 64 bytes to 64 KiB; larger requests are rare and go to the heap.
constexpr unsigned kSmallestShift = 6;
constexpr unsigned kClasses = 11;
// A thread that only frees what others allocate must not hoard.
constexpr unsigned kMostFreePerClass = 4096;

unsigned ClassOf(size_t bytes) {
  const unsigned shift = bytes <= (size_t{1} << kSmallestShift) ? kSmallestShift : std::bit_width(bytes - 1);
  return shift - kSmallestShift;
}

class FreeLists {
 public:
  ~FreeLists() {
    for (unsigned i = 0; i < kClasses; ++i) {
      while (void* block = Take(i)) ::operator delete(block);
    }
    alive_ = false;
  }

  void* Take(unsigned size_class) {
    List& list = lists_[size_class];
    FreeBlock* block = list.first;
    if (block == nullptr) return nullptr;
    Unpoison(block, size_t{1} << (size_class + kSmallestShift));
    list.first = block->next;
    --list.count;
    return block;
  }

  bool Keep(void* storage, unsigned size_class) {
    List& list = lists_[size_class];
    // Frames may still be freed by destructors that run after this one.
    if (!alive_ || list.count == kMostFreePerClass) return false;
    list.first = new (storage) FreeBlock{list.first};
    ++list.count;
    // Free storage must be as untouchable as freed memory, or recycling would hide a use after free from
    // AddressSanitizer.
    Poison(storage, size_t{1} << (size_class + kSmallestShift));
    return true;
  }

 private:
  struct List {
    FreeBlock* first = nullptr;
    unsigned count = 0;
  };
  std::array<List, kClasses> lists_ = {};
  bool alive_ = true;
};

thread_local FreeLists free_lists;

}  // namespace

void* RecycledStorage(size_t bytes) {
  const unsigned size_class = ClassOf(bytes);
  if (size_class >= kClasses) return ::operator new(bytes);
  if (void* block = free_lists.Take(size_class)) return block;
  return ::operator new(size_t{1} << (size_class + kSmallestShift));
}

void RecycleStorage(void* storage, size_t bytes) noexcept {
  const unsigned size_class = ClassOf(bytes);
  if (size_class >= kClasses || !free_lists.Keep(storage, size_class)) ::operator delete(storage);
}

}  // namespace zcrx::inline v0::internal
