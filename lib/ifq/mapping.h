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

// Owns anonymous, zeroed memory that a fork does not copy: the kernel pins it, and
// a child has no use for it. Move-only.
class Mapping {
 public:
  // Whole pages, aligned to `alignment` where that is more than a page; `flags` are
  // more flags of mmap(2). On failure the result is empty and errno says why.
  static Mapping Map(size_t bytes, size_t alignment = 0, int flags = 0);

  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();

  bool empty() const { return base_ == nullptr; }
  std::byte* base() const { return base_; }
  size_t bytes() const { return bytes_; }

 private:
  Mapping(std::byte* base, size_t bytes) : base_(base), bytes_(bytes) {}

  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_MAPPING_H_
