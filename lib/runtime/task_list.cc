// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/task_list.h"

#include <utility>

#include "lib/runtime/runtime_core.h"

namespace zcrx::inline v0::internal {

struct TaskList::Member::promise_type : PromiseBase {
  // Coroutine parameters are handed to the promise's constructor, too.
  promise_type(TaskList& in, const Task<void>&) : promise_type(in) {}
  promise_type(TaskList& in, const Task<absl::Status>&) : promise_type(in) {}
  explicit promise_type(TaskList& in) : list(in), next(in.first_) {
    set_context(&list.context_);
    if (next != nullptr) next->previous = this;
    list.first_ = this;
    ++list.size_;
    list.context_.runtime()->Schedule(std::coroutine_handle<promise_type>::from_promise(*this));
  }
  ~promise_type() {
    (previous != nullptr ? previous->next : list.first_) = next;
    if (next != nullptr) next->previous = previous;
    if (--list.size_ == 0) list.OnEmpty();
  }

  Member get_return_object() { return {}; }
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_never final_suspend() noexcept { return {}; }  // destroys the frame
  void return_void() {}

  TaskList& list;
  promise_type* previous = nullptr;
  promise_type* next;
};

TaskList::Member TaskList::Run(TaskList&, Task<void> task) { co_await std::move(task); }

TaskList::Member TaskList::RunForStatus(TaskList& list, Task<absl::Status> task) {
  const absl::Status status = co_await std::move(task);
  list.OnResult(status);
}

void TaskList::Spawn(Task<void> task) { Run(*this, std::move(task)); }
void TaskList::Spawn(Task<absl::Status> task) { RunForStatus(*this, std::move(task)); }

void TaskList::DestroyAll() {
  while (first_ != nullptr) std::coroutine_handle<Member::promise_type>::from_promise(*first_).destroy();
}

}  // namespace zcrx::inline v0::internal
