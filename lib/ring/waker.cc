// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "zcrx/status.h"

namespace zcrx::inline v0::internal {

absl::StatusOr<std::shared_ptr<Waker>> Waker::Create() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, "eventfd");
  return std::make_shared<Waker>(fd);
}

Waker::~Waker() { close(fd_); }

void Waker::Wake() {
  const int saved_errno = errno;  // may run in a signal handler
  const uint64_t one = 1;
  // Fails only with EAGAIN, when the counter is at its limit: then it is awake already.
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  errno = saved_errno;
}

void Waker::Clear() {
  uint64_t count;
  // EAGAIN: there was nothing to forget.
  [[maybe_unused]] const ssize_t bytes = read(fd_, &count, sizeof(count));
}

}  // namespace zcrx::inline v0::internal
