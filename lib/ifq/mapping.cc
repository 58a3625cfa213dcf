// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace zcrx::inline v0::internal {

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Mapping Mapping::Map(size_t bytes, size_t alignment, int flags) {
  bytes = RoundUp(bytes, PageBytes());
  const size_t slack = alignment > PageBytes() ? alignment : 0;
  void* memory =
      mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED) return {};
  auto* base = static_cast<std::byte*>(memory);
  if (slack > 0) {
    const auto start = reinterpret_cast<uintptr_t>(memory);
    const size_t before = RoundUp(start, alignment) - start;
    base += before;
    if (before > 0) munmap(memory, before);
    if (before < slack) munmap(base + bytes, slack - before);
  }
  // Cannot fail on a mapping of ours. Without it a fork would copy all that the kernel has pinned.
  madvise(base, bytes, MADV_DONTFORK);
  return {base, bytes};
}

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

}  // namespace zcrx::inline v0::internal
