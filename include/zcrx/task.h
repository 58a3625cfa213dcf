// SPDX-License-Identifier: Apache-2.0
//
// Task<T> is what zcrx coroutines return. It is lazy: nothing runs until it is
// awaited or given to Runtime::Spawn(). Awaiting transfers control symmetrically,
// so that a chain of any length needs no stack.
//
//   zcrx::Task<absl::Status> Serve(zcrx::Stream peer) {
//     absl::StatusOr<zcrx::Buffer> hello = co_await peer.Receive();
//     ...
//     co_return absl::OkStatus();
//   }
//   absl::Status status = co_await Serve(std::move(peer));
//
// zcrx reports errors by absl::Status. An exception that leaves a coroutine
// ends the program (std::terminate), like one that leaves a noexcept function.
#ifndef ZCRX_TASK_H_
#define ZCRX_TASK_H_

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "zcrx/internal/context.h"
#include "zcrx/internal/recycler.h"

namespace zcrx::inline v0 {

template <typename T = void>
class Task;

namespace internal {

// What the promises of all coroutines of ours share: recycled frames, and the context, which passes on to all
// that they await.
class PromiseBase {
 public:
  static void* operator new(size_t bytes) { return RecycledStorage(bytes); }
  static void operator delete(void* frame, size_t bytes) { RecycleStorage(frame, bytes); }

  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable) {
    // The analyzer does not see that a promise is constructed.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    if constexpr (BindsContext<Awaitable>) awaitable.BindContext(context_);
    return AwaiterOf(std::forward<Awaitable>(awaitable));
  }

  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

  void set_context(Context* context) {
    if (context_ == nullptr) context_ = context;
  }

 private:
  Context* context_ = nullptr;
};

// What the promises of all tasks share: the way back.
class TaskPromiseBase : public PromiseBase {
 public:
  std::suspend_always initial_suspend() noexcept { return {}; }

  auto final_suspend() noexcept {
    struct ResumeContinuation {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept { return continuation; }
      void await_resume() noexcept {}
      std::coroutine_handle<> continuation;
    };
    return ResumeContinuation{continuation_};
  }

  void set_continuation(std::coroutine_handle<> continuation) { continuation_ = continuation; }

 private:
  std::coroutine_handle<> continuation_ = std::noop_coroutine();
};

template <typename T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T TakeValue() { return *std::move(value_); }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void TakeValue() {}
};

}  // namespace internal

// Move-only owner of a coroutine. Destroying it destroys the coroutine, which
// must not be in the middle of an operation then; a task that is being awaited
// or was spawned is owned by its awaiter or its runtime. Not thread-safe: a task
// stays on the thread of its runtime.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (coroutine_) coroutine_.destroy();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  // Internal.
  void BindContext(internal::Context* context) { coroutine_.promise().set_context(context); }

  // Runs the task and gives its result. Await a task once.
  auto operator co_await() && noexcept {
    struct Awaiter {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        coroutine.promise().set_continuation(awaiting);
        return coroutine;
      }
      T await_resume() { return coroutine.promise().TakeValue(); }
      std::coroutine_handle<promise_type> coroutine;
    };
    return Awaiter{coroutine_};
  }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

namespace internal {

template <typename T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

}  // namespace internal

}  // namespace zcrx::inline v0

#endif  // ZCRX_TASK_H_
