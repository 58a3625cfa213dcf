// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/mapping.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace zcrx::inline v0::internal {

namespace {

size_t AlignmentOf(const MappingOptions& options) {
  return options.huge_pages ? std::max(options.alignment, kHugePageBytes) : options.alignment;
}

}  // namespace

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Mapping Mapping::MapAt(int fd, int flags, size_t bytes, size_t alignment) {
  bytes = RoundUp(bytes, PageBytes());
  const size_t slack = alignment > PageBytes() ? alignment : 0;
  // A place to put it first: what is mapped there is replaced.
  void* place = mmap(nullptr, bytes + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return {};
  const auto start = reinterpret_cast<uintptr_t>(place);
  const size_t before = slack > 0 ? RoundUp(start, alignment) - start : 0;
  auto* base = static_cast<std::byte*>(place) + before;
  if (before > 0) munmap(place, before);
  if (before < slack) munmap(base + bytes, slack - before);
  if (mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0) == MAP_FAILED) {
    const int error = errno;
    munmap(base, bytes);
    errno = error;
    return {};
  }
  // Cannot fail on a mapping of ours. Without it a fork would copy all that the kernel has pinned.
  madvise(base, bytes, MADV_DONTFORK);
  return {base, bytes};
}

Mapping Mapping::Map(size_t bytes, const MappingOptions& options) {
  const int huge = options.huge_pages ? MAP_HUGETLB | MAP_HUGE_2MB : 0;
  return MapAt(-1, MAP_PRIVATE | MAP_ANONYMOUS | huge, bytes, AlignmentOf(options));
}

Mapping Mapping::MapShareable(size_t bytes, const MappingOptions& options) {
  const unsigned huge = options.huge_pages ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
  const int fd = memfd_create(options.name, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
  if (fd < 0) return {};
  // Sealed: whoever else has it could else take pages away that the other touches.
  const int seals =
      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (options.others_read ? F_SEAL_FUTURE_WRITE : 0);
  Mapping mapping;
  if (ftruncate(fd, static_cast<off_t>(RoundUp(bytes, PageBytes()))) == 0)
    mapping = MapShared(fd, bytes, options);
  // Afterwards: the mapping is what writes.
  if (!mapping.empty() && fcntl(fd, F_ADD_SEALS, seals) != 0) {
    const int error = errno;
    mapping = {};
    errno = error;
  }
  const int error = errno;
  if (mapping.empty()) {
    close(fd);
  } else {
    mapping.memory_fd_ = fd;
  }
  errno = error;
  return mapping;
}

Mapping Mapping::MapShared(int memory_fd, size_t bytes, const MappingOptions& options) {
  return MapAt(memory_fd, MAP_SHARED, bytes, AlignmentOf(options));
}

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, bytes_);
  if (memory_fd_ >= 0) close(memory_fd_);
}

}  // namespace zcrx::inline v0::internal
