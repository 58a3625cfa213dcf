// SPDX-License-Identifier: Apache-2.0
//
// Commands that doctor prints: each works as it stands, with the ethtool(8) of
// Debian 12.
#ifndef ZCRX_TOOLS_ZCRXCTL_FIXES_H_
#define ZCRX_TOOLS_ZCRXCTL_FIXES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "zcrx/netdev.h"

namespace zcrx::ctl {

// "Would a server on this port get zero copy from this queue?"
struct Question {
  std::string interface;
  std::optional<uint32_t> queue;
  std::optional<uint16_t> port;
};

// The RSS table without the queue: the others keep their shares. Empty if there is no other.
std::string SpillFix(const netdev::NicState& nic, uint32_t queue);

// Of the families "tcp4" and "tcp6".
std::string AddRules(const std::string& interface, uint16_t port, uint32_t queue,
                     const std::vector<const char*>& families);

// So many receive queues; empty if the NIC cannot have them.
std::string ChannelsFix(const netdev::NicState& nic, uint32_t queues);

// "zcrxctl doctor IF --queue=N --port=P", where `self` is how we are called.
std::string DoctorCommand(const std::string& self, const Question& question);

// The same of the first of these interfaces; empty if there is none.
std::string TryAnother(const Question& question, const std::vector<std::string>& interfaces,
                       const std::string& self);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_FIXES_H_
