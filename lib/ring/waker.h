// SPDX-License-Identifier: Apache-2.0
//
// Wakes the owner of a ring out of its wait from any thread, by an eventfd that
// the ring polls.
#ifndef ZCRX_LIB_RING_WAKER_H_
#define ZCRX_LIB_RING_WAKER_H_

#include <memory>

#include "absl/status/statusor.h"

namespace zcrx::inline v0::internal {

// Shared between the owner and whoever may want to wake it, as a thread may be
// in the middle of Wake() when the owner goes away. Wake() is thread-safe and
// async-signal-safe.
class Waker {
 public:
  static absl::StatusOr<std::shared_ptr<Waker>> Create();
  explicit Waker(int fd) : fd_(fd) {}
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void Wake();
  // Forgets the wake-ups so far. Owner only.
  void Clear();
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_WAKER_H_
