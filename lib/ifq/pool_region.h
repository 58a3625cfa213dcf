// SPDX-License-Identifier: Apache-2.0
//
// The pool region: the memory that payload is received into.
#ifndef ZCRX_LIB_IFQ_POOL_REGION_H_
#define ZCRX_LIB_IFQ_POOL_REGION_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/ifq/mapping.h"
#include "zcrx/interface_queue.h"

namespace zcrx::inline v0::internal {

// Owns the mapping. Move-only.
class PoolRegion {
 public:
  // Maps memory as `options` say. `nic_node` is the NUMA node of the NIC, if any.
  // Errors: InvalidArgument for impossible sizes; ENOMEM, with the sysctl that
  // helps, if there are not enough (huge) pages.
  // `shareable`: another process can map it, too.
  static absl::StatusOr<PoolRegion> Map(const PoolOptions& options, std::optional<int> nic_node,
                                        bool shareable = false);

  // What another process has mapped.
  PoolRegion(Mapping memory, size_t piece_bytes) : memory_(std::move(memory)), piece_bytes_(piece_bytes) {}

  std::byte* base() const { return memory_.base(); }
  size_t bytes() const { return memory_.bytes(); }
  size_t piece_bytes() const { return piece_bytes_; }
  size_t pieces() const { return bytes() / piece_bytes_; }

  int memory_fd() const { return memory_.memory_fd(); }

 private:
  Mapping memory_;
  size_t piece_bytes_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_POOL_REGION_H_
