// SPDX-License-Identifier: Apache-2.0
#include "zcrx/task_group.h"

#include <cassert>
#include <exception>
#include <utility>

#include "lib/runtime/runtime_core.h"
#include "lib/runtime/task_list.h"

namespace zcrx::inline v0 {
namespace internal {

class TaskGroupState final : public TaskList {
 public:
  TaskGroupState(Context& parent, TaskGroup::OnError on_error)
      : TaskList(context_), context_(parent.runtime(), &parent), on_error_(on_error) {}
  ~TaskGroupState() override {
    if (size() == 0) return;
    // Once the runtime is at its end no operation is in flight any more.
    if (!context_.runtime()->operations_ended()) std::terminate();
    waiter_ = nullptr;
    DestroyAll();
  }

  void Cancel() { context_.Cancel(); }
  absl::Status& first_error() { return first_error_; }

  void set_waiter(std::coroutine_handle<> waiter) {
    assert(!waiter_ && "TaskGroup::Wait(): one at a time");
    waiter_ = waiter;
  }

 private:
  void OnResult(const absl::Status& status) override {
    if (status.ok() || !first_error_.ok()) return;
    first_error_ = status;
    if (on_error_ == TaskGroup::OnError::kCancelOthers) Cancel();
  }
  void OnEmpty() override {
    if (waiter_) context_.runtime()->Schedule(std::exchange(waiter_, nullptr));
  }

  Context context_;
  const TaskGroup::OnError on_error_;
  absl::Status first_error_;
  std::coroutine_handle<> waiter_;
};

namespace {

// Waits until the group is empty.
class EmptyAwaiter final : public CancellableAwaiter {
 public:
  explicit EmptyAwaiter(TaskGroupState& group) : group_(group) {}

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    group_.set_waiter(waiter);
    // The one who waits may have been cancelled before it came here.
    if (cancelled()) {
      group_.Cancel();
    } else {
      StartWaiting();
    }
  }
  void await_resume() { StopWaiting(); }

 private:
  void OnCancel() override { group_.Cancel(); }

  TaskGroupState& group_;
};

}  // namespace
}  // namespace internal

TaskGroup::TaskGroup(Runtime& runtime, OnError on_error) : TaskGroup(runtime.core().context(), on_error) {}
TaskGroup::TaskGroup(internal::Context& parent, OnError on_error)
    : state_(std::make_unique<internal::TaskGroupState>(parent, on_error)) {}
TaskGroup::~TaskGroup() = default;

void TaskGroup::Spawn(Task<void> task) { state_->Spawn(std::move(task)); }
void TaskGroup::Spawn(Task<absl::Status> task) { state_->Spawn(std::move(task)); }
void TaskGroup::Cancel() { state_->Cancel(); }
size_t TaskGroup::size() const { return state_->size(); }

Task<absl::Status> TaskGroup::Wait() {
  // Somebody may spawn after the last task has ended and before this goes on.
  while (state_->size() > 0) {
    internal::EmptyAwaiter empty(*state_);
    co_await empty;
  }
  co_return std::exchange(state_->first_error(), absl::OkStatus());
}

}  // namespace zcrx::inline v0
