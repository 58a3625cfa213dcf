// SPDX-License-Identifier: Apache-2.0
//
// The run loop of one thread: ready coroutines, posted functions, one system
// call per turn, completions.
#ifndef ZCRX_LIB_RUNTIME_RUNTIME_CORE_H_
#define ZCRX_LIB_RUNTIME_RUNTIME_CORE_H_

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/ifq/handover.h"
#include "lib/ifq/interface_queue.h"
#include "lib/receive/receive_path.h"
#include "lib/ring/fixed_buffers.h"
#include "lib/ring/ring.h"
#include "lib/ring/waker.h"
#include "lib/runtime/runtime_group.h"
#include "lib/runtime/stats_publisher.h"
#include "lib/runtime/task_list.h"
#include "lib/runtime/timer_queue.h"
#include "zcrx/internal/context.h"
#include "zcrx/nic_reservation.h"
#include "zcrx/runtime.h"
#include "zcrx/task.h"

namespace zcrx::inline v0::internal {

// Something with operations in the ring, which must end before the runtime does.
class RuntimeResource {
 public:
  // The runtime ends: cancel what is in flight; start nothing any more.
  virtual void OnShutdown() = 0;
  // Cancelling was not enough to make the kernel let go: drop the connection.
  virtual void OnShutdownOverdue() = 0;
  // The runtime is gone.
  virtual void OnRuntimeGone() = 0;

 protected:
  ~RuntimeResource() = default;

 private:
  friend class RuntimeCore;
  RuntimeResource* previous_ = nullptr;
  RuntimeResource* next_ = nullptr;
};

// All on one thread, but for Post() and Stop().
class RuntimeCore {
 public:
  static absl::StatusOr<std::unique_ptr<RuntimeCore>> Create(const RuntimeOptions& options);
  ~RuntimeCore();
  RuntimeCore(const RuntimeCore&) = delete;
  RuntimeCore& operator=(const RuntimeCore&) = delete;

  Ring& ring() { return *ring_; }
  ReceivePath& receive_path() { return *receive_path_; }
  // For tests and benchmarks that play the kernel. Before there are streams and listeners.
  void UseReceivePath(std::unique_ptr<ReceivePath> path) { receive_path_ = std::move(path); }
  const ReceivePathInfo& receive_path_info() const { return receive_path_info_; }
  const KernelFeatures& features() const { return features_; }

  // What all tasks of the runtime are cancelled with.
  Context& context() { return context_; }
  TimerQueue& timers() { return timers_; }

  // Resumes `coroutine` at the next turn.
  void Schedule(std::coroutine_handle<> coroutine) {
    ready_.push_back(coroutine);
    ring_->NotifyNow();
  }

  // How the kernel lets us send without a copy, as far as is known.
  struct SendAbilities {
    bool zero_copy = true;     // SENDMSG_ZC
    bool report_usage = true;  // tells whether it copied after all
    bool fixed_parts = true;   // several parts of a fixed buffer in one request, since 6.15
  };
  SendAbilities& send_abilities() { return send_abilities_; }
  // Bytes from which on a send is worth being one without a copy.
  size_t zero_copy_send_bytes() const { return zero_copy_send_bytes_; }
  // The region, once something is sent out of it.
  FixedBuffers& fixed_buffers() {
    fixed_buffers_.Register(receive_path_->memory());
    return fixed_buffers_;
  }

  // Where a server puts it. Before anything arrives.
  void set_membership(Membership membership) { membership_ = std::move(membership); }
  const Membership& membership() const { return membership_; }
  // A stream's packets arrive at another queue.
  void CountMisplaced() { ++misplaced_; }

  // A number for a stream that no other has had.
  uint64_t NewStreamId() { return ++last_stream_id_; }

  // Wakes `waiter` at the next change of the pressure.
  void AddPressureWaiter(PressureAwaiter* waiter) { pressure_waiters_.push_back(waiter); }
  void RemovePressureWaiter(PressureAwaiter* waiter) { std::erase(pressure_waiters_, waiter); }

  void Attach(RuntimeResource* resource);
  void Detach(RuntimeResource* resource);

  // True once the runtime ends: operations must not be started.
  bool shutting_down() const { return shutting_down_; }
  // True once nothing is in flight any more, for ever: tasks may be destroyed.
  bool operations_ended() const { return operations_ended_; }

