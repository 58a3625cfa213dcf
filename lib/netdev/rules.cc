// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rules.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

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

// `port` as a number, taken off what is left to be told of `mask`; 0 if the mask
// is not of a whole port.
uint16_t TakePort(uint16_t port, uint16_t& mask) {
  if (mask != 0xffff) return 0;
  mask = 0;
  return ntohs(port);
}

// The same of an address in network byte order: "10.0.0.1", "10.0.0.0/8", or empty.
template <typename Words>
std::string TakeAddress(int family, const Words& address, Words& mask) {
  std::array<uint8_t, sizeof(Words)> bits;
  memcpy(bits.data(), &mask, sizeof(mask));
  size_t length = 0;
  while (length < bits.size() * 8 && (bits[length / 8] & (0x80 >> length % 8)) != 0) {
    bits[length / 8] = static_cast<uint8_t>(bits[length / 8] & ~(0x80 >> length % 8));
    ++length;
  }
  if (length == 0 || !AllZero(bits)) return {};
  memset(&mask, 0, sizeof(mask));
  std::array<char, INET6_ADDRSTRLEN> text = {};
  inet_ntop(family, &address, text.data(), text.size());
  return length == bits.size() * 8 ? std::string(text.data()) : absl::StrCat(text.data(), "/", length);
}

// Fills in what a TCP rule matches; what is left in `mask` could not be told.
template <typename Spec>
void TakeMatch(const Spec& match, Spec& mask, Rule& rule) {
  rule.local_port = TakePort(match.pdst, mask.pdst);
  rule.narrower = !AllZero(mask);
  rule.remote_port = TakePort(match.psrc, mask.psrc);
  if constexpr (std::is_same_v<Spec, ethtool_tcpip4_spec>) {
    rule.tcp = IpFamily::kIpv4;
    rule.local_address = TakeAddress(AF_INET, match.ip4dst, mask.ip4dst);
    rule.remote_address = TakeAddress(AF_INET, match.ip4src, mask.ip4src);
  } else {
    rule.tcp = IpFamily::kIpv6;
    rule.local_address = TakeAddress(AF_INET6, match.ip6dst, mask.ip6dst);
    rule.remote_address = TakeAddress(AF_INET6, match.ip6src, mask.ip6src);
  }
}

// False if it is no address of the family.
template <typename Words>
bool PutAddress(int family, const std::string& text, Words& address, Words& mask) {
  if (text.empty()) return true;
  memset(&mask, 0xff, sizeof(mask));
  return inet_pton(family, text.c_str(), &address) == 1;
}

// Absent if the address is not one of the family.
std::optional<ethtool_rxnfc> Insertion(const TcpRule& rule) {
  ethtool_rxnfc insert = {};
  insert.cmd = ETHTOOL_SRXCLSRLINS;
  insert.fs.ring_cookie = rule.rx_queue;
  bool valid = false;
  if (rule.family == IpFamily::kIpv4) {
    valid = PutAddress(AF_INET, rule.local_address, insert.fs.h_u.tcp_ip4_spec.ip4dst,
                       insert.fs.m_u.tcp_ip4_spec.ip4dst);
    insert.fs.flow_type = TCP_V4_FLOW;
    insert.fs.h_u.tcp_ip4_spec.pdst = htons(rule.local_port);
    insert.fs.m_u.tcp_ip4_spec.pdst = 0xffff;
  } else {
    valid = PutAddress(AF_INET6, rule.local_address, insert.fs.h_u.tcp_ip6_spec.ip6dst,
                       insert.fs.m_u.tcp_ip6_spec.ip6dst);
    insert.fs.flow_type = TCP_V6_FLOW;
    insert.fs.h_u.tcp_ip6_spec.pdst = htons(rule.local_port);
    insert.fs.m_u.tcp_ip6_spec.pdst = 0xffff;
  }
  if (!valid) return std::nullopt;
  if (rule.rss_context.has_value()) {
    insert.fs.flow_type |= FLOW_RSS;
    insert.rss_context = *rule.rss_context;
  }
  return insert;
}

