// SPDX-License-Identifier: Apache-2.0
//
// Hears what the library tells, for as long as it lives.
#ifndef ZCRX_TESTS_LOG_CAPTURE_H_
#define ZCRX_TESTS_LOG_CAPTURE_H_

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "zcrx/log.h"

namespace zcrx {

// One at a time.
class LogCapture {
 public:
  struct Event {
    LogSeverity severity;
    std::string name;
    std::string text;
  };

  LogCapture() {
    // The sink has a share: it may still be running on another thread when this ends.
    SetLogSink([heard = heard_](const LogEvent& event) {
      const std::lock_guard lock(heard->mutex);
      heard->events.push_back({event.severity, std::string(event.name), std::string(event.text)});
    });
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  ~LogCapture() { SetLogSink(nullptr); }

  // Those of this name.
  std::vector<Event> Of(std::string_view name) const {
    const std::lock_guard lock(heard_->mutex);
    std::vector<Event> events;
    for (const Event& event : heard_->events) {
      if (event.name == name) events.push_back(event);
    }
    return events;
  }

 private:
  struct Heard {
    std::mutex mutex;
    std::vector<Event> events;  // guarded by mutex
  };

  const std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
};

}  // namespace zcrx

#endif  // ZCRX_TESTS_LOG_CAPTURE_H_
