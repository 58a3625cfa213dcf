// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/reservation_plan.h"

#include <arpa/inet.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

bool IsAddress(const std::string& text) {
  in6_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1 || inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

// All queues of all reservations.
std::set<uint32_t> ReservedQueues(const NicRecord& record) {
  std::set<uint32_t> queues;
  for (const KeptReservation& reservation : record.reservations)
    queues.insert(reservation.queues.begin(), reservation.queues.end());
  return queues;
}

// Queues that are somebody's, or that somebody sends something to.
std::set<uint32_t> TakenQueues(const NicState& nic, const NicRecord& record) {
  std::set<uint32_t> queues = ReservedQueues(record);
  for (const RxQueue& queue : nic.rx_queues) {
    if (queue.owned()) queues.insert(queue.id);
  }
  for (const Rule& rule : nic.rules) {
    if (rule.rx_queue.has_value() && !rule.rss_context.has_value()) queues.insert(*rule.rx_queue);
  }
  for (const RssContext& context : nic.rss) {
    if (context.id != 0) queues.insert(context.table.begin(), context.table.end());
  }
  return queues;
}

// `original` without the reserved queues: what went to them goes to the others, in turn.
std::string TableWithout(const NicState& nic, const std::string& original,
                         const std::set<uint32_t>& reserved) {
  NicState before = nic;
  ImagineSetting(before, Setting::kRssTable, original);
  std::vector<uint32_t> table = before.rss[0].table;
  std::set<uint32_t> used(table.begin(), table.end());
  std::vector<uint32_t> others;
  for (const uint32_t queue : used) {
    if (!reserved.contains(queue)) others.push_back(queue);
  }
  for (uint32_t queue = 0; others.empty() && queue < nic.interface.rx_queues; ++queue) {
    if (!reserved.contains(queue)) others.push_back(queue);
  }
  if (others.empty()) return original;
  size_t next = 0;
  for (uint32_t& queue : table) {
    if (reserved.contains(queue)) queue = others[next++ % others.size()];
  }
  return TableValue(table, nic.interface.rx_queues);
}

// More channels of the kind that the NIC receives by.
absl::StatusOr<std::optional<Step>> ChannelStep(const NicState& nic, uint32_t missing, uint32_t queues) {
  const std::string too_few =
      absl::StrCat(nic.interface.name, " has ", nic.interface.rx_queues, " receive queues, and ", missing,
                   " more would be needed for ", queues,
                   " that nobody else uses (rules, RSS contexts and other programs "
                   "have theirs, and one must stay for all other traffic)");
  const char* fix = queues > 1 ? "fix: fewer queues" : "fix: another NIC";
  if (!nic.channels.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(too_few, "; the driver has a fixed number; ", fix));
  }
  Channels channels = *nic.channels;
  Channels::Kind& kind = channels.combined.max > 0 ? channels.combined : channels.rx;
  if (kind.count + missing > kind.max) {
    return absl::FailedPreconditionError(absl::StrCat(too_few, "; it can have ", kind.max,
                                                      " channels and has ", kind.count, " (ethtool -l ",
                                                      nic.interface.name, "); ", fix));
  }
  const std::string from = ChannelsValue(channels);
  kind.count += missing;
  return SettingStep{.setting = Setting::kChannels, .from = from, .to = ChannelsValue(channels)};
}

std::string MatchWords(const TcpRule& rule) {
  return absl::StrCat("TCP port ", rule.local_port, rule.local_address.empty() ? "" : " of ",
                      rule.local_address, " (IPv", rule.family == IpFamily::kIpv4 ? 4 : 6, ")");
}

std::string TargetWords(const TcpRule& rule) {
  return rule.rss_context.has_value() ? absl::StrCat("RSS context ", *rule.rss_context)
                                      : absl::StrCat("queue ", rule.rx_queue);
}

bool SameMatch(const Rule& rule, const TcpRule& wanted) {
  return rule.tcp == wanted.family && rule.local_port == wanted.local_port &&
         rule.local_address == wanted.local_address && rule.remote_port == 0 && rule.remote_address.empty();
}

