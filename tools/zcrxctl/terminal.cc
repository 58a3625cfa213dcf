// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/terminal.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace zcrx::ctl {
namespace {

constexpr char kEnterScreen[] = "\x1b[?1049h\x1b[?25l";  // the alternate one, and no cursor
constexpr char kLeaveScreen[] = "\x1b[?25h\x1b[?1049l";
constexpr char kHome[] = "\x1b[H";
constexpr char kEraseRestOfLine[] = "\x1b[K";
constexpr char kEraseBelow[] = "\x1b[J";
constexpr int kHandled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};

void Put(const std::string& text) {
  fputs(text.c_str(), stdout);
  fflush(stdout);
}

}  // namespace

bool Terminal::IsThere() {
  const char* kind = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && kind != nullptr && *kind != '\0' && std::string(kind) != "dumb";
}

Terminal::Terminal() {
  sigemptyset(&waiting_);
  for (const int signal : kHandled) sigaddset(&waiting_, signal);
  pthread_sigmask(SIG_BLOCK, &waiting_, &before_);
  signal_fd_ = signalfd(-1, &waiting_, SFD_CLOEXEC | SFD_NONBLOCK);
  Enter();
}

Terminal::~Terminal() {
  Leave();
  if (signal_fd_ >= 0) close(signal_fd_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Terminal::Enter() {
  has_keys_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &usual_) == 0;
  if (has_keys_) {
    termios keys = usual_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  }
  Put(kEnterScreen);
}

void Terminal::Leave() {
  Put(kLeaveScreen);
  // What has been typed is not for the shell.
  if (has_keys_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &usual_);
}

ScreenSize Terminal::size() const {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {.columns = 80, .lines = 24};
  return {.columns = size.ws_col, .lines = size.ws_row};
}

void Terminal::Show(const std::vector<std::string>& lines) {
  // At once, and erased behind what is written, so that nothing flickers. No newline at the end: it would
  // scroll.
  Put(absl::StrCat(kHome, absl::StrJoin(lines, absl::StrCat(kEraseRestOfLine, "\r\n")), kEraseRestOfLine,
                   kEraseBelow));
}

Terminal::Event Terminal::WaitUntil(std::chrono::steady_clock::time_point time) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Event::kTime;
    std::array<pollfd, 2> fds = {pollfd{.fd = signal_fd_, .events = POLLIN, .revents = 0},
                                 // Negative: not looked at.
                                 pollfd{.fd = has_keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (fds[0].revents != 0) return OnSignal();
    if (fds[1].revents == 0) continue;
    char key = 'q';  // also if the terminal has gone
    if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return Event::kEnd;
  }
}

Terminal::Event Terminal::OnSignal() {
  signalfd_siginfo signal = {};
  if (read(signal_fd_, &signal, sizeof(signal)) != sizeof(signal)) return Event::kResized;
  switch (signal.ssi_signo) {
    case SIGWINCH:
      return Event::kResized;
    case SIGTSTP:
      Leave();
      raise(SIGSTOP);
      Enter();
      return Event::kResized;
    default:
      return Event::kEnd;
  }
}

}  // namespace zcrx::ctl
