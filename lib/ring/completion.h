// SPDX-License-Identifier: Apache-2.0
//
// One completion of the kernel, decoded, and who gets it.
#ifndef ZCRX_LIB_RING_COMPLETION_H_
#define ZCRX_LIB_RING_COMPLETION_H_

#include <liburing.h>

#include <cstdint>

namespace zcrx::inline v0::internal {

struct Completion {
  int32_t res;         // a count, or a negated errno
  uint32_t flags;      // IORING_CQE_F_*
  uint64_t zc_offset;  // only of a RECV_ZC completion with F_MORE: area and offset of the bytes

  // More completions of the same request follow.
  bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
};

// Gets the completions of the requests it was named as handler of. Must stay
// where it is until the completion without more().
class CompletionHandler {
 public:
  virtual void OnCompletion(Completion completion) = 0;

 protected:
  ~CompletionHandler() = default;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_COMPLETION_H_
