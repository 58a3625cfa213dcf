// SPDX-License-Identifier: Apache-2.0
//
// The io_uring of a runtime: requests with a handler each, one system call per
// turn, completions handed to their handlers.
#ifndef ZCRX_LIB_RING_RING_H_
#define ZCRX_LIB_RING_RING_H_

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/ring/completion.h"
#include "lib/ring/completion_queue.h"
#include "lib/uapi/log.h"

namespace zcrx::inline v0::internal {

// The kernel's form of a duration.
inline __kernel_timespec ToTimespec(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
}

struct RingOptions {
  uint32_t submission_entries;
  uint32_t completion_entries;
  bool wide_completions;  // CQE32, which zero-copy receive without an rbuf ring wants
  bool disabled = false;  // for another process: takes registrations, and nothing else until Adopt()
};

// All calls on the thread that created or adopted it (SINGLE_ISSUER; the kernel answers -EEXIST to others).
class Ring {
 public:
  static absl::StatusOr<std::unique_ptr<Ring>> Create(const RingOptions& options);
  // One that was created disabled, by its descriptor, which it takes over, and what params() was there.
  static absl::StatusOr<std::unique_ptr<Ring>> Adopt(int fd, const io_uring_params& params);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // A cleared submission entry whose completions go to `handler`, or to nobody
  // if it is null. Submits what is there if the submission queue is full.
  io_uring_sqe* Prepare(CompletionHandler* handler);

  // Prepares the cancellation of all requests of `handler`. They still complete, mostly with -ECANCELED.
  void PrepareCancel(CompletionHandler* handler);
  // The same for every request of the ring.
  void PrepareCancelAll();

  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

  // Submits what has been prepared, lets the kernel do its deferred work, and, if
  // `max_wait` is more than zero, waits for a completion for at most that long;
  // kForever: without a limit.
  absl::Status SubmitAndWait(std::chrono::nanoseconds max_wait);

  // Hands all completions to their handlers, also those the kernel kept aside
  // because the queue had overflowed. Afterwards the queue is empty.
  uint64_t DispatchCompletions();

  // io_uring_register(2). Returns 0 or more, or a negated errno.
  int Register(unsigned opcode, void* argument, unsigned count);

  int fd() const { return ring_.ring_fd; }
  const io_uring_params& params() const { return params_; }

  // Size of an entry of the completion queue.
  size_t completion_entry_bytes() const { return completions_.entry_bytes(); }
  // Requests whose last completion has not come yet.
  uint64_t in_flight() const { return in_flight_; }
  // Something has been prepared and not submitted.
  bool has_prepared() const { return io_uring_sq_ready(&ring_) > 0; }
  // Times the completion queue had overflowed.
  uint64_t overflows() const { return overflows_; }

  // For loops that are not ours: becomes readable when, after StartNotifying() and
  // before StopNotifying(), there is something to do.
  int notification_fd() const { return notification_fd_; }
  // From now on the kernel is to tell. `now`: it is readable at once.
  void StartNotifying(bool now);
  // There is something to do that the kernel does not know of.
  void NotifyNow() {
    if (!quiet_) return;
    Notify();
  }
  // Forgets what was told.
  void StopNotifying();

 private:
  Ring() = default;
  absl::Status Start();
  absl::Status OpenNotification();
  void Notify();

  io_uring ring_ = {};
  io_uring_params params_ = {};
  int notification_fd_ = -1;
  bool quiet_ = false;  // notifying, and has not told anything itself
  CompletionQueue completions_;
  uint64_t in_flight_ = 0;
  uint64_t overflows_ = 0;
  LogLimit overflow_log_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RING_RING_H_
