// SPDX-License-Identifier: Apache-2.0
//
// The region as fixed buffers of the ring: what is sent out of it is pinned once
// and not with each request.
#ifndef ZCRX_LIB_RING_FIXED_BUFFERS_H_
#define ZCRX_LIB_RING_FIXED_BUFFERS_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/ring/ring.h"

namespace zcrx::inline v0::internal {

class FixedBuffers {
 public:
  explicit FixedBuffers(Ring& ring) : ring_(ring) {}

  // Registers the memory, unless that has been tried. Without success (ENOMEM: it counts towards
  // RLIMIT_MEMLOCK a second time) nothing is ever found.
  void Register(std::span<std::byte> memory);

  // The buffer that all of `parts` lie in, if there is one.
  std::optional<uint16_t> Find(std::span<const iovec> parts) const;

 private:
  Ring& ring_;
  bool tried_ = false;
  std::span<std::byte> memory_;  // empty: not registered
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_FIXED_BUFFERS_H_