  void Spawn(Task<void> task) { tasks_.Spawn(std::move(task)); }
  absl::Status Run();
  absl::Status RunOnce(std::chrono::nanoseconds max_wait);
  void Post(std::function<void()> function);
  void Stop();
  // Readable when RunOnce() has something to do.
  int event_fd() const { return event_fd_; }
  size_t task_count() const { return tasks_.size(); }
  RuntimeStats stats() const;

  // What the destructor does, while the tasks can still reach this by their Runtime. Once is enough.
  void End();

 private:
  // Keeps the ring listening to the waker.
  class WakerPoll final : public CompletionHandler {
   public:
    explicit WakerPoll(RuntimeCore& core) : core_(core) {}
    void Arm();
    void OnCompletion(Completion completion) override;

   private:
    RuntimeCore& core_;
  };

  // Completes when the earliest timer is due, or earlier: that ends the wait of Run(), and makes event_fd()
  // readable.
  class TimerPoll final : public CompletionHandler {
   public:
    explicit TimerPoll(RuntimeCore& core) : core_(core) {}
    // Sees to it that something completes at `time`, or earlier. Calls with later and later times, as they
    // come from timers that are set anew with each message, cost nothing until the first of them has come.
    // False, and nothing is armed: it has passed already, the next turn has something to do.
    bool Cover(Timer::Clock::time_point time);
    bool Covers(Timer::Clock::time_point time) const { return time >= armed_for_; }
    // Whether it has completed, or something was due already, since it was asked.
    bool TakeDue() { return std::exchange(due_, false); }
    void OnCompletion(Completion completion) override;

   private:
    RuntimeCore& core_;
    Timer::Clock::time_point armed_for_ = Timer::Clock::time_point::max();  // the end of time: not armed
    bool due_ = false;
    __kernel_timespec kernel_time_ = {};
  };

  RuntimeCore(KernelFeatures features, std::unique_ptr<Ring> ring, std::shared_ptr<Waker> waker);
  absl::Status OpenReceivePath(const RuntimeOptions& options);
  absl::Status OpenZeroCopy(InterfaceQueueOptions options);
  absl::Status AdoptReceivePath(const TakenQueue& inherited);
  void UseZeroCopy(std::unique_ptr<InterfaceQueue> queue, const std::string& how);
  absl::Status OpenEventFd();
  void StartPublishing();

  // Blocks only if nothing is ready, and, with `need_tasks`, if there are tasks.
  absl::Status Turn(std::chrono::nanoseconds max_wait, bool need_tasks = false);
  void RunReady();
  void RunPosted();
  void TellPressure();
  // When the loop has something to do even if nothing comes.
  Timer::Clock::time_point NextDue() const;
  void Shutdown();

  const KernelFeatures features_;
  // Of the NIC. Undone when the ring is closed, as it is of use until then.
  std::optional<netdev::NicReservation> reservation_;
  std::unique_ptr<Ring> ring_;
  const std::shared_ptr<Waker> waker_;
  WakerPoll waker_poll_;
  int event_fd_ = -1;
  TimerQueue timers_;
  TimerPoll timer_poll_;
  std::unique_ptr<ReceivePath> receive_path_;
  ReceivePathInfo receive_path_info_;
  std::optional<StatsQueue> stats_queue_;            // absent on the copy path
  std::unique_ptr<StatsPublisher> stats_publisher_;  // null: nobody may look on

  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;  // storage for RunReady(), kept
  Context context_;
  TaskList tasks_;
  RuntimeResource* resources_ = nullptr;
  SendAbilities send_abilities_;
  size_t zero_copy_send_bytes_ = 0;
  FixedBuffers fixed_buffers_;
  uint64_t last_stream_id_ = 0;
  Membership membership_;
  uint64_t misplaced_ = 0;
  Pressure told_pressure_ = Pressure::kNone;
  std::vector<PressureAwaiter*> pressure_waiters_;
  bool shutting_down_ = false;
  bool operations_ended_ = false;
  uint64_t turns_ = 0;
  uint64_t completions_ = 0;

  std::atomic<bool> stop_ = false;
  std::atomic<bool> has_posted_ = false;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by posted_mutex_
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RUNTIME_RUNTIME_CORE_H_
