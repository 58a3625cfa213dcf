// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/page_pools.h"

#include <cstdint>
#include <optional>

#include "lib/netdev/messages.h"
#include "lib/netdev/netdev_family.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {
namespace {

absl::StatusOr<std::vector<PagePool>> Get(std::optional<uint32_t> interface_index) {
  // Of all interfaces: Linux 6.12 cannot be asked about one.
  const auto everything = [](Request&) {};
  const auto replies = NetdevDump(uapi::kNetdevCmdPagePoolGet, everything, "page pools");
  if (!replies.ok()) return replies.status();
  auto pools = ParsePagePools(*replies, interface_index);
  if (!pools.ok() || pools->empty()) return pools;
  const auto stats = NetdevDump(uapi::kNetdevCmdPagePoolStatsGet, everything, "page pool counters");
  if (!stats.ok()) return stats.status();
  if (absl::Status status = AddPagePoolStats(*stats, *pools); !status.ok()) return status;
  return pools;
}

}  // namespace

absl::StatusOr<std::vector<PagePool>> GetPagePools(const Interface& interface) {
  return Get(interface.index);
}

absl::StatusOr<std::vector<PagePool>> GetAllPagePools() { return Get(std::nullopt); }

}  // namespace zcrx::inline v0::netdev
