// SPDX-License-Identifier: Apache-2.0
#include "lib/ring/ring.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "zcrx/status.h"

namespace zcrx::inline v0::internal {

namespace {

absl::Status SetupError(int error) {
  switch (error) {
    case EINVAL:
      return ErrnoStatus(
          EINVAL,
          "io_uring_setup: the kernel is older than 6.1, or the queue sizes are off (completion_entries "
          "must be at least submission_entries, and at most 65536)");
    case ENOSYS:
      return ErrnoStatus(
          ENOSYS,
          "io_uring_setup: the kernel has no io_uring (CONFIG_IO_URING), or a seccomp filter hides it");
    case EPERM:
      return ErrnoStatus(
          EPERM, "io_uring_setup: forbidden by the sysctl kernel.io_uring_disabled or a seccomp filter");
    case ENOMEM:
      return ErrnoStatus(ENOMEM,
                         "io_uring_setup: no memory for the rings, or RLIMIT_MEMLOCK is too low (ulimit -l)");
    default:
      return ErrnoStatus(error, "io_uring_setup");
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ring>> Ring::Create(const RingOptions& options) {
  std::unique_ptr<Ring> ring(new Ring);
  io_uring_params& params = ring->params_;
  // TASKRUN_FLAG: the kernel says in the ring when it has deferred work, see StartNotifying().
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_CQSIZE;
  if (options.wide_completions) params.flags |= IORING_SETUP_CQE32;
  if (options.disabled) params.flags |= IORING_SETUP_R_DISABLED;
  params.cq_entries = options.completion_entries;

  const int error = io_uring_queue_init_params(options.submission_entries, &ring->ring_, &params);
  if (error < 0) {
    ring->ring_.ring_fd = -1;
    return SetupError(-error);
  }
  if (options.disabled) return ring;
  if (absl::Status started = ring->Start(); !started.ok()) return started;
  return ring;
}

absl::StatusOr<std::unique_ptr<Ring>> Ring::Adopt(int fd, const io_uring_params& params) {
  std::unique_ptr<Ring> ring(new Ring);
  ring->params_ = params;
  if (const int error = io_uring_queue_mmap(fd, &ring->params_, &ring->ring_); error < 0) {
    ring->ring_.ring_fd = -1;
    close(fd);
    return ErrnoStatus(-error, "mapping an inherited io_uring");
  }
  // liburing 2.3 sets this for rings that it creates only, and without it waits by a request of its own.
  ring->ring_.features = params.features;
  // From now on it is this thread's. EBADFD: it was enabled before. (liburing 2.3 declares a function for
  // this, and does not export it.)
  if (const int error = ring->Register(IORING_REGISTER_ENABLE_RINGS, nullptr, 0); error < 0)
    return ErrnoStatus(-error, "enabling an inherited io_uring");
  if (absl::Status started = ring->Start(); !started.ok()) return started;
  return ring;
}

absl::Status Ring::Start() {
  completions_ = CompletionQueue({.head = ring_.cq.khead,
                                  .tail = ring_.cq.ktail,
                                  .entries = ring_.cq.cqes,
                                  .size = params_.cq_entries,
                                  .wide = (params_.flags & IORING_SETUP_CQE32) != 0});
  return OpenNotification();
}

Ring::~Ring() {
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
  if (notification_fd_ >= 0) close(notification_fd_);
}

// Not the ring's own descriptor: with DEFER_TASKRUN kernels (seen on 6.18.44) do not wake those who poll it
// when work is deferred, only once somebody has made it done. An eventfd they do signal.
absl::Status Ring::OpenNotification() {
  notification_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (notification_fd_ < 0) return ErrnoStatus(errno, "eventfd");
  StopNotifying();
  const int result = io_uring_register_eventfd(&ring_, notification_fd_);
  return result < 0 ? ErrnoStatus(-result, "registering an eventfd with the io_uring") : absl::OkStatus();
}

void Ring::StartNotifying(bool now) {
  io_uring_cq_eventfd_toggle(&ring_, true);
  // Either the kernel, which sets its flag before it looks at ours, sees that we want to be told, or we see
  // the flag here. That takes a full barrier in between, which this way of reading is; g++ refuses fences
  // under ThreadSanitizer.
  const unsigned flags = std::atomic_ref(*ring_.sq.kflags).fetch_or(0, std::memory_order_seq_cst);
  quiet_ = !now && (flags & IORING_SQ_TASKRUN) == 0;
  if (!quiet_) Notify();
}

void Ring::Notify() {
  quiet_ = false;
  const uint64_t one = 1;
  // Fails only if it is readable as can be.
  [[maybe_unused]] const ssize_t written = write(notification_fd_, &one, sizeof(one));
}

void Ring::StopNotifying() {
  quiet_ = false;
  // Fails only before 5.8, which Create() has refused.
  io_uring_cq_eventfd_toggle(&ring_, false);
  uint64_t count;
  // EAGAIN: nothing was told.
  [[maybe_unused]] const ssize_t bytes = read(notification_fd_, &count, sizeof(count));
}

io_uring_sqe* Ring::Prepare(CompletionHandler* handler) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    // Fails only for want of kernel memory (-EAGAIN), which passes.
    if (io_uring_submit(&ring_) < 0) sched_yield();
    entry = io_uring_get_sqe(&ring_);
  }
  // liburing 2.3's io_uring_get_sqe() does not clear, and its prep helpers know no RECV_ZC.
  *entry = {};
  entry->user_data = reinterpret_cast<uint64_t>(handler);
  ++in_flight_;
  // From outside of a turn: it has to be submitted.
  NotifyNow();
  return entry;
}

void Ring::PrepareCancel(CompletionHandler* handler) {
  io_uring_sqe* entry = Prepare(nullptr);
  entry->opcode = IORING_OP_ASYNC_CANCEL;
  entry->fd = -1;
  entry->addr = reinterpret_cast<uint64_t>(handler);
  entry->cancel_flags = IORING_ASYNC_CANCEL_ALL;
}

void Ring::PrepareCancelAll() {
  io_uring_sqe* entry = Prepare(nullptr);
  entry->opcode = IORING_OP_ASYNC_CANCEL;
  entry->fd = -1;
  entry->cancel_flags = IORING_ASYNC_CANCEL_ANY;
}

absl::Status Ring::SubmitAndWait(std::chrono::nanoseconds max_wait) {
  int result;
  if (max_wait == kForever) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else if (max_wait > std::chrono::nanoseconds::zero()) {
    __kernel_timespec timeout = ToTimespec(max_wait);
    io_uring_cqe* unused;
    result = io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &timeout, nullptr);
  } else {
    result = io_uring_submit_and_get_events(&ring_);
  }
  switch (-result) {
    case ETIME:   // nothing came in time
    case EINTR:   // a signal; the caller turns the loop and looks at its flags
    case EAGAIN:  // no kernel memory for the requests: they are still queued, the next turn tries again
    case EBUSY:   // the completion queue is full: the caller empties it
      return absl::OkStatus();
    default:
      return result < 0 ? ErrnoStatus(-result, "io_uring_enter") : absl::OkStatus();
  }
}

uint64_t Ring::DispatchCompletions() {
  uint64_t handled = 0;
  while (true) {
    handled += completions_.Drain([this](uint64_t user_data, Completion completion) {
      if (!completion.more()) --in_flight_;
      // The pointer that the request carried. NOLINTNEXTLINE(performance-no-int-to-ptr)
      auto* handler = reinterpret_cast<CompletionHandler*>(user_data);
      if (handler != nullptr) handler->OnCompletion(completion);
    });
    // What did not fit waits in a list of the kernel, and while it does RECV_ZC
    // ends with -ENOSPC at once: fetch it before anything is armed again.
    if (!io_uring_cq_has_overflow(&ring_)) return handled;
    ++overflows_;
    overflow_log_.Log(LogSeverity::kWarning, "ring.overflow",
                      "the completion queue was too small for what came at a time (", overflows_,
                      " times by now): nothing is lost, but it costs speed; fix: a larger "
                      "RuntimeOptions::completion_entries");
    io_uring_get_events(&ring_);
  }
}

int Ring::Register(unsigned opcode, void* argument, unsigned count) {
  const int64_t result = syscall(__NR_io_uring_register, ring_.ring_fd, opcode, argument, count);
  return result < 0 ? -errno : static_cast<int>(result);
}

}  // namespace zcrx::inline v0::internal
