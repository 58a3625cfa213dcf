// SPDX-License-Identifier: Apache-2.0
//
// The terminal, for something that is drawn again and again: the alternate screen,
// keys without Enter. It is as it was when this ends, however the user ends it.
#ifndef ZCRX_TOOLS_ZCRXCTL_TERMINAL_H_
#define ZCRX_TOOLS_ZCRXCTL_TERMINAL_H_

#include <termios.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "tools/zcrxctl/top_screen.h"

namespace zcrx::ctl {

// One at a time.
class Terminal {
 public:
  // Whether stdout is a terminal that can be drawn on.
  static bool IsThere();

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  ScreenSize size() const;

  // In place of what was there.
  void Show(const std::vector<std::string>& lines);

  enum class Event {
    kTime,     // the time has passed
    kResized,  // or it has been given back to us after a ctrl-Z: draw again
    kEnd,      // q, ctrl-C, or another signal that ends programs
  };
  Event WaitUntil(std::chrono::steady_clock::time_point time);

 private:
  void Enter();
  void Leave();
  Event OnSignal();

  sigset_t waiting_ = {};  // signals that come by signal_fd_
  sigset_t before_ = {};
  int signal_fd_ = -1;
  bool has_keys_ = false;  // stdin is a terminal, too
  termios usual_ = {};     // how it was; if it has keys
};

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_TERMINAL_H_
