// SPDX-License-Identifier: Apache-2.0
//
// Tasks that run by themselves: those of a runtime, and those of a task group.
#ifndef ZCRX_LIB_RUNTIME_TASK_LIST_H_
#define ZCRX_LIB_RUNTIME_TASK_LIST_H_

#include <coroutine>
#include <cstddef>

#include "absl/status/status.h"
#include "zcrx/internal/context.h"
#include "zcrx/task.h"

namespace zcrx::inline v0::internal {

// Owns its tasks until they end. One thread.
class TaskList {
 public:
  explicit TaskList(Context& context) : context_(context) {}
  TaskList(const TaskList&) = delete;
  TaskList& operator=(const TaskList&) = delete;
  virtual ~TaskList() { DestroyAll(); }

  // Starts `task` at the next turn.
  void Spawn(Task<void> task);
  void Spawn(Task<absl::Status> task);

  size_t size() const { return size_; }

  // Destroys those that have not ended. None of them may be in the middle of an operation.
  void DestroyAll();

 protected:
  // What one of them has given.
  virtual void OnResult(const absl::Status&) {}
  // The last of them has ended.
  virtual void OnEmpty() {}

 private:
  // The coroutine that awaits one task: owns itself, and is in the list.
  struct Member {
    struct promise_type;
  };
  static Member Run(TaskList& list, Task<void> task);
  static Member RunForStatus(TaskList& list, Task<absl::Status> task);

  Context& context_;
  Member::promise_type* first_ = nullptr;
  size_t size_ = 0;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RUNTIME_TASK_LIST_H_
