// SPDX-License-Identifier: Apache-2.0
//
// Turns the errno of IORING_REGISTER_ZCRX_IFQ into a status that names the cause
// and the fix.
#ifndef ZCRX_LIB_IFQ_REGISTER_ERROR_H_
#define ZCRX_LIB_IFQ_REGISTER_ERROR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "zcrx/examination.h"

namespace zcrx::inline v0::internal {

// What tells apart the causes that share an errno. Unknown facts are absent.
struct RegisterFacts {
  std::string interface;
  std::string driver;  // empty: unknown
  uint32_t rx_queue = 0;
  size_t buffer_bytes = 0;
  size_t page_bytes = 0;
  size_t pool_bytes = 0;
  bool rbuf_ring = false;  // asked for, of a kernel that reports it
  bool kernel_knows_large_buffers = false;
  std::optional<uint64_t> memlock_limit;  // RLIMIT_MEMLOCK in bytes; absent: unlimited
  std::vector<netdev::Finding> findings;  // of Examine()
};

// The status for `error` (positive): what the errno means, and all that was found. The order of the kernel's
// checks is in io_uring/zcrx.c:io_register_zcrx() and net/core/netdev_rx_queue.c.
absl::Status RegisterError(int error, const RegisterFacts& facts);

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_REGISTER_ERROR_H_