// One that is there already would win, or lose, by its number.
absl::Status CheckConflicts(const NicState& nic, const TcpRule& wanted) {
  for (const Rule& rule : nic.rules) {
    if (!SameMatch(rule, wanted)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("rule ", rule.id, " of ", nic.interface.name, " steers ", MatchWords(wanted), " already",
                     rule.rx_queue.has_value() ? absl::StrCat(", to queue ", *rule.rx_queue) : "",
                     "; fix: \"ethtool -N ", nic.interface.name, " delete ", rule.id, "\", or another port"));
  }
  return absl::OkStatus();
}

std::string Ethtool(const TcpRule& rule, const std::string& interface) {
  return absl::StrCat("ethtool -N ", interface, " flow-type tcp", rule.family == IpFamily::kIpv4 ? 4 : 6,
                      rule.local_address.empty() ? "" : " dst-ip ", rule.local_address, " dst-port ",
                      rule.local_port,
                      rule.rss_context.has_value() ? absl::StrCat(" context ", *rule.rss_context)
                                                   : absl::StrCat(" action ", rule.rx_queue));
}

std::string Ethtool(const ContextStep& step, const std::string& interface) {
  const std::set<uint32_t> queues(step.table.begin(), step.table.end());
  if (*queues.rbegin() - *queues.begin() + 1 == queues.size()) {
    return absl::StrCat("ethtool -X ", interface, " context new start ", *queues.begin(), " equal ",
                        queues.size());
  }
  std::vector<int> weights(*queues.rbegin() + 1);
  for (const uint32_t queue : queues) weights[queue] = 1;
  return absl::StrCat("ethtool -X ", interface, " context new weight ", absl::StrJoin(weights, " "));
}

std::string Words(Setting setting) {
  switch (setting) {
    case Setting::kChannels:
      return "channels (rx/tx/combined)";
    case Setting::kNtupleFilters:
      return "flow rules";
    case Setting::kHeaderSplit:
      return "header/data split";
    case Setting::kHeaderSplitThreshold:
      return "header/data split threshold";
    case Setting::kRssTable:
      break;
  }
  return "RSS table";
}

}  // namespace

absl::Status CheckOptions(const ReservationOptions& options) {
  if (options.queues == 0)
    return absl::InvalidArgumentError("ReservationOptions::queues is 0; fix: at least 1");
  if (options.flows.empty()) {
    return absl::InvalidArgumentError(
        "ReservationOptions::flows is empty: nothing would arrive at the queues; fix: name the ports to be "
        "served");
  }
  for (const Flow& flow : options.flows) {
    if (flow.port == 0) return absl::InvalidArgumentError("a Flow's port is 0; fix: from 1");
    if (!flow.address.empty() && !IsAddress(flow.address)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a Flow's address is \"", flow.address, "\"; fix: a numeric one, IPv4 or IPv6"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNic(const NicState& nic, const ReservationOptions& options) {
  const std::string& name = nic.interface.name;
  if (nic.interface.bus.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name,
                     " is virtual: there is no device that could write into a region; fix: the NIC's "
                     "own interface"));
  }
  if (!nic.interface.up) {
    return absl::FailedPreconditionError(absl::StrCat(name, " is down; fix: \"ip link set ", name, " up\""));
  }
  if (nic.interface.xdp_attached) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " has an XDP program, beside which no driver lets zero copy be; fix: \"ip link set ", name,
        " xdp off\""));
  }
  if (nic.rss.empty() && options.queues > 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the driver of ", name, " has no RSS, which would spread over several queues; fix: one queue"));
  }
  return absl::OkStatus();
}

std::optional<std::vector<uint32_t>> ChooseQueues(const NicState& nic, const NicRecord& record,
                                                  uint32_t count, uint32_t& missing) {
  const std::set<uint32_t> taken = TakenQueues(nic, record);
  // From the end: everybody else begins with queue 0.
  std::vector<uint32_t> free;
  for (uint32_t queue = nic.interface.rx_queues; queue-- > 0;) {
    if (!taken.contains(queue)) free.push_back(queue);
  }
  const size_t needed = size_t{count} + 1;
  if (free.size() < needed) {
    missing = static_cast<uint32_t>(needed - free.size());
    return std::nullopt;
  }
  free.resize(count);
  std::sort(free.begin(), free.end());
  return free;
}

