// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/child.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace zcrx::ctl {
namespace {

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr int kSignalled = 128;  // and the number, as shells have it

[[noreturn]] void Become(const std::vector<std::string>& command,
                         const std::map<std::string, std::string>& environment,
                         const std::function<absl::Status()>& prepare, pid_t parent) {
  if (prepare) {
    if (const absl::Status prepared = prepare(); !prepared.ok()) {
      fprintf(stderr, "zcrxctl: %s\n", std::string(prepared.message()).c_str());
      _exit(kCannotRun);
    }
  }
  // Nobody would release the queues that it uses. After a change of the user, which undoes it.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kSignalled + SIGTERM);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  const int error = errno;
  fprintf(stderr, "zcrxctl: %s: %s\n", words[0], strerror(error));
  _exit(error == ENOENT ? kNoProgram : kCannotRun);
}

}  // namespace

ChildRunner::ChildRunner() {
  sigemptyset(&waiting_);
  sigaddset(&waiting_, SIGCHLD);
  for (const int signal : kEnding) sigaddset(&waiting_, signal);
  pthread_sigmask(SIG_BLOCK, &waiting_, &before_);
}

ChildRunner::~ChildRunner() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int ChildRunner::Run(const std::vector<std::string>& command,
                     const std::map<std::string, std::string>& environment, const ChildHooks& hooks) {
  const timespec at_once = {};
  const int early = sigtimedwait(&waiting_, nullptr, &at_once);
  if (early > 0 && early != SIGCHLD) {
    ended_ = true;
    return kSignalled + early;
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    fprintf(stderr, "zcrxctl: fork: %s\n", strerror(errno));
    return kCannotRun;
  }
  if (child == 0) {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    Become(command, environment, hooks.in_child, parent);
  }
  if (hooks.in_parent) hooks.in_parent();
  while (true) {
    siginfo_t info = {};
    const int signal = sigwaitinfo(&waiting_, &info);
    ended_ |= signal > 0 && signal != SIGCHLD;
    // What a terminal sends, it sends to the child as well.
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) kill(child, signal);
    int status = 0;
    if (waitpid(child, &status, WNOHANG) != child) continue;
    return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

std::vector<std::string> FillIn(std::vector<std::string> words, const std::string& interface,
                                const std::vector<uint32_t>& queues) {
  const std::string first = queues.empty() ? "" : std::to_string(queues.front());
  for (std::string& word : words) {
    word = absl::StrReplaceAll(
        word, {{"{interface}", interface}, {"{queues}", absl::StrJoin(queues, ",")}, {"{queue}", first}});
  }
  return words;
}

}  // namespace zcrx::ctl
