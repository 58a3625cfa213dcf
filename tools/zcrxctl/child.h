// SPDX-License-Identifier: Apache-2.0
//
// A command that runs as our child.
#ifndef ZCRX_TOOLS_ZCRXCTL_CHILD_H_
#define ZCRX_TOOLS_ZCRXCTL_CHILD_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace zcrx::ctl {

struct ChildHooks {
  // In the child, before it becomes the program. Not OK: it does not, and the exit status is 126.
  std::function<absl::Status()> in_child = nullptr;
  // Here, as soon as there is a child.
  std::function<void()> in_parent = nullptr;
};

// What Run() gives for a program that cannot be run at all, as shells have it.
inline constexpr int kCannotRun = 126;
inline constexpr int kNoProgram = 127;

// Runs programs while signals that would end us are passed on to them.
class ChildRunner {
 public:
  // From here on such signals wait. To be made before there are threads.
  ChildRunner();
  ~ChildRunner();
  ChildRunner(const ChildRunner&) = delete;
  ChildRunner& operator=(const ChildRunner&) = delete;

  // Runs it to its end, with `environment` on top of ours. It is ended (SIGTERM) if we are killed. As shells
  // have it: its exit status; 128 and the number of the signal that has ended it; 127 if there is no such
  // program, 126 if it cannot be run. A signal that came earlier is as if it had ended it.
  int Run(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment,
          const ChildHooks& hooks = {});

  // Somebody wants us to end: nothing is to be run again.
  bool ended() const { return ended_; }

 private:
  sigset_t waiting_;  // SIGCHLD and those that end a program
  sigset_t before_;
  bool ended_ = false;
};

// `{interface}`, `{queues}` and `{queue}` in the words: the interface, the queues with commas, the first one.
std::vector<std::string> FillIn(std::vector<std::string> words, const std::string& interface,
                                const std::vector<uint32_t>& queues);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_CHILD_H_
