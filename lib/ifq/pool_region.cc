// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/pool_region.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// IORING_REGISTER_ZCRX_IFQ takes areas of at most 1 TiB.
constexpr size_t kMostBytes = size_t{1} << 40;

absl::Status CheckSizes(const PoolOptions& options) {
  if (!std::has_single_bit(options.buffer_bytes) || options.buffer_bytes < PageBytes()) {
    return absl::InvalidArgumentError(absl::StrCat("PoolOptions::buffer_bytes is ", options.buffer_bytes,
                                                   "; it must be a power of two and at least a page (",
                                                   PageBytes(), ")"));
  }
  if (options.bytes < options.buffer_bytes || options.bytes > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat("PoolOptions::bytes is ", options.bytes,
                                                   "; it must be between one piece (", options.buffer_bytes,
                                                   ") and 1 TiB"));
  }
  return absl::OkStatus();
}

absl::Status MapError(int error, size_t bytes, bool huge) {
  if (!huge) return ErrnoStatus(error, absl::StrCat("mapping a pool region of ", bytes, " bytes"));
  const size_t pages = bytes / kHugePageBytes;
  return ErrnoStatus(
      error, absl::StrCat("mapping ", pages, " huge pages of 2 MiB; ",
                          error == ENOMEM ? absl::StrCat("reserve them with: sysctl vm.nr_hugepages=", pages)
                                          : "this kernel has none of that size (CONFIG_HUGETLBFS)"));
}

absl::Status BindToNode(void* memory, size_t bytes, int node) {
  constexpr int kMostNodes = 1024;
  constexpr int kWordBits = 64;
  if (node < 0 || node >= kMostNodes) {
    return absl::InvalidArgumentError(absl::StrCat("PoolOptions::numa_node ", node, " is not a NUMA node"));
  }
  uint64_t mask[kMostNodes / kWordBits] = {};
  mask[node / kWordBits] = uint64_t{1} << (node % kWordBits);
  // libnuma would be a dependency for this one call. MPOL_PREFERRED: memory of another node beats none.
  if (syscall(__NR_mbind, memory, bytes, MPOL_PREFERRED, mask, kMostNodes, 0) == 0) return absl::OkStatus();
  // ENOSYS: a kernel without NUMA has but one node, and there the memory is.
  if (errno == ENOSYS && node == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("binding the pool region to NUMA node ", node));
}

}  // namespace

absl::StatusOr<PoolRegion> PoolRegion::Map(const PoolOptions& options, std::optional<int> nic_node,
                                           bool shareable) {
  if (absl::Status checked = CheckSizes(options); !checked.ok()) return checked;

  const bool huge = options.pages == PoolPages::kHuge;
  const size_t page = options.pages == PoolPages::kNormal ? PageBytes() : kHugePageBytes;
  const size_t bytes = RoundUp(RoundUp(options.bytes, options.buffer_bytes), page);
  const MappingOptions mapping = {
      .alignment = options.pages == PoolPages::kTransparentHuge ? kHugePageBytes : 0, .huge_pages = huge};
  Mapping memory = shareable ? Mapping::MapShareable(bytes, mapping) : Mapping::Map(bytes, mapping);
  if (memory.empty()) return MapError(errno, bytes, huge);
  // Advice only: a kernel without transparent huge pages answers EINVAL, and small pages do.
  if (options.pages == PoolPages::kTransparentHuge) madvise(memory.base(), bytes, MADV_HUGEPAGE);

  if (const std::optional<int> node = options.numa_node.has_value() ? options.numa_node : nic_node) {
    if (absl::Status bound = BindToNode(memory.base(), bytes, *node); !bound.ok()) return bound;
  }
  return PoolRegion(std::move(memory), options.buffer_bytes);
}

}  // namespace zcrx::inline v0::internal
