// SPDX-License-Identifier: Apache-2.0
//
// Receive ring settings, of which header/data split is the one zero copy needs.
#ifndef ZCRX_LIB_NETDEV_RINGS_H_
#define ZCRX_LIB_NETDEV_RINGS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<RingSettings> GetRings(const Interface& interface);

// Sets what is given. kUnknown leaves header split to the driver. Needs CAP_NET_ADMIN.
absl::Status SetRings(const Interface& interface, std::optional<HeaderSplit> split,
                      std::optional<uint32_t> threshold);

// Sets header split; on, it also sets the threshold to 0 where there is one.
// Setting it matters even where it is reported as on already: the kernel lets
// zero copy only onto interfaces where it was asked for.
absl::Status SetHeaderSplit(const Interface& interface, bool on);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RINGS_H_
