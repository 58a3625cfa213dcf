// SPDX-License-Identifier: Apache-2.0
//
// Receive side scaling: the tables by which the NIC spreads flows. Set by ioctl,
// because netlink can only since 6.17.
#ifndef ZCRX_LIB_NETDEV_RSS_H_
#define ZCRX_LIB_NETDEV_RSS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// All contexts by id; before 6.12 the default one only, without its hash. Empty if
// the driver has no RSS.
absl::StatusOr<std::vector<RssContext>> GetRss(const Interface& interface);

// What follows needs CAP_NET_ADMIN.

// Sets the table of the default context. A `table` has a queue for each of the
// entries that the NIC's table has.
absl::Status SetRssTable(const Interface& interface, const std::vector<uint32_t>& table);

// Lets the default context spread over all queues, as nobody had ever set it.
absl::Status ResetRssTable(const Interface& interface);

// Spreads over the queues 0 to `queues` - 1, so that the ones behind get nothing
// but what rules send there.
absl::Status SpreadRss(const Interface& interface, uint32_t queues);

// Adds a context with that table; returns its id, for rules. EOPNOTSUPP if the
// driver has but the default one.
absl::StatusOr<uint32_t> AddRssContext(const Interface& interface, const std::vector<uint32_t>& table);

// Refused while a rule has the context (EBUSY; drivers and kernels differ).
absl::Status RemoveRssContext(const Interface& interface, uint32_t id);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RSS_H_
