// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rules.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/netdev/ethtool.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

// Rules may come between counting and listing.
constexpr uint32_t kSpareRules = 16;

// The numbers of the rules in use, and how large the NIC's table is.
struct RuleTable {
  std::vector<uint32_t> used;
  uint64_t size = 0;  // 0 if the driver does not say
  bool driver_picks_id = false;
};

absl::StatusOr<RuleTable> ReadTable(const Interface& interface) {
  ethtool_rxnfc count = {};
  count.cmd = ETHTOOL_GRXCLSRLCNT;
  if (absl::Status status = EthtoolIoctl(interface, &count, "counting the rules"); !status.ok())
    return status;

  const uint32_t room = count.rule_cnt + kSpareRules;
  std::vector<uint64_t> buffer((sizeof(ethtool_rxnfc) + room * sizeof(uint32_t)) / sizeof(uint64_t) + 1);
  auto* list = reinterpret_cast<ethtool_rxnfc*>(buffer.data());
  list->cmd = ETHTOOL_GRXCLSRLALL;
  list->rule_cnt = room;
  if (absl::Status status = EthtoolIoctl(interface, list, "listing the rules"); !status.ok()) return status;

  RuleTable table;
  table.driver_picks_id = (count.data & RX_CLS_LOC_SPECIAL) != 0;
  table.size = list->data & ~uint64_t{RX_CLS_LOC_SPECIAL};
  table.used.assign(list->rule_locs, list->rule_locs + std::min(list->rule_cnt, room));
  return table;
}

template <typename T>
bool AllZero(const T& object) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&object);
  return std::all_of(bytes, bytes + sizeof(object), [](unsigned char byte) { return byte == 0; });
}

Rule ToRule(const ethtool_rxnfc& reply) {
  const ethtool_rx_flow_spec& flow = reply.fs;
  Rule rule;
  rule.id = flow.location;
  if (flow.ring_cookie != RX_CLS_FLOW_DISC && flow.ring_cookie != RX_CLS_FLOW_WAKE &&
      ethtool_get_flow_spec_ring_vf(flow.ring_cookie) == 0) {
    rule.rx_queue = static_cast<uint32_t>(ethtool_get_flow_spec_ring(flow.ring_cookie));
  }
  if ((flow.flow_type & FLOW_RSS) != 0) rule.rss_context = reply.rss_context;

  // What is left of the mask without the local port is what else must match.
  ethtool_flow_union mask = flow.m_u;
  uint16_t port_mask = 0;
  uint16_t port = 0;
  switch (flow.flow_type & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS)) {
    case TCP_V4_FLOW:
      rule.tcp = IpFamily::kIpv4;
      port = flow.h_u.tcp_ip4_spec.pdst;
      port_mask = std::exchange(mask.tcp_ip4_spec.pdst, 0);
      break;
    case TCP_V6_FLOW:
      rule.tcp = IpFamily::kIpv6;
      port = flow.h_u.tcp_ip6_spec.pdst;
      port_mask = std::exchange(mask.tcp_ip6_spec.pdst, 0);
      break;
    default:
      return rule;
  }
  if (port_mask == 0xffff) rule.local_port = ntohs(port);
  const bool partial_port = port_mask != 0 && port_mask != 0xffff;
  const bool extended = (flow.flow_type & (FLOW_EXT | FLOW_MAC_EXT)) != 0 && !AllZero(flow.m_ext);
  rule.narrower = partial_port || extended || !AllZero(mask);
  return rule;
}

}  // namespace

absl::StatusOr<uint32_t> AddTcpPortRule(const Interface& interface, IpFamily family, uint16_t local_port,
                                        uint32_t rx_queue) {
  const std::string what = absl::StrCat("steering TCP port ", local_port, " into queue ", rx_queue);
  if (local_port == 0 || rx_queue >= interface.rx_queues) {
    return ErrnoStatus(
        EINVAL, absl::StrCat(what, " of ", interface.name, ": ports begin at 1, and the interface has ",
                             interface.rx_queues, " queues, counted from 0"));
  }
  const auto table = ReadTable(interface);
  if (ErrnoOf(table.status()) == EOPNOTSUPP) {
    return ErrnoStatus(EOPNOTSUPP,
                       absl::StrCat(what, " of ", interface.name, ": its driver has no ntuple rules"));
  }
  if (!table.ok()) return table.status();

  ethtool_rxnfc insert = {};
  insert.cmd = ETHTOOL_SRXCLSRLINS;
  insert.fs.ring_cookie = rx_queue;
  if (family == IpFamily::kIpv4) {
    insert.fs.flow_type = TCP_V4_FLOW;
    insert.fs.h_u.tcp_ip4_spec.pdst = htons(local_port);
    insert.fs.m_u.tcp_ip4_spec.pdst = 0xffff;
  } else {
    insert.fs.flow_type = TCP_V6_FLOW;
    insert.fs.h_u.tcp_ip6_spec.pdst = htons(local_port);
    insert.fs.m_u.tcp_ip6_spec.pdst = 0xffff;
  }
  if (table->driver_picks_id) {
    insert.fs.location = RX_CLS_LOC_ANY;
  } else {
    // The first free place: low numbers win over broader rules behind them.
    while (std::find(table->used.begin(), table->used.end(), insert.fs.location) != table->used.end()) {
      ++insert.fs.location;
    }
    if (table->size != 0 && insert.fs.location >= table->size) {
      return ErrnoStatus(ENOSPC, absl::StrCat(what, " of ", interface.name, ": all ", table->size,
                                              " rules of the NIC are in use (\"ethtool -n ", interface.name,
                                              "\" lists them)"));
    }
  }
  absl::Status status = EthtoolIoctl(interface, &insert, what);
  if (ErrnoOf(status) == EOPNOTSUPP) {
    return ErrnoStatus(EOPNOTSUPP, absl::StrCat(what, " of ", interface.name, " is refused: if \"ethtool -k ",
                                                interface.name, "\" shows ntuple-filters off, \"ethtool -K ",
                                                interface.name, " ntuple on\" switches them on"));
  }
  if (!status.ok()) return status;
  return insert.fs.location;
}

absl::Status RemoveRule(const Interface& interface, uint32_t id) {
  ethtool_rxnfc remove = {};
  remove.cmd = ETHTOOL_SRXCLSRLDEL;
  remove.fs.location = id;
  return EthtoolIoctl(interface, &remove, absl::StrCat("removing rule ", id));
}

absl::StatusOr<std::vector<Rule>> ListRules(const Interface& interface) {
  const auto table = ReadTable(interface);
  if (ErrnoOf(table.status()) == EOPNOTSUPP) return std::vector<Rule>();
  if (!table.ok()) return table.status();
  std::vector<Rule> rules;
  for (const uint32_t id : table->used) {
    ethtool_rxnfc get = {};
    get.cmd = ETHTOOL_GRXCLSRULE;
    get.fs.location = id;
    absl::Status status = EthtoolIoctl(interface, &get, absl::StrCat("reading rule ", id));
    if (ErrnoOf(status) == ENOENT) continue;  // removed since it was listed
    if (!status.ok()) return status;
    rules.push_back(ToRule(get));
  }
  return rules;
}

}  // namespace zcrx::inline v0::netdev
