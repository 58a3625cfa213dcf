// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/machine.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "zcrx/netdev.h"

namespace zcrx::ctl {
namespace {

// The first word of a file as a number.
template <typename T>
std::optional<T> ReadNumber(const char* path) {
  std::ifstream file(path);
  T number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

bool HasCapability(int capability) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  if (syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data[static_cast<size_t>(capability) / 32].effective & (1u << (capability % 32))) != 0;
}

// Only what the initial user namespace maps is counted by the kernel.
bool InInitialUserNamespace() {
  std::ifstream file("/proc/self/uid_map");
  uint64_t inside = 1;
  uint64_t outside = 1;
  uint64_t count = 0;
  file >> inside >> outside >> count;
  return inside == 0 && outside == 0 && count == UINT32_MAX;
}

struct ClosePipe {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

// Empty if it cannot be read.
std::string Configuration(const std::string& release) {
  std::ifstream file(absl::StrCat("/boot/config-", release));
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!text.str().empty()) return text.str();
  if (access("/proc/config.gz", R_OK) != 0) return "";
  const std::unique_ptr<FILE, ClosePipe> pipe(popen("gzip -dc /proc/config.gz 2>/dev/null", "r"));
  std::array<char, 4096> block;
  while (pipe != nullptr) {
    const size_t size = fread(block.data(), 1, block.size(), pipe.get());
    if (size == 0) break;
    text << std::string(block.data(), size);
  }
  return text.str();
}

std::optional<uint64_t> MemlockLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

void ReadHugePages(Machine& machine) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t count = 0;
    words >> name >> count;
    if (name == "HugePages_Total:") machine.huge_pages = count;
    if (name == "HugePages_Free:") machine.huge_pages_free = count;
  }
}

}  // namespace

bool IsConfigured(const std::string& configuration, const std::string& option) {
  for (const absl::string_view line : absl::StrSplit(configuration, '\n')) {
    if (line == absl::StrCat(option, "=y") || line == absl::StrCat(option, "=m")) return true;
  }
  return false;
}

Machine ReadMachine() {
  Machine machine;
  utsname name = {};
  if (uname(&name) == 0) machine.release = name.release;
  machine.features = ProbeKernel();
  const std::string configuration = Configuration(machine.release);
  if (absl::StrContains(configuration, "CONFIG_"))
    machine.config_zcrx = IsConfigured(configuration, "CONFIG_IO_URING_ZCRX");
  if (const absl::StatusOr<bool> has = netdev::HasNetdevFamily(); has.ok()) machine.netdev_family = *has;
  const bool initial = InInitialUserNamespace();
  machine.net_admin = initial && HasCapability(CAP_NET_ADMIN);
  machine.ipc_lock = initial && HasCapability(CAP_IPC_LOCK);
  machine.memlock = MemlockLimit();
  ReadHugePages(machine);
  machine.io_uring_disabled = ReadNumber<int>("/proc/sys/kernel/io_uring_disabled");
  machine.root = geteuid() == 0;
  machine.parent = getppid();
  return machine;
}

absl::Status CheckKernel() {
  const KernelFeatures features = ProbeKernel();
  if (!features.io_uring || features.zero_copy_receive) return absl::OkStatus();
  return absl::UnimplementedError(features.reason);
}

std::string Describe(const Machine& machine) {
  const auto yes_no = [](std::optional<bool> has) {
    return !has.has_value() ? "unknown" : *has ? "yes" : "no";
  };
  KernelFeatures features = machine.features;
  // It is told as a finding.
  if (features.io_uring) features.reason.clear();
  return absl::StrCat(
      "kernel ", machine.release, ": ", features.Describe(), "\n",
      "CONFIG_IO_URING_ZCRX: ", yes_no(machine.config_zcrx),
      "; netlink family netdev: ", yes_no(machine.netdev_family), "; kernel.io_uring_disabled: ",
      machine.io_uring_disabled.has_value() ? absl::StrCat(*machine.io_uring_disabled) : "unknown", "\n",
      "CAP_NET_ADMIN: ", yes_no(machine.net_admin), "; CAP_IPC_LOCK: ", yes_no(machine.ipc_lock),
      "; RLIMIT_MEMLOCK: ",
      machine.memlock.has_value() ? absl::StrCat(*machine.memlock, " bytes") : "unlimited",
      "; huge pages: ", machine.huge_pages, " (", machine.huge_pages_free, " free)\n");
}

Json ToJson(const Machine& machine) {
  const KernelFeatures& features = machine.features;
  return {{"release", machine.release},
          {"io_uring", features.io_uring},
          {"defer_taskrun", features.defer_taskrun},
          {"zero_copy_receive", features.zero_copy_receive},
          {"shared_queues", features.shared_queues},
          {"large_buffers", features.large_buffers},
          {"copy_stats", features.copy_stats},
          {"rbuf_ring", features.rbuf_ring},
          {"config_io_uring_zcrx", OrNull(machine.config_zcrx)},
          {"netdev_family", OrNull(machine.netdev_family)},
          {"io_uring_disabled", OrNull(machine.io_uring_disabled)},
          {"cap_net_admin", machine.net_admin},
          {"cap_ipc_lock", machine.ipc_lock},
          {"memlock_bytes", OrNull(machine.memlock)},
          {"huge_pages", machine.huge_pages},
          {"huge_pages_free", machine.huge_pages_free}};
}

}  // namespace zcrx::ctl
