// SPDX-License-Identifier: Apache-2.0
//
// A Runtime is one thread's coroutine executor: one io_uring and, for zero-copy
// receive, one interface queue. Tasks, listeners and streams belong to it.
//
//   zcrx::RuntimeOptions options;
//   options.interface_queue = {.interface = "eth0", .rx_queue = 1};
//   absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
//   if (!runtime.ok()) return Fail(runtime.status());
//   runtime->Spawn(AcceptLoop(*runtime));
//   absl::Status status = runtime->Run();
//
// A program that has a loop of its own polls event_fd() and calls RunOnce() when
// it is readable.
#ifndef ZCRX_RUNTIME_H_
#define ZCRX_RUNTIME_H_

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/features.h"
#include "zcrx/interface_queue.h"
#include "zcrx/internal/context.h"
#include "zcrx/pressure.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {
class RuntimeCore;

class PressureAwaiter final : public CancellableAwaiter {
 public:
  explicit PressureAwaiter(RuntimeCore& runtime) : runtime_(runtime) {}
  ~PressureAwaiter();
  PressureAwaiter(const PressureAwaiter&) = default;

  bool await_ready() const { return cancelled(); }
  void await_suspend(std::coroutine_handle<> waiter);
  absl::StatusOr<Pressure> await_resume();

  // The pressure has changed.
  void Wake();

 private:
  void OnCancel() override;

  RuntimeCore& runtime_;
  std::coroutine_handle<> waiter_;
};

}  // namespace internal

enum class ReceiveMode {
  // Zero copy where it can be had, else copy; Runtime::receive_path() says which and why.
  kAuto,
  // Zero copy, or Create() fails with the missing thing and its fix.
  kZeroCopy,
  // The kernel copies into buffers of ours. Works everywhere, needs no privileges.
  kCopy,
};

struct RuntimeOptions {
  ReceiveMode mode = ReceiveMode::kAuto;
  // The queue to receive from without a copy. Without it kAuto copies.
  std::optional<InterfaceQueueOptions> interface_queue = std::nullopt;
  // The memory of the copy path, at most 32768 pieces; fewer bytes are used if `bytes` gives more.
  PoolOptions copy_pool = {.bytes = 16u << 20, .buffer_bytes = 16384};
  // What is done when much of the region (or of the copy path's memory) is taken.
  PressureOptions pressure = {};
  // What is sent out of buffers goes without a copy (SEND_ZC) from this many bytes on; less is copied, as
  // pages and a second completion cost more. SIZE_MAX: all is copied. See docs/guide.md for how to
  // measure it.
  size_t zero_copy_send_bytes = 16384;
  // Entries of the submission queue. It is flushed when full.
  uint32_t submission_entries = 256;
  // Entries of the completion queue: at least the fragments that may arrive in
  // one turn of the loop (with the rbuf ring: the streams they arrive on). Too few
  // cost speed, never data (RuntimeStats::rearms_no_space).
  uint32_t completion_entries = 8192;
  // Whether others may look on: zcrx/stats_page.h. Takes a file descriptor, and well below a hundredth of the
  // time of the thread.
  bool publish_stats = true;
};

// How the streams of a runtime get their bytes.
struct ReceivePathInfo {
  enum class Kind { kZeroCopy, kCopy };
  Kind kind = Kind::kCopy;
  // Which ring tells of received bytes: kMainCq or kRbufRing. On the copy path always kMainCq.
  CompletionRing completion = CompletionRing::kMainCq;
  // Why it is this one, for people.
  std::string reason;
};

