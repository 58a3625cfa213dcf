// SPDX-License-Identifier: Apache-2.0
//
// What a task and all that it awaits have in common: the runtime, and whether
// they have been cancelled. Internal to zcrx.
#ifndef ZCRX_INTERNAL_CONTEXT_H_
#define ZCRX_INTERNAL_CONTEXT_H_

#include <chrono>
#include <utility>

namespace zcrx::inline v0::internal {

class Context;
class RuntimeCore;

// Something that waits and can be told to give up, by the context that it has joined.
class Cancellable {
 public:
  Cancellable() = default;
  // Awaitables move until they wait; membership does not move with them.
  Cancellable(const Cancellable&) : Cancellable() {}
  Cancellable& operator=(const Cancellable&) = delete;

  // Called once, after it has left the context. May make coroutines ready; resumes none.
  virtual void OnCancel() = 0;

 protected:
  ~Cancellable() { Leave(); }

  void Join(Context& context);
  void Leave() {
    if (place_ == nullptr) return;
    *place_ = next_;
    if (next_ != nullptr) next_->place_ = place_;
    place_ = nullptr;
  }

 private:
  friend class Context;

  Cancellable* next_ = nullptr;
  Cancellable** place_ = nullptr;  // what points to this; null: has not joined
};

// Outlives all that join it. One thread.
class Context final : public Cancellable {
 public:
  // Cancelled with `parent`, if there is one. `runtime` is null where nobody runs the coroutine.
  Context(RuntimeCore* runtime, Context* parent) : runtime_(runtime) {
    if (parent == nullptr) return;
    cancelled_ = parent->cancelled_;
    if (!cancelled_) Join(*parent);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() = default;

  RuntimeCore* runtime() const { return runtime_; }
  bool cancelled() const { return cancelled_; }

  void Cancel() {
    cancelled_ = true;
    while (first_ != nullptr) {
      Cancellable* member = first_;
      member->Leave();
      member->OnCancel();
    }
  }

  void OnCancel() override { Cancel(); }

 private:
  friend class Cancellable;

  RuntimeCore* const runtime_;
  bool cancelled_ = false;
  Cancellable* first_ = nullptr;
};

inline void Cancellable::Join(Context& context) {
  next_ = context.first_;
  place_ = &context.first_;
  if (next_ != nullptr) next_->place_ = &next_;
  context.first_ = this;
}

// An awaiter that its context can cancel. The first context that it is told of counts.
class CancellableAwaiter : private Cancellable {
 public:
  void BindContext(Context* context) {
    if (context_ == nullptr) context_ = context;
  }

 protected:
  CancellableAwaiter() = default;
  CancellableAwaiter(const CancellableAwaiter&) = default;
  ~CancellableAwaiter() = default;

  // Null where nobody runs the coroutine.
  Context* context() const { return context_; }
  bool cancelled() const { return context_ != nullptr && context_->cancelled(); }
  // From when it waits until it goes on; OnCancel() may come in between.
  void StartWaiting() {
    if (context_ != nullptr) Join(*context_);
  }
  void StopWaiting() { Leave(); }

 private:
  Context* context_ = nullptr;
};

// Something that happens at a time. In the runtime's queue while it is armed.
class Timer {
 public:
  using Clock = std::chrono::steady_clock;

  Timer() = default;
  Timer(const Timer&) : Timer() {}
  Timer& operator=(const Timer&) = delete;

  // Called once, when it is not armed any more. May make coroutines ready; resumes none.
  virtual void OnTime() = 0;

 protected:
  ~Timer() { Disarm(); }

  // Not armed yet. A time that has passed is one of the next turn.
  void ArmAt(RuntimeCore& runtime, Clock::time_point time);
  void Disarm() {
    if (runtime_ != nullptr) Remove();
  }

 private:
  friend class TimerQueue;

  void Remove();

  RuntimeCore* runtime_ = nullptr;  // null: not armed
  Clock::time_point time_;
};

// `duration` from now, or the end of time if that comes first.
inline Timer::Clock::time_point TimeAfter(std::chrono::nanoseconds duration) {
  const Timer::Clock::time_point now = Timer::Clock::now();
  return duration < Timer::Clock::time_point::max() - now ? now + duration : Timer::Clock::time_point::max();
}

// An awaitable that wants to know in which context it is awaited.
template <typename Awaitable>
concept BindsContext = requires(Awaitable& awaitable, Context* context) { awaitable.BindContext(context); };

// Awaitable: the context of the awaiting coroutine, null if it has none.
class CurrentContext {
 public:
  void BindContext(Context* context) { context_ = context; }
  bool await_ready() const noexcept { return true; }
  template <typename Handle>
  void await_suspend(Handle) const noexcept {}
  Context* await_resume() const noexcept { return context_; }

 private:
  Context* context_ = nullptr;
};

// An awaiter by reference. What await_transform() returns must not be a reference itself: g++ 12 would copy
// what it refers to, and wait with the copy.
template <typename Awaiter>
class AwaiterReference {
 public:
  explicit AwaiterReference(Awaiter& awaiter) : awaiter_(awaiter) {}
  decltype(auto) await_ready() { return awaiter_.await_ready(); }
  template <typename Handle>
  decltype(auto) await_suspend(Handle handle) {
    return awaiter_.await_suspend(handle);
  }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  Awaiter& awaiter_;
};

// The awaiter of anything that can be awaited, which it may refer to.
template <typename Awaitable>
auto AwaiterOf(Awaitable&& awaitable) {
  if constexpr (requires { static_cast<Awaitable&&>(awaitable).operator co_await(); }) {
    return static_cast<Awaitable&&>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(static_cast<Awaitable&&>(awaitable)); }) {
    return operator co_await(static_cast<Awaitable&&>(awaitable));
  } else {
    return AwaiterReference(awaitable);
  }
}

// What `co_await` gives for an rvalue of it.
template <typename Awaitable>
using AwaitResult = decltype(AwaiterOf(std::declval<Awaitable>()).await_resume());

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_INTERNAL_CONTEXT_H_