std::optional<std::string> DesiredValue(const NicState& nic, const NicRecord& record, Setting setting) {
  const std::optional<std::string> now = ReadSetting(nic, setting);
  const KeptSetting* kept = record.Find(setting);
  if (!now.has_value()) return std::nullopt;
  std::string original = kept != nullptr ? kept->original : *now;
  if (record.reservations.empty()) return original;
  switch (setting) {
    case Setting::kChannels:
      return kept != nullptr ? kept->set : *now;
    case Setting::kNtupleFilters:
    case Setting::kHeaderSplit:
      return "on";
    case Setting::kHeaderSplitThreshold:
      return "0";
    case Setting::kRssTable:
      break;
  }
  return TableWithout(nic, original, ReservedQueues(record));
}

absl::StatusOr<std::optional<Step>> NextStep(const NicState& nic, NicRecord& record, uint32_t id,
                                             uint32_t queues) {
  KeptReservation& mine = *record.Find(id);
  if (mine.queues.empty()) {
    uint32_t missing = 0;
    const auto chosen = ChooseQueues(nic, record, queues, missing);
    if (!chosen.has_value()) return ChannelStep(nic, missing, queues);
    mine.queues = *chosen;
  }
  for (const Setting setting : kSettings) {
    const std::optional<std::string> desired = DesiredValue(nic, record, setting);
    const std::optional<std::string> now = ReadSetting(nic, setting);
    if (desired.has_value() && desired != now) return SettingStep{setting, *now, *desired};
  }
  if (mine.queues.size() > 1 && !mine.context.has_value()) return ContextStep{ContextTable(nic, mine.queues)};
  const std::vector<TcpRule> rules = RulesOf(mine);
  if (mine.rules.size() == rules.size()) return std::nullopt;
  const TcpRule& rule = rules[mine.rules.size()];
  if (absl::Status checked = CheckConflicts(nic, rule); !checked.ok()) return checked;
  return RuleStep{rule};
}

void Imagine(const Step& step, NicState& nic, NicRecord& record, uint32_t id) {
  KeptReservation& mine = *record.Find(id);
  if (const auto* setting = std::get_if<SettingStep>(&step)) {
    ImagineSetting(nic, setting->setting, setting->to);
  } else if (const auto* context = std::get_if<ContextStep>(&step)) {
    uint32_t number = 0;
    for (const RssContext& other : nic.rss) number = std::max(number, other.id + 1);
    RssContext& added = nic.rss.emplace_back();
    added.id = number;
    added.table = context->table;
    mine.context = number;
  } else {
    const TcpRule& rule = std::get<RuleStep>(step).rule;
    Rule& added = nic.rules.emplace_back();
    for (const Rule& other : nic.rules) added.id = std::max(added.id, other.id + 1);
    added.tcp = rule.family;
    added.local_port = rule.local_port;
    added.local_address = rule.local_address;
    mine.rules.push_back(added.id);
  }
}

Change Describe(const Step& step, const std::string& interface) {
  if (const auto* setting = std::get_if<SettingStep>(&step)) {
    // Tables have hundreds of entries; the command says it shorter.
    const bool table = setting->setting == Setting::kRssTable;
    return {.what = absl::StrCat(
                Words(setting->setting), ": ",
                table ? "without the reserved queues" : absl::StrCat(setting->from, " -> ", setting->to)),
            .command = SettingCommand(interface, setting->setting, setting->to)};
  }
  if (const auto* context = std::get_if<ContextStep>(&step)) {
    const std::set<uint32_t> queues(context->table.begin(), context->table.end());
    return {.what = absl::StrCat("new RSS context over the queues ", absl::StrJoin(queues, ", ")),
            .command = Ethtool(*context, interface)};
  }
  const TcpRule& rule = std::get<RuleStep>(step).rule;
  return {.what = absl::StrCat("new rule: ", MatchWords(rule), " to ", TargetWords(rule)),
          .command = Ethtool(rule, interface)};
}

bool Matches(const Rule& rule, const TcpRule& wanted) {
  if (!SameMatch(rule, wanted) || rule.rss_context != wanted.rss_context) return false;
  return wanted.rss_context.has_value() || rule.rx_queue == wanted.rx_queue;
}

std::vector<uint32_t> ContextTable(const NicState& nic, const std::vector<uint32_t>& queues) {
  std::vector<uint32_t> table(nic.rss.empty() ? queues.size() : nic.rss[0].table.size());
  for (size_t i = 0; i < table.size(); ++i) table[i] = queues[i % queues.size()];
  return table;
}

}  // namespace zcrx::inline v0::netdev
