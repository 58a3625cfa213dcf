// SPDX-License-Identifier: Apache-2.0
//
// Tells people, by the sink that the application has set. Not for the data path.
#ifndef ZCRX_LIB_UAPI_LOG_H_
#define ZCRX_LIB_UAPI_LOG_H_

#include <atomic>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "zcrx/log.h"

namespace zcrx::inline v0::internal {

// Whether there is a sink.
extern std::atomic<bool> log_wanted;

void LogText(LogSeverity severity, const char* name, const std::string& text);

// `parts` are put together as absl::StrCat() does it, if somebody wants to hear it.
template <typename... Parts>
void Log(LogSeverity severity, const char* name, const Parts&... parts) {
  // Relaxed: who sets a sink while something happens may or may not hear of it.
  if (log_wanted.load(std::memory_order_relaxed)) LogText(severity, name, absl::StrCat(parts...));
}

// Keeps events that can happen in every turn from being all that is told. One
// thread; one for each kind of event.
class LogLimit {
 public:
  // The same as Log(), but at most once per second. Whether it has been told.
  template <typename... Parts>
  bool Log(LogSeverity severity, const char* name, const Parts&... parts) {
    if (!log_wanted.load(std::memory_order_relaxed) || !Pass()) return false;
    LogText(severity, name, absl::StrCat(parts...));
    return true;
  }

 private:
  bool Pass() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return false;
    next_ = now + std::chrono::seconds(1);
    return true;
  }

  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::time_point::min();
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_UAPI_LOG_H_
