// SPDX-License-Identifier: Apache-2.0
#include "zcrx/timer.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lib/runtime/runtime_core.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {

void Timer::ArmAt(RuntimeCore& runtime, Clock::time_point time) {
  runtime_ = &runtime;
  time_ = time;
  runtime.timers().Add(*this);
}

void Timer::Remove() { std::exchange(runtime_, nullptr)->timers().Remove(*this); }

void SleepAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  StartWaiting();
  if (duration_ <= std::chrono::nanoseconds::zero()) {
    Wake();
  } else {
    ArmAt(*context()->runtime(), TimeAfter(duration_));
  }
}

void SleepAwaiter::OnCancel() {
  Disarm();
  Wake();
}

void SleepAwaiter::Wake() {
  if (waiter_) context()->runtime()->Schedule(std::exchange(waiter_, nullptr));
}

absl::Status SleepAwaiter::await_resume() {
  StopWaiting();
  if (context() == nullptr) return NoRuntimeError();
  return cancelled() ? ErrnoStatus(ECANCELED, "sleep") : absl::OkStatus();
}

DeadlineContext::DeadlineContext(Context& parent, std::chrono::nanoseconds duration)
    : context_(parent.runtime(), &parent), duration_(duration) {
  if (!context_.cancelled()) ArmAt(*context_.runtime(), TimeAfter(duration));
}

absl::Status DeadlineContext::Explain(const absl::Status& status) const {
  if (!expired_ || !absl::IsCancelled(status)) return status;
  return ErrnoStatus(ETIMEDOUT, absl::StrCat(std::string(status.message()), ": not over after ",
                                             absl::FormatDuration(absl::FromChrono(duration_))));
}

absl::Status NoRuntimeError() {
  return absl::FailedPreconditionError(
      "this needs a runtime: await it in a zcrx::Task that Runtime::Spawn() or TaskGroup::Spawn() has "
      "started");
}

}  // namespace zcrx::inline v0::internal
