// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "tools/zcrxctl/reservations.h"
#include "tools/zcrxctl/show_examination.h"

namespace zcrx::ctl {
namespace {

using netdev::NicState;
using netdev::RxQueue;

Json ToJson(const netdev::Channels::Kind& kind) { return {{"count", kind.count}, {"max", kind.max}}; }

Json ChannelsJson(const std::optional<netdev::Channels>& channels) {
  if (!channels.has_value()) return nullptr;
  return {
      {"rx", ToJson(channels->rx)}, {"tx", ToJson(channels->tx)}, {"combined", ToJson(channels->combined)}};
}

Json RingsJson(const netdev::RingSettings& rings) {
  return {{"header_split", NameOf(rings.header_split)},
          {"header_split_threshold", OrNull(rings.header_split_threshold)},
          {"header_split_threshold_max", OrNull(rings.header_split_threshold_max)},
          {"rx", OrNull(rings.rx)},
          {"rx_max", OrNull(rings.rx_max)}};
}

Json RulesJson(const std::vector<netdev::Rule>& rules) {
  Json list = Json::array();
  for (const netdev::Rule& rule : rules) {
    list.push_back(
        {{"id", rule.id},
         {"tcp", rule.tcp.has_value() ? Json(*rule.tcp == netdev::IpFamily::kIpv4 ? 4 : 6) : Json(nullptr)},
         {"port", rule.local_port},
         {"address", rule.local_address},
         {"queue", OrNull(rule.rx_queue)},
         {"rss_context", OrNull(rule.rss_context)}});
  }
  return list;
}

Json QueuesJson(const Examination& examination) {
  Json list = Json::array();
  for (const QueueVerdict& verdict : examination.queues) {
    Json one = {{"queue", verdict.queue}, {"verdict", verdict.words}, {"free", verdict.free}};
    for (const RxQueue& queue : examination.nic->rx_queues) {
      if (queue.id != verdict.queue) continue;
      one["owner"] = OwnerOf(queue);
      if (!queue.napi.has_value()) continue;
      one["irq"] = OrNull(queue.napi->irq);
      one["irq_cpus"] = queue.napi->irq_effective_cpus;
    }
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

Json ToJson(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back({{"id", finding.id}, {"what", finding.what}, {"fix", finding.fix}});
  return list;
}

Json ToJson(const Examination& examination) {
  Json json = {{"interface", examination.interface}, {"findings", ToJson(examination.findings)}};
  if (!examination.nic.has_value()) return json;
  const NicState& nic = *examination.nic;
  json["driver"] = nic.interface.driver;
  json["up"] = nic.interface.up;
  json["xdp"] = nic.interface.xdp_attached;
  json["rings"] = RingsJson(nic.rings);
  json["ntuple"] =
      nic.features.ntuple_filters.has_value() ? Json(nic.features.ntuple_filters->on) : Json(nullptr);
  json["channels"] = ChannelsJson(nic.channels);
  json["rx_queues"] = nic.interface.rx_queues;
  json["rss"] = Json::array();
  for (const netdev::RssContext& context : nic.rss)
    json["rss"].push_back({{"context", context.id}, {"table", context.table}});
  json["rules"] = RulesJson(nic.rules);
  json["reservations"] = Json::array();
  for (const auto& reservation : examination.reservations)
    json["reservations"].push_back(ToJson(reservation));
  json["queues"] = QueuesJson(examination);
  return json;
}

}  // namespace zcrx::ctl
