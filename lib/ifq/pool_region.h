// SPDX-License-Identifier: Apache-2.0
//
// The pool region: the memory that payload is received into.
#ifndef ZCRX_LIB_IFQ_POOL_REGION_H_
#define ZCRX_LIB_IFQ_POOL_REGION_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "zcrx/interface_queue.h"

namespace zcrx::inline v0::internal {

// Owns the mapping. Move-only.
class PoolRegion {
 public:
  // Maps memory as `options` say. `nic_node` is the NUMA node of the NIC, if any.
  // Errors: InvalidArgument for impossible sizes; ENOMEM, with the sysctl that
  // helps, if there are not enough (huge) pages.
  static absl::StatusOr<PoolRegion> Map(const PoolOptions& options, std::optional<int> nic_node);

  PoolRegion() = default;
  PoolRegion(PoolRegion&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        piece_bytes_(other.piece_bytes_) {}
  PoolRegion& operator=(PoolRegion&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(piece_bytes_, other.piece_bytes_);
    return *this;
  }
  ~PoolRegion();

  std::byte* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  size_t piece_bytes() const { return piece_bytes_; }
  size_t pieces() const { return bytes_ / piece_bytes_; }

 private:
  PoolRegion(std::byte* base, size_t bytes, size_t piece_bytes)
      : base_(base), bytes_(bytes), piece_bytes_(piece_bytes) {}

  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
  size_t piece_bytes_ = 1;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_POOL_REGION_H_