// Where to put a rule. `what` begins errors.
absl::StatusOr<uint32_t> ChooseId(const RuleTable& table, std::optional<uint32_t> wanted,
                                  const std::string& what, const std::string& interface) {
  const auto used = [&table](uint32_t id) {
    return std::find(table.used.begin(), table.used.end(), id) != table.used.end();
  };
  if (wanted.has_value()) {
    if (!used(*wanted)) return *wanted;
    return ErrnoStatus(EEXIST, absl::StrCat(what, ": there is a rule ", *wanted, " (\"ethtool -n ", interface,
                                            "\" lists them)"));
  }
  if (table.driver_picks_id) return uint32_t{RX_CLS_LOC_ANY};
  // The first free place: low numbers win over broader rules behind them.
  uint32_t id = 0;
  while (used(id)) ++id;
  if (table.size == 0 || id < table.size) return id;
  return ErrnoStatus(ENOSPC,
                     absl::StrCat(what, ": all ", table.size, " rules of the NIC are in use (\"ethtool -n ",
                                  interface, "\" lists them)"));
}

}  // namespace

Rule ParseRule(const ethtool_rxnfc& reply) {
  const ethtool_rx_flow_spec& flow = reply.fs;
  Rule rule;
  rule.id = flow.location;
  if (flow.ring_cookie != RX_CLS_FLOW_DISC && flow.ring_cookie != RX_CLS_FLOW_WAKE &&
      ethtool_get_flow_spec_ring_vf(flow.ring_cookie) == 0) {
    rule.rx_queue = static_cast<uint32_t>(ethtool_get_flow_spec_ring(flow.ring_cookie));
  }
  if ((flow.flow_type & FLOW_RSS) != 0) rule.rss_context = reply.rss_context;

  ethtool_flow_union mask = flow.m_u;
  switch (flow.flow_type & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS)) {
    case TCP_V4_FLOW:
      TakeMatch(flow.h_u.tcp_ip4_spec, mask.tcp_ip4_spec, rule);
      break;
    case TCP_V6_FLOW:
      TakeMatch(flow.h_u.tcp_ip6_spec, mask.tcp_ip6_spec, rule);
      break;
    default:
      return rule;
  }
  if ((flow.flow_type & (FLOW_EXT | FLOW_MAC_EXT)) != 0 && !AllZero(flow.m_ext)) rule.narrower = true;
  return rule;
}

absl::StatusOr<uint32_t> AddTcpRule(const Interface& interface, const TcpRule& rule) {
  const std::string steering =
      absl::StrCat("steering TCP port ", rule.local_port, " into queue ", rule.rx_queue);
  const std::string what = absl::StrCat(steering, " of ", interface.name);
  if (rule.local_port == 0 || rule.rx_queue >= interface.rx_queues) {
    return ErrnoStatus(EINVAL, absl::StrCat(what, ": ports begin at 1, and the interface has ",
                                            interface.rx_queues, " queues, counted from 0"));
  }
  const auto table = ReadTable(interface);
  if (ErrnoOf(table.status()) == EOPNOTSUPP) {
    return ErrnoStatus(EOPNOTSUPP, absl::StrCat(what, ": its driver has no ntuple rules"));
  }
  if (!table.ok()) return table.status();
  const auto id = ChooseId(*table, rule.id, what, interface.name);
  if (!id.ok()) return id.status();

  std::optional<ethtool_rxnfc> insert = Insertion(rule);
  if (!insert.has_value()) {
    return ErrnoStatus(EINVAL, absl::StrCat(what, ": \"", rule.local_address, "\" is no address of IPv",
                                            rule.family == IpFamily::kIpv4 ? 4 : 6));
  }
  insert->fs.location = *id;
  absl::Status status = EthtoolIoctl(interface, &*insert, steering);
  if (ErrnoOf(status) == EOPNOTSUPP) {
    return ErrnoStatus(EOPNOTSUPP, absl::StrCat(what, " is refused: if \"ethtool -k ", interface.name,
                                                "\" shows ntuple-filters off, \"ethtool -K ", interface.name,
                                                " ntuple on\" switches them on"));
  }
  if (!status.ok()) return status;
  return insert->fs.location;
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
    rules.push_back(ParseRule(get));
  }
  return rules;
}

}  // namespace zcrx::inline v0::netdev
