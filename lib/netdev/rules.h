// SPDX-License-Identifier: Apache-2.0
//
// ntuple rules: which receive queue the NIC puts a flow into. By ioctl, netlink
// has nothing for them.
#ifndef ZCRX_LIB_NETDEV_RULES_H_
#define ZCRX_LIB_NETDEV_RULES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/interface.h"

namespace zcrx::inline v0::netdev {

enum class IpFamily { kIpv4, kIpv6 };

struct Rule {
  uint32_t id = 0;                      // its place in the NIC's table; lower ones win
  std::optional<IpFamily> tcp;          // absent: not a TCP rule, and the next two say nothing
  uint16_t local_port = 0;              // 0: any, or part of a range
  bool narrower = false;                // it matches on something besides the local port
  std::optional<uint32_t> rx_queue;     // absent: drops, or goes to a virtual function
  std::optional<uint32_t> rss_context;  // then `rx_queue` is added to what its table says
};

// Sends TCP to `local_port` of any local address into `rx_queue`; returns the
// rule's id. Needs CAP_NET_ADMIN.
absl::StatusOr<uint32_t> AddTcpPortRule(const Interface& interface, IpFamily family, uint16_t local_port,
                                        uint32_t rx_queue);

absl::Status RemoveRule(const Interface& interface, uint32_t id);

// Empty if the driver knows no rules.
absl::StatusOr<std::vector<Rule>> ListRules(const Interface& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RULES_H_
