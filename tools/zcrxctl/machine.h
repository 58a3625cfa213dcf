// SPDX-License-Identifier: Apache-2.0
//
// What of the machine and of the calling process zero-copy receive depends on.
#ifndef ZCRX_TOOLS_ZCRXCTL_MACHINE_H_
#define ZCRX_TOOLS_ZCRXCTL_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tools/zcrxctl/json.h"
#include "zcrx/features.h"

namespace zcrx::ctl {

struct Machine {
  std::string release;  // as uname -r
  KernelFeatures features;
  std::optional<bool> config_zcrx;  // CONFIG_IO_URING_ZCRX; absent: the configuration cannot be read
  bool net_admin = false;           // CAP_NET_ADMIN, effective
  bool ipc_lock = false;            // CAP_IPC_LOCK, effective: memory is not counted
  std::optional<uint64_t> memlock;  // RLIMIT_MEMLOCK in bytes; absent: unlimited
  uint64_t huge_pages = 0;          // reserved, of the usual size
  uint64_t huge_pages_free = 0;
  std::optional<int> io_uring_disabled;  // the sysctl; Linux 6.6
  bool root = false;
  int parent = 0;  // the process that called us: a shell, mostly
};

Machine ReadMachine();

// What a kernel's configuration says of `option`: not set, y or m.
bool IsConfigured(const std::string& configuration, const std::string& option);

std::string Describe(const Machine& machine);
Json ToJson(const Machine& machine);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_MACHINE_H_
