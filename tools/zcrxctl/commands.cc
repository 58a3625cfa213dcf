// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/command.h"

namespace zcrx::ctl {

std::span<const Command> Commands() {
  static const std::vector<Command> commands = {
      {"plan",
       "IF",
       1,
       1,
       false,
       {"queues", "port", "address"},
       "what \"up\" would do; changes nothing",
       Plan},
      {"up",
       "IF [--exec -- COMMAND...]",
       1,
       1,
       true,
       {"queues", "port", "address", "exec"},
       "set the NIC up and reserve queues, until \"down\" or while COMMAND runs",
       Up},
      {"down",
       "IF [ID]",
       1,
       2,
       false,
       {},
       "undo \"up\": the reservation ID, or all made without --exec",
       Down},
      {"restore",
       "IF|--all",
       0,
       1,
       false,
       {"all"},
       "undo the reservations of processes that are gone",
       Restore},
      {"status", "[IF]", 0, 1, false, {}, "reservations, bound queues, and pieces that are out", Status},
      {"set-split",
       "IF on|off",
       2,
       2,
       false,
       {},
       "header/data split, where ethtool(8) is too old; on: with a threshold of 0",
       SetSplit},
  };
  return commands;
}

}  // namespace zcrx::ctl
