// SPDX-License-Identifier: Apache-2.0
//
// Who has a receive queue that an io_uring has. The kernel does not tell which process
// that belongs to; those that run zcrx say so themselves (zcrx/stats_page.h), others
// can only be guessed.
#ifndef ZCRX_TOOLS_ZCRXCTL_OWNERS_H_
#define ZCRX_TOOLS_ZCRXCTL_OWNERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/zcrxctl/json.h"
#include "zcrx/netdev.h"
#include "zcrx/stats_page.h"

namespace zcrx::ctl {

struct Process {
  int pid = 0;
  std::string name;
};

// What the process calls itself, as a terminal may show it; empty if it is gone.
std::string NameOfProcess(int pid);

// The processes that have an io_uring, as far as we may look: the owner of a queue is among them.
std::vector<Process> IoUringProcesses();

// The inode of the network namespace of this thread; 0 without /proc.
uint64_t OwnNetworkNamespace();

// Whether who has published it says that he receives from the queue of an interface of namespace `netns`.
bool ReceivesFrom(const PublishedStats& published, uint64_t netns, const netdev::Interface& interface,
                  uint32_t rx_queue);

// Of the processes that have published `pages`, those that receive from the queue; the interface is one of
// this network namespace.
std::vector<Process> ReceiversOf(const std::vector<PublishedStats>& pages, const netdev::Interface& interface,
                                 uint32_t rx_queue);

std::string Describe(const std::vector<Process>& processes);
Json ToJson(const std::vector<Process>& processes);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_OWNERS_H_
