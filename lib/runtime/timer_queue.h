// SPDX-License-Identifier: Apache-2.0
//
// The armed timers of a runtime, the earliest first.
#ifndef ZCRX_LIB_RUNTIME_TIMER_QUEUE_H_
#define ZCRX_LIB_RUNTIME_TIMER_QUEUE_H_

#include <functional>
#include <utility>

#include "absl/container/btree_set.h"
#include "zcrx/internal/context.h"
#include "zcrx/internal/recycler.h"

namespace zcrx::inline v0::internal {

// A tree of (time, timer): what a timer costs grows with the logarithm of their number, and its nodes are
// recycled, so that arming does not allocate once the thread is warm. One thread.
class TimerQueue {
 public:
  using TimePoint = Timer::Clock::time_point;

  void Add(Timer& timer) { entries_.emplace(timer.time_, &timer); }
  void Remove(Timer& timer) { entries_.erase({timer.time_, &timer}); }

  bool empty() const { return entries_.empty(); }
  // When the earliest is due; the end of time if there is none.
  TimePoint next() const { return entries_.empty() ? TimePoint::max() : entries_.begin()->first; }

  // Lets those happen that are due at `now`.
  void Fire(TimePoint now) {
    while (!entries_.empty() && entries_.begin()->first <= now) {
      Timer& timer = *entries_.begin()->second;
      timer.Disarm();
      timer.OnTime();
    }
  }

 private:
  // Any order will do for timers of one time.
  using Entry = std::pair<TimePoint, Timer*>;
  absl::btree_set<Entry, std::less<>, RecyclingAllocator<Entry>> entries_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RUNTIME_TIMER_QUEUE_H_
