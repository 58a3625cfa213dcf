// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/machine_findings.h"

#include "absl/strings/str_cat.h"
#include "lib/netdev/fixes.h"

namespace zcrx::ctl {
namespace {

using netdev::Quote;

// What Runtime::Create() pins if nobody says otherwise (PoolOptions::bytes), and its rings.
constexpr uint64_t kRegionBytes = 64u << 20;
constexpr uint64_t kRingBytes = 2u << 20;

// What needs root: as an ordinary user has to say it.
std::string AsRoot(const Machine& machine, const std::string& command) {
  return machine.root ? command : absl::StrCat("su -c ", Quote(command));
}

}  // namespace

std::vector<Finding> JudgeMachine(const Machine& machine, const Question& question, const std::string& self) {
  std::vector<Finding> findings;
  const KernelFeatures& features = machine.features;
  // 1: forbidden for all but a group and CAP_SYS_ADMIN.
  if (machine.io_uring_disabled.value_or(0) == 2 || (machine.io_uring_disabled == 1 && !features.io_uring)) {
    findings.push_back({"io-uring-disabled",
                        absl::StrCat("the sysctl kernel.io_uring_disabled is ", *machine.io_uring_disabled),
                        AsRoot(machine, "sysctl -w kernel.io_uring_disabled=0")});
  } else if (!features.io_uring || !features.defer_taskrun || !features.zero_copy_receive) {
    findings.push_back({"kernel-too-old", features.reason, ""});
  } else if (machine.config_zcrx == false) {
    findings.push_back({"kernel-config", "the kernel was built without CONFIG_IO_URING_ZCRX", ""});
  }
  // No kernel with zero-copy receive is without it: this says what else will not be found out here.
  if (machine.netdev_family == false) {
    findings.push_back({"no-netdev-family",
                        "the kernel has no netlink family \"netdev\", which tells who has which queue; fix: "
                        "a kernel with zero-copy receive, for all of those have it",
                        ""});
  }
  if (!machine.net_admin) {
    const std::string again = netdev::DoctorCommand(self, question);
    findings.push_back(
        {"no-capability",
         "CAP_NET_ADMIN in the initial user namespace is missing, for this tool as for a server (setcap "
         "cap_net_admin,cap_ipc_lock+ep PROGRAM gives it to a program)",
         absl::StrCat("su -c ", Quote(again))});
  }
  if (!machine.ipc_lock && machine.memlock.value_or(UINT64_MAX) < kRegionBytes + kRingBytes) {
    findings.push_back(
        {"memlock-too-low",
         absl::StrCat("RLIMIT_MEMLOCK is ", *machine.memlock, " bytes, a region has ", kRegionBytes,
                      " unless a server says otherwise, and CAP_IPC_LOCK is missing"),
         AsRoot(machine, absl::StrCat("prlimit --pid=", machine.parent, " --memlock=unlimited"))});
  }
  return findings;
}

}  // namespace zcrx::ctl
