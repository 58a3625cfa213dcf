// SPDX-License-Identifier: Apache-2.0
//
// A TaskGroup runs tasks side by side and waits for all of them, so that what they
// use may live on the stack of the one who waits.
//
//   zcrx::Task<absl::Status> Relay(zcrx::Runtime& runtime, zcrx::Stream& a, zcrx::Stream& b) {
//     zcrx::TaskGroup directions(runtime, zcrx::TaskGroup::OnError::kCancelOthers);
//     directions.Spawn(Copy(a, b));
//     directions.Spawn(Copy(b, a));
//     co_return co_await directions.Wait();
//   }
#ifndef ZCRX_TASK_GROUP_H_
#define ZCRX_TASK_GROUP_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "zcrx/internal/context.h"
#include "zcrx/runtime.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {
class TaskGroupState;
}  // namespace internal

// Not movable. Belongs to the thread of its runtime.
class TaskGroup {
 public:
  enum class OnError {
    kGoOn,          // the others go on; Wait() tells of the first error
    kCancelOthers,  // the first error cancels the others
  };

  explicit TaskGroup(Runtime& runtime, OnError on_error = OnError::kGoOn);
  // Ends the program (std::terminate) if there are tasks that have not ended, as
  // they may be using what is about to go, unless the runtime ends: await Wait() first.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task` at the next turn. After Cancel() it starts as well, and meets CANCELLED at each await.
  void Spawn(Task<void> task);
  void Spawn(Task<absl::Status> task);

  // Every operation that a task of the group awaits, or will await, gives CANCELLED
  // once the kernel is done with it. There is no way back.
  void Cancel();

  // Tasks that have not ended.
  size_t size() const;

  // `co_await` waits until all tasks have ended, also those that are spawned
  // meanwhile, and gives the first error of a Task<absl::Status>, else OkStatus().
  // If the awaiting task is cancelled, so is the group. One at a time.
  Task<absl::Status> Wait();

  // Internal.
  TaskGroup(internal::Context& parent, OnError on_error);

 private:
  std::unique_ptr<internal::TaskGroupState> state_;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_TASK_GROUP_H_
