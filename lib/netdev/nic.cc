// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "lib/netdev/channels.h"
#include "lib/netdev/feature_flags.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/page_pools.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {
namespace {

// Moves what `read` gives into `field`, unless an earlier one failed.
template <typename T>
void Read(const Interface& interface, absl::StatusOr<T> (*read)(const Interface&), T& field,
          absl::Status& status) {
  if (!status.ok()) return;
  absl::StatusOr<T> result = read(interface);
  status = result.status();
  if (result.ok()) field = *std::move(result);
}

}  // namespace

absl::StatusOr<NicState> ReadNic(std::string_view name) {
  auto interface = FindInterface(name);
  if (!interface.ok()) return interface.status();
  NicState nic;
  absl::Status status;
  Read(*interface, GetChannels, nic.channels, status);
  Read(*interface, GetFeatures, nic.features, status);
  Read(*interface, GetRings, nic.rings, status);
  Read(*interface, GetRss, nic.rss, status);
  Read(*interface, ListRules, nic.rules, status);
  Read(*interface, GetRxQueueDetails, nic.rx_queues, status);
  Read(*interface, GetPagePools, nic.page_pools, status);
  if (!status.ok()) return status;
  nic.interface = *std::move(interface);
  return nic;
}

}  // namespace zcrx::inline v0::netdev
