// SPDX-License-Identifier: Apache-2.0
//
// Time in tasks: wait for a while, or give an operation a limit.
//
//   absl::StatusOr<zcrx::Buffer> data = co_await zcrx::WithTimeout(std::chrono::seconds(30), peer.Receive());
//   if (absl::IsDeadlineExceeded(data.status())) co_return;   // silent for too long
//
//   while ((co_await zcrx::Sleep(std::chrono::seconds(1))).ok()) PrintStats();
//
// Time is std::chrono::steady_clock's. Timers are cheap: a server may have one
// for each of 100,000 connections.
#ifndef ZCRX_TIMER_H_
#define ZCRX_TIMER_H_

#include <chrono>
#include <coroutine>
#include <utility>

#include "absl/status/status.h"
#include "zcrx/internal/context.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {

class SleepAwaiter final : public CancellableAwaiter, private Timer {
 public:
  explicit SleepAwaiter(std::chrono::nanoseconds duration) : duration_(duration) {}
  ~SleepAwaiter() = default;
  SleepAwaiter(const SleepAwaiter&) = default;

  bool await_ready() const { return context() == nullptr || cancelled(); }
  void await_suspend(std::coroutine_handle<> waiter);
  absl::Status await_resume();

 private:
  void OnTime() override { Wake(); }
  void OnCancel() override;
  void Wake();

  const std::chrono::nanoseconds duration_;
  std::coroutine_handle<> waiter_;
};

// A context that is cancelled at a time, too.
class DeadlineContext final : private Timer {
 public:
  DeadlineContext(Context& parent, std::chrono::nanoseconds duration);
  ~DeadlineContext() = default;

  Context& context() { return context_; }
  // Instead of what the operation says: it was too late, unless it was done before it noticed.
  absl::Status Explain(const absl::Status& status) const;

 private:
  void OnTime() override {
    expired_ = true;
    context_.Cancel();
  }

  Context context_;
  const std::chrono::nanoseconds duration_;
  bool expired_ = false;
};

absl::Status NoRuntimeError();

inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename Result>
absl::Status StatusOf(const Result& result) {
  return result.status();
}

}  // namespace internal

// `co_await` waits for `duration` and gives OkStatus(); CANCELLED, at once, if the
// task is cancelled or the runtime ends. Zero or less lets all tasks that are
// ready go first. In a zcrx::Task that a runtime runs; elsewhere FAILED_PRECONDITION.
[[nodiscard]] inline internal::SleepAwaiter Sleep(std::chrono::nanoseconds duration) {
  return internal::SleepAwaiter(duration);
}

// Awaits `operation`, anything of zcrx whose result is a Status or StatusOr, also a
// Task. If it is not over after `duration` it is cancelled and waited for; the
// result is then DEADLINE_EXCEEDED (ETIMEDOUT), unless it has succeeded meanwhile.
// Nothing is lost: what a Receive() would have got is for the next one.
template <typename Operation>
Task<internal::AwaitResult<Operation>> WithTimeout(std::chrono::nanoseconds duration, Operation operation) {
  internal::Context* outer = co_await internal::CurrentContext();
  if (outer == nullptr) co_return internal::NoRuntimeError();
  internal::DeadlineContext deadline(*outer, duration);
  operation.BindContext(&deadline.context());
  internal::AwaitResult<Operation> result = co_await std::move(operation);
  if (internal::StatusOf(result).ok()) co_return result;
  co_return deadline.Explain(internal::StatusOf(result));
}

}  // namespace zcrx::inline v0

#endif  // ZCRX_TIMER_H_
