// SPDX-License-Identifier: Apache-2.0
//
// Cancellation from outside: a CancelSource ends whatever was started under it.
// (TaskGroup::Cancel() ends a group, WithTimeout() what takes too long, Race() the
// losers; this is for all else, such as a button or a signal.)
//
//   zcrx::CancelSource drain;
//   ...
//   while (true) {
//     absl::StatusOr<zcrx::Stream> peer = co_await zcrx::WithCancel(drain, listener.Accept());
//     if (absl::IsCancelled(peer.status())) break;   // somebody called drain.Cancel()
//     ...
//   }
#ifndef ZCRX_CANCEL_H_
#define ZCRX_CANCEL_H_

#include <utility>

#include "zcrx/internal/context.h"
#include "zcrx/task.h"
#include "zcrx/timer.h"

namespace zcrx::inline v0 {

// Not movable. Outlives the operations under it, and belongs to their thread: from
// others cancel by Runtime::Post().
class CancelSource {
 public:
  CancelSource() = default;
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  // Operations under this source give CANCELLED, also those that are yet to start.
  void Cancel() { context_.Cancel(); }
  bool cancelled() const { return context_.cancelled(); }

 private:
  template <typename Operation>
  friend Task<internal::AwaitResult<Operation>> WithCancel(CancelSource& source, Operation operation);

  internal::Context context_{nullptr, nullptr};
};

namespace internal {

// A context that is cancelled with either of two.
class JointContext final : private Cancellable {
 public:
  JointContext(Context& parent, Context& source) : context_(parent.runtime(), &parent) {
    if (source.cancelled()) {
      context_.Cancel();
    } else {
      Join(source);
    }
  }
  ~JointContext() = default;

  Context& context() { return context_; }

 private:
  void OnCancel() override { context_.Cancel(); }

  Context context_;
};

}  // namespace internal

// Awaits `operation`, anything of zcrx whose result is a Status or StatusOr, also a
// Task, which `source` can cancel now. The result is then CANCELLED, unless it has
// succeeded meanwhile. Nothing is lost: what a Receive() would have got is for the
// next one. In a zcrx::Task that a runtime runs; elsewhere FAILED_PRECONDITION.
template <typename Operation>
Task<internal::AwaitResult<Operation>> WithCancel(CancelSource& source, Operation operation) {
  internal::Context* outer = co_await internal::CurrentContext();
  if (outer == nullptr) co_return internal::NoRuntimeError();
  internal::JointContext joint(*outer, source.context_);
  operation.BindContext(&joint.context());
  internal::AwaitResult<Operation> result = co_await std::move(operation);
  co_return result;
}

}  // namespace zcrx::inline v0

#endif  // ZCRX_CANCEL_H_
