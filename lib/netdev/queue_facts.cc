// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/queue_facts.h"

#include <algorithm>

namespace zcrx::inline v0::netdev {

static bool Contains(const std::vector<uint32_t>& all, uint32_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string OwnerOfQueue(const NicState& nic, uint32_t queue) {
  for (const RxQueue& one : nic.rx_queues) {
    if (one.id == queue) return OwnerOf(one);
  }
  return "";
}

const ReservationInfo* ReservationOf(const NicFacts& facts, uint32_t queue) {
  for (const ReservationInfo& reservation : facts.reservations) {
    if (Contains(reservation.rx_queues, queue)) return &reservation;
  }
  return nullptr;
}

bool SpillsInto(const NicState& nic, uint32_t queue) {
  return !nic.rss.empty() && Contains(nic.rss[0].table, queue);
}

std::set<uint32_t> TargetsOf(const NicState& nic, const Rule& rule) {
  if (!rule.rx_queue.has_value()) return {};
  if (!rule.rss_context.has_value()) return {*rule.rx_queue};
  std::set<uint32_t> targets;
  for (const RssContext& context : nic.rss) {
    if (context.id != *rule.rss_context) continue;
    for (const uint32_t queue : context.table) targets.insert(queue + *rule.rx_queue);
  }
  return targets;
}

std::vector<Rule> RulesFor(const NicState& nic, uint16_t port) {
  std::vector<Rule> rules;
  for (const Rule& rule : nic.rules) {
    if (rule.tcp.has_value() && rule.local_port == port) rules.push_back(rule);
  }
  return rules;
}

std::vector<uint32_t> FreeQueues(const NicFacts& facts) {
  std::vector<uint32_t> free;
  for (uint32_t queue = 0; queue < facts.nic.interface.rx_queues; ++queue) {
    if (OwnerOfQueue(facts.nic, queue).empty() && ReservationOf(facts, queue) == nullptr)
      free.push_back(queue);
  }
  return free;
}

}  // namespace zcrx::inline v0::netdev
