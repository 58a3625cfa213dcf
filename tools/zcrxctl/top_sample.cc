// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/top_sample.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/owners.h"
#include "tools/zcrxctl/reservations.h"

namespace zcrx::ctl {
namespace {

// How often a NIC is asked that changes while it is looked at.
constexpr int kTries = 3;

std::optional<netdev::PagePool> PoolOf(const netdev::NicState& nic, const netdev::RxQueue& queue) {
  if (!queue.napi.has_value()) return std::nullopt;
  for (const netdev::PagePool& pool : nic.page_pools) {
    if (pool.napi_id == queue.napi->id && !pool.detached_at_seconds.has_value()) return pool;
  }
  return std::nullopt;
}

class Joiner {
 public:
  explicit Joiner(const TopFacts& facts) : facts_(facts) {}

  TopSample Join() {
    for (const netdev::NicState& nic : facts_.nics) AddNic(nic);
    for (const PublishedPage& page : facts_.pages) AddRest(page);
    const auto key = [](const TopEntry& entry) {
      const bool in_use = !entry.owner.empty() || entry.runtime.has_value();
      return std::tuple(entry.interface.empty(), entry.interface, !in_use, entry.rx_queue,
                        entry.runtime.has_value() ? entry.runtime->pid : 0,
                        entry.runtime.has_value() ? entry.runtime->page.runtime : 0);
    };
    std::sort(sample_.entries.begin(), sample_.entries.end(),
              [&key](const TopEntry& a, const TopEntry& b) { return key(a) < key(b); });
    return std::move(sample_);
  }

 private:
  static TopRuntime RuntimeOf(const PublishedPage& published) {
    return {.process = published.process,
            .pid = published.stats.pid,
            .uid = published.stats.uid,
            .page = *published.stats.page};
  }

  void AddNic(const netdev::NicState& nic) {
    for (const netdev::RxQueue& queue : nic.rx_queues) AddQueue(nic, queue);
    for (const netdev::PagePool& pool : nic.page_pools) {
      if (!pool.detached_at_seconds.has_value()) continue;
      ++sample_.detached_pools;
      sample_.detached_pieces += pool.inflight.value_or(0);
    }
  }

  void AddQueue(const netdev::NicState& nic, const netdev::RxQueue& queue) {
    TopEntry entry = {.interface = nic.interface.name,
                      .rx_queue = queue.id,
                      .owner = OwnerOf(queue),
                      .queue = queue.stats,
                      .page_pool = PoolOf(nic, queue),
                      .runtime = std::nullopt};
    bool found = false;
    for (const PublishedPage& published : facts_.pages) {
      if (!ReceivesFrom(published.stats, facts_.netns, nic.interface, queue.id)) continue;
      found = true;
      entry.runtime = RuntimeOf(published);
      sample_.entries.push_back(entry);
      joined_.insert(&published);
    }
    if (!found && (facts_.one_only || !entry.owner.empty())) sample_.entries.push_back(entry);
  }

  // A page that none of the queues has claimed.
  void AddRest(const PublishedPage& published) {
    if (!published.stats.page.ok()) {
      sample_.unreadable.push_back(absl::StrCat(published.process, " (", published.stats.pid, "), user ",
                                                published.stats.uid, ": ",
                                                published.stats.page.status().message()));
    } else if (!facts_.one_only && joined_.count(&published) == 0) {
      TopEntry entry;
      entry.runtime = RuntimeOf(published);
      if (entry.runtime->page.zero_copy != 0) {
        entry.interface = entry.runtime->page.name.data();
        entry.rx_queue = entry.runtime->page.rx_queue;
      }
      sample_.entries.push_back(std::move(entry));
    }
  }

  const TopFacts& facts_;
  std::set<const PublishedPage*> joined_;
  TopSample sample_;
};

absl::StatusOr<netdev::NicState> ReadPatiently(const std::string& interface) {
  absl::StatusOr<netdev::NicState> nic = netdev::ReadNic(interface);
  for (int i = 1; i < kTries && !nic.ok() && !absl::IsNotFound(nic.status()); ++i)
    nic = netdev::ReadNic(interface);
  return nic;
}

}  // namespace

TopSample JoinFacts(const TopFacts& facts) { return Joiner(facts).Join(); }

absl::StatusOr<TopSample> TakeSample(const std::optional<std::string>& interface) {
  TopFacts facts;
  facts.netns = OwnNetworkNamespace();
  facts.one_only = interface.has_value();
  absl::StatusOr<std::vector<std::string>> names = std::vector<std::string>();
  if (interface.has_value()) {
    names->push_back(*interface);
  } else {
    names = AllInterfaces();
  }
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    absl::StatusOr<netdev::NicState> nic = ReadPatiently(name);
    // It may be gone since they were listed.
    if (absl::IsNotFound(nic.status()) && !interface.has_value()) continue;
    if (!nic.ok()) return nic.status();
    facts.nics.push_back(*std::move(nic));
  }
  for (PublishedStats& stats : ReadStatsPages())
    facts.pages.push_back({.process = NameOfProcess(stats.pid), .stats = std::move(stats)});
  TopSample sample = JoinFacts(facts);
  sample.time = std::chrono::steady_clock::now();
  return sample;
}

}  // namespace zcrx::ctl
