// SPDX-License-Identifier: Apache-2.0
//
// What of the machine and of the calling process zero-copy receive depends on.
#ifndef ZCRX_TOOLS_ZCRXCTL_MACHINE_H_
#define ZCRX_TOOLS_ZCRXCTL_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "tools/zcrxctl/json.h"
#include "zcrx/features.h"

namespace zcrx::ctl {

struct Machine {
  std::string release;  // as uname -r
  KernelFeatures features;
  std::optional<bool> config_zcrx;    // CONFIG_IO_URING_ZCRX; absent: the configuration cannot be read
  std::optional<bool> netdev_family;  // see HasNetdevFamily(); absent: it could not be asked
  bool net_admin = false;             // CAP_NET_ADMIN, effective
  bool ipc_lock = false;              // CAP_IPC_LOCK, effective: memory is not counted
  std::optional<uint64_t> memlock;    // RLIMIT_MEMLOCK in bytes; absent: unlimited
  uint64_t huge_pages = 0;            // reserved, of the usual size
  uint64_t huge_pages_free = 0;
  std::optional<int> io_uring_disabled;  // the sysctl; Linux 6.6
  bool root = false;
  int parent = 0;  // the process that called us: a shell, mostly
};

Machine ReadMachine();

// What a kernel's configuration says of `option`: not set, y or m.
bool IsConfigured(const std::string& configuration, const std::string& option);

// UNIMPLEMENTED on a kernel without zero-copy receive: there is nothing to set a NIC up for. An io_uring that
// is forbidden to us may be allowed to a server.
absl::Status CheckKernel();

std::string Describe(const Machine& machine);
Json ToJson(const Machine& machine);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_MACHINE_H_
