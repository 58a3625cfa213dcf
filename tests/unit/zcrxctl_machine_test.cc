// SPDX-License-Identifier: Apache-2.0
//
// What zcrxctl's doctor makes of the machine.
#include "tools/zcrxctl/machine_findings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zcrx::ctl {
namespace {

using List = std::vector<std::string>;

Machine Able() {
  Machine machine;
  machine.features.io_uring = machine.features.defer_taskrun = machine.features.zero_copy_receive = true;
  machine.net_admin = machine.ipc_lock = machine.root = true;
  machine.memlock = 65536;
  machine.io_uring_disabled = 0;
  machine.parent = 99;
  return machine;
}

List Found(const Machine& machine) {
  List found;
  for (const Finding& finding : JudgeMachine(machine, {.interface = "eth7", .queue = 1}, "zcrxctl"))
    found.push_back(finding.id + ": " + finding.fix);
  return found;
}

TEST(JudgeMachineTest, EachByItself) {
  EXPECT_EQ(Found(Able()), List());
  Machine machine = Able();
  machine.net_admin = false;
  EXPECT_EQ(Found(machine), List{"no-capability: su -c 'zcrxctl doctor eth7 --queue=1'"});
  machine = Able();
  machine.ipc_lock = false;
  EXPECT_EQ(Found(machine), List{"memlock-too-low: prlimit --pid=99 --memlock=unlimited"});
  machine.root = false;
  EXPECT_EQ(Found(machine), List{"memlock-too-low: su -c 'prlimit --pid=99 --memlock=unlimited'"});
  machine.memlock = uint64_t{1} << 30;
  EXPECT_EQ(Found(machine), List());
  machine.memlock.reset();
  EXPECT_EQ(Found(machine), List());
  machine = Able();
  machine.features = {};
  machine.io_uring_disabled = 2;
  EXPECT_EQ(Found(machine), List{"io-uring-disabled: sysctl -w kernel.io_uring_disabled=0"});
  machine.io_uring_disabled.reset();
  EXPECT_EQ(Found(machine), List{"kernel-too-old: "});
  machine = Able();
  machine.io_uring_disabled = 1;
  EXPECT_EQ(Found(machine), List()) << "it is not forbidden to us";
  machine.features.io_uring = false;
  EXPECT_EQ(Found(machine), List{"io-uring-disabled: sysctl -w kernel.io_uring_disabled=0"});
  machine = Able();
  machine.netdev_family = false;
  EXPECT_EQ(Found(machine), List{"no-netdev-family: "});
  machine = Able();
  machine.config_zcrx = false;
  EXPECT_EQ(Found(machine), List{"kernel-config: "});
}

TEST(MachineTest, Configuration) {
  const std::string text = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_IO=m\nCONFIG_BCD=\"y\"\n";
  EXPECT_FALSE(IsConfigured(text, "CONFIG_A"));
  EXPECT_TRUE(IsConfigured(text, "CONFIG_B"));
  EXPECT_TRUE(IsConfigured(text, "CONFIG_IO"));
  EXPECT_FALSE(IsConfigured(text, "CONFIG_BCD"));
  EXPECT_FALSE(IsConfigured("", "CONFIG_B"));
}

}  // namespace
}  // namespace zcrx::ctl
