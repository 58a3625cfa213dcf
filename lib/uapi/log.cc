// SPDX-License-Identifier: Apache-2.0
#include "lib/uapi/log.h"

#include <memory>
#include <mutex>
#include <utility>

namespace zcrx::inline v0 {
namespace internal {
namespace {

struct Sink {
  std::mutex mutex;
  std::shared_ptr<const LogSink> function;  // guarded by mutex; null: none
};

// Never destroyed: something may be told while the process ends.
Sink& TheSink() {
  static auto* sink = new Sink;
  return *sink;
}

}  // namespace

std::atomic<bool> log_wanted = false;

void LogText(LogSeverity severity, const char* name, const std::string& text) {
  std::shared_ptr<const LogSink> function;
  {
    const std::lock_guard lock(TheSink().mutex);
    function = TheSink().function;
  }
  // Outside the lock, so that a slow sink does not hold up other threads, and may set another one.
  if (function != nullptr) (*function)({.severity = severity, .name = name, .text = text});
}

}  // namespace internal

void SetLogSink(LogSink sink) {
  auto function = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  const std::lock_guard lock(internal::TheSink().mutex);
  internal::log_wanted.store(function != nullptr, std::memory_order_relaxed);
  // The previous one is destroyed with `function`, when the lock is not held any more: what it captured may
  // do anything.
  internal::TheSink().function.swap(function);
}

}  // namespace zcrx::inline v0
