// SPDX-License-Identifier: Apache-2.0
//
// Commands that doctor prints: each works as it stands, with the ethtool(8) of
// Debian 12.
#ifndef ZCRX_LIB_NETDEV_FIXES_H_
#define ZCRX_LIB_NETDEV_FIXES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "zcrx/examination.h"

namespace zcrx::inline v0::netdev {

// As one word of a shell.
std::string Quote(const std::string& word);

// The RSS table without the queue: the others keep their shares. Empty if there is no other.
std::string SpillFix(const NicState& nic, uint32_t queue);

// Of the families "tcp4" and "tcp6".
std::string AddRules(const std::string& interface, uint16_t port, uint32_t queue,
                     const std::vector<const char*>& families);

// So many receive queues; empty if the NIC cannot have them.
std::string ChannelsFix(const NicState& nic, uint32_t queues);

// "zcrxctl doctor IF --queue=N --port=P", where `self` is how we are called.
std::string DoctorCommand(const std::string& self, const Question& question);

// The same of the first of these interfaces; empty if there is none.
std::string TryAnother(const Question& question, const std::vector<std::string>& interfaces,
                       const std::string& self);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_FIXES_H_
