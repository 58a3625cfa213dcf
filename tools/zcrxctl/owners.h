// SPDX-License-Identifier: Apache-2.0
//
// Who may have a receive queue that an io_uring has: the kernel does not tell which
// process that belongs to.
#ifndef ZCRX_TOOLS_ZCRXCTL_OWNERS_H_
#define ZCRX_TOOLS_ZCRXCTL_OWNERS_H_

#include <string>
#include <vector>

#include "tools/zcrxctl/json.h"

namespace zcrx::ctl {

struct Process {
  int pid = 0;
  std::string name;
};

// What the process calls itself, as a terminal may show it; empty if it is gone.
std::string NameOfProcess(int pid);

// The processes that have an io_uring, as far as we may look: the owner of a queue is among them.
std::vector<Process> IoUringProcesses();

std::string Describe(const std::vector<Process>& processes);
Json ToJson(const std::vector<Process>& processes);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_OWNERS_H_
