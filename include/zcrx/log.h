// SPDX-License-Identifier: Apache-2.0
//
// What the library has to tell people: that it copies instead of receiving without
// a copy, that a queue is taken, that a receive finds no memory, and the like.
// Nothing of it is an error of a call; errors are statuses. By default nothing is
// said: a library does not write to a program's stderr. To hear it, set a sink,
// before the first runtime is created:
//
//   zcrx::SetLogSink([](const zcrx::LogEvent& event) {
//     if (event.severity == zcrx::LogSeverity::kInfo) return;
//     std::cerr << event.name << ": " << event.text << "\n";
//   });
//
// docs/guide.md has all events.
#ifndef ZCRX_LOG_H_
#define ZCRX_LOG_H_

#include <functional>
#include <string_view>

namespace zcrx::inline v0 {

enum class LogSeverity {
  kInfo,     // something that is as it should be
  kWarning,  // works, but slower or with less than was asked for
  kError,    // somebody, the kernel or this library, does what it must not
};

struct LogEvent {
  LogSeverity severity = LogSeverity::kInfo;
  // Which event, "pressure.high" for example. Stays the same from version to version, and valid for ever.
  std::string_view name;
  // For people: one line without its end. Valid during the call.
  std::string_view text;
};

// Called on the thread on which it happens, mostly a runtime's, which waits
// meanwhile: be quick. May be called on several threads at the same time. May call
// Runtime::Post() and Runtime::Stop(), SetLogSink(), and nothing else of zcrx. Must
// not throw. What can happen in every turn of a loop is told at most once per
// second and runtime.
using LogSink = std::function<void(const LogEvent&)>;

// Sets the sink of the whole process; an empty one: nothing is told any more. Any
// thread, at any time. The previous one may still be running on another thread when
// this returns; it is destroyed after that, on whatever thread.
void SetLogSink(LogSink sink);

}  // namespace zcrx::inline v0

#endif  // ZCRX_LOG_H_