// Counts since Create(), but for what is said to be of now.
struct RuntimeStats {
  uint64_t turns = 0;                // turns of the loop
  uint64_t completions = 0;          // completions of the kernel handled, of all kinds
  uint64_t receive_completions = 0;  // of these, of receives
  // What the kernel wrote to tell all that: bytes of the entries of the completion queue, and of the rbuf
  // ring.
  uint64_t completion_bytes = 0;
  uint64_t bytes_received = 0;  // payload that has arrived for all streams, taken by them or not
  uint64_t fragments_received = 0;
  // Of these, what the kernel copied instead of the NIC writing it into the region.
  // Exact on the copy path (all of it) and with the rbuf ring. With the main
  // completion queue it is InterfaceQueueStats::copied_*: too low, or absent; absent also where the queue is
  // shared, as those are of all. The rest came without a copy.
  std::optional<uint64_t> copied_bytes;
  std::optional<uint64_t> copied_fragments;
  // The memory that is received into: the region, the runtime's part of it if the queue is shared, or on the
  // copy path RuntimeOptions::copy_pool.
  uint64_t pool_pieces = 0;
  uint64_t buffers_out = 0;  // fragments, unread or with the application, that have not gone back; now
  uint64_t buffers_out_peak = 0;
  // Receives that the kernel ended, and that were armed again without anybody noticing,
  uint64_t rearms_no_space = 0;     // as the completion queue or the rbuf ring was full (ENOSPC)
  uint64_t rearms_no_buffer = 0;    // as no buffer was free to copy into (ENOMEM, ENOBUFS)
  uint64_t rearms_after_bytes = 0;  // with bytes: on the copy path that is a full completion queue
  uint64_t rearms_interrupted = 0;  // as a signal came (EINTR)
  uint64_t rearms_resumed = 0;      // as they had been paused: see pressure.pauses
  PressureStats pressure;
  // Streams whose packets arrived at another queue than the runtime's, as far as the kernel tells (NAPI
  // numbers of sockets, EFAULT of receives): what they got was copied. Look at the flow rules and at RSS.
  uint64_t misplaced_streams = 0;
  // Times the completion queue had overflowed when it was looked at. Nothing is lost by that.
  uint64_t completion_overflows = 0;
  // Absent on the copy path.
  std::optional<InterfaceQueueStats> interface_queue;
};

// Movable while no task, listener or stream refers to it. Create, use and destroy it on one thread: the
// kernel accepts requests of the ring's own thread only. Post() and Stop() may be called on any thread, while
// the runtime exists.
class Runtime {
 public:
  // Creates the ring and registers the interface queue, if asked to. Blocks for
  // up to interface_queue->busy_timeout while the queue still has another owner.
  // Errors carry the errno of the call that failed and name the fix; see
  // docs/errors.md for all of them.
  static absl::StatusOr<Runtime> Create(const RuntimeOptions& options);

  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  // Cancels every operation, lets the tasks see that (their awaits give
  // CANCELLED), waits for the kernel to be done with their memory, destroys
  // tasks that do not end by themselves and closes all streams. Buffers may
  // live on.
  ~Runtime();

  // Starts `task` at the next turn. The runtime owns it until it ends.
  void Spawn(Task<void> task);

  // Turns the loop until Stop() is called or the last spawned task has ended.
  // Errors: what io_uring_enter(2) answers, other than interruptions.
  absl::Status Run();

  // Runs what is ready, waits for at most `max_wait` for more, and runs that.
  // Returns early when something happens. Same errors as Run().
  absl::Status RunOnce(std::chrono::nanoseconds max_wait);

  // A descriptor that is readable when RunOnce() has something to do, also by what was called since, such as
  // Spawn(), Stream::Close() or dropping a Buffer. Owned by the runtime.
  int event_fd() const;

  // Runs `function` on the runtime's thread, in the order of the calls. Any thread. Wakes the loop.
  void Post(std::function<void()> function);

  // Makes Run() return after the present turn. Any thread; also from a signal handler.
  void Stop();

  // `co_await` gives the pressure after its next change; CANCELLED if the task is
  // cancelled or the runtime ends.
  [[nodiscard]] internal::PressureAwaiter PressureChange() { return internal::PressureAwaiter(*core_); }

  // The streams that have pieces of the region, those with the oldest first: who
  // is first and old has forgotten a buffer. Looks at every piece: not for each turn.
  std::vector<BufferHolder> holders() const;

  // Spawned tasks that have not ended.
  size_t task_count() const;

  const ReceivePathInfo& receive_path() const;
  const KernelFeatures& kernel_features() const;
  RuntimeStats stats() const;

  // Internal.
  internal::RuntimeCore& core() { return *core_; }

 private:
  explicit Runtime(std::unique_ptr<internal::RuntimeCore> core);

  std::unique_ptr<internal::RuntimeCore> core_;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_RUNTIME_H_
