// SPDX-License-Identifier: Apache-2.0
//
// Memory that is shared with the kernel: regions and rings.
#ifndef ZCRX_LIB_IFQ_MAPPING_H_
#define ZCRX_LIB_IFQ_MAPPING_H_

#include <cstddef>
#include <utility>

namespace zcrx::inline v0::internal {

size_t PageBytes();

// `bytes` rounded up to whole units.
constexpr size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// How a mapping is had. On failure it is empty and errno says why.
struct MappingOptions {
  size_t alignment = 0;     // where that is more than a page
  bool huge_pages = false;  // which must have been reserved
  // Of shareable memory: its name in /proc, and whether others can read it only.
  const char* name = "zcrx";
  bool others_read = false;
};

// Owns zeroed memory that a fork does not copy: the kernel pins it, and a child has
// no use for it there. Move-only.
class Mapping {
 public:
  // Whole pages.
  static Mapping Map(size_t bytes, const MappingOptions& options = {});
  // The same that can be mapped by others as well, by the file descriptor memory_fd(). Nobody can change its
  // size.
  static Mapping MapShareable(size_t bytes, const MappingOptions& options = {});
  // What another process has mapped shareable, by its descriptor, which stays the caller's.
  static Mapping MapShared(int memory_fd, size_t bytes, const MappingOptions& options = {});

  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        memory_fd_(std::exchange(other.memory_fd_, -1)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(memory_fd_, other.memory_fd_);
    return *this;
  }
  ~Mapping();

  bool empty() const { return base_ == nullptr; }
  std::byte* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  // Of memory that was mapped shareable; else -1.
  int memory_fd() const { return memory_fd_; }

 private:
  Mapping(std::byte* base, size_t bytes) : base_(base), bytes_(bytes) {}

  static Mapping MapAt(int fd, int flags, size_t bytes, size_t alignment);

  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
  int memory_fd_ = -1;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_MAPPING_H_
