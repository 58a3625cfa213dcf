// SPDX-License-Identifier: Apache-2.0
//
// Flow ("ntuple") rules: which receive queue the NIC puts a flow into. By ioctl, netlink
// has nothing for them.
#ifndef ZCRX_LIB_NETDEV_RULES_H_
#define ZCRX_LIB_NETDEV_RULES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

struct ethtool_rxnfc;

namespace zcrx::inline v0::netdev {

// What the ioctl ETHTOOL_GRXCLSRULE says.
Rule ParseRule(const ethtool_rxnfc& reply);

// Empty if the driver knows no rules.
absl::StatusOr<std::vector<Rule>> ListRules(const Interface& interface);

// A rule that sends TCP to a local port into a queue.
struct TcpRule {
  IpFamily family = IpFamily::kIpv4;
  uint16_t local_port = 0;         // from 1
  std::string local_address = "";  // numeric, of the family; empty: any
  uint32_t rx_queue = 0;           // of a context: is added to what its table says
  std::optional<uint32_t> rss_context = std::nullopt;
  std::optional<uint32_t> id = std::nullopt;  // absent: the driver's choice, or the first free one
};

// Returns the rule's id. EINVAL for another kind of address, EEXIST if there is a rule with the wanted one,
// ENOSPC if all are in use. Needs CAP_NET_ADMIN.
absl::StatusOr<uint32_t> AddTcpRule(const Interface& interface, const TcpRule& rule);

absl::Status RemoveRule(const Interface& interface, uint32_t id);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RULES_H_
