// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/top_json.h"

#include <utility>

namespace zcrx::ctl {
namespace {

Json CountOrNull(uint64_t count) { return count == StatsPage::kNotCounted ? Json(nullptr) : Json(count); }

Json ToJson(const TopRuntime& runtime, const TopRates& rates) {
  const StatsPage& page = runtime.page;
  Json holders = Json::array();
  for (uint64_t i = 0; i < page.holder_count; ++i)
    holders.push_back({{"stream", page.holders[i].stream}, {"pieces", page.holders[i].pieces}});
  return {{"process", runtime.process},
          {"pid", runtime.pid},
          {"uid", runtime.uid},
          {"runtime", page.runtime},
          {"started_at_ns", page.started_at_ns},
          {"network_namespace", page.netns},
          {"zero_copy", page.zero_copy != 0},
          {"shared", page.shared != 0},
          {"region_bytes", page.region_bytes},
          {"piece_bytes", page.piece_bytes},
          {"pool_pieces", page.pool_pieces},
          {"pieces_out", page.pieces_out},
          {"pieces_out_peak", page.pieces_out_peak},
          {"refill_lag", page.refill_lag},
          {"bytes_received", page.bytes_received},
          {"fragments_received", page.fragments_received},
          {"zero_copy_bytes", page.zero_copy_bytes()},
          {"zero_copy_bytes_per_second", OrNull(rates.zero_copy_bytes)},
          {"copied_bytes", CountOrNull(page.copied_bytes)},
          {"copied_bytes_per_second", OrNull(rates.copied_bytes)},
          {"copied_fragments", CountOrNull(page.copied_fragments)},
          {"rearms_no_buffer", page.rearms_no_buffer},
          {"rearms_no_space", page.rearms_no_space},
          {"misplaced_streams", page.misplaced_streams},
          {"pressure_high", page.pressure_high != 0},
          {"pressure_rises", page.pressure_rises},
          {"paused_streams", page.paused_streams},
          {"copied_out_bytes", page.copied_out_bytes},
          {"holders", std::move(holders)}};
}

Json ToJson(const TopEntry& entry, const TopRates& rates) {
  const netdev::QueueStats queue = entry.queue.value_or(netdev::QueueStats());
  const netdev::PagePool pool = entry.page_pool.value_or(netdev::PagePool());
  return {{"interface", entry.interface.empty() ? Json(nullptr) : Json(entry.interface)},
          {"queue", OrNull(entry.rx_queue)},
          {"owner", entry.owner.empty() ? Json(nullptr) : Json(entry.owner)},
          {"packets", OrNull(queue.packets)},
          {"packets_per_second", OrNull(rates.packets)},
          {"alloc_failures", OrNull(queue.alloc_failures)},
          {"hw_drops", OrNull(queue.hw_drops)},
          {"hw_drop_overruns", OrNull(queue.hw_drop_overruns)},
          {"page_pool_inflight", OrNull(pool.inflight)},
          {"runtime", entry.runtime.has_value() ? ToJson(*entry.runtime, rates) : Json(nullptr)}};
}

}  // namespace

Json ToJson(const TopSample& sample, const std::vector<TopRates>& rates) {
  Json queues = Json::array();
  for (size_t i = 0; i < sample.entries.size(); ++i) queues.push_back(ToJson(sample.entries[i], rates[i]));
  return {{"queues", std::move(queues)},
          {"detached_page_pools", sample.detached_pools},
          {"detached_pieces", sample.detached_pieces},
          {"unreadable", sample.unreadable}};
}

}  // namespace zcrx::ctl
