// SPDX-License-Identifier: Apache-2.0
//
// What `ethtool -k` shows of an interface.
#ifndef ZCRX_LIB_NETDEV_FEATURE_FLAGS_H_
#define ZCRX_LIB_NETDEV_FEATURE_FLAGS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<Features> GetFeatures(const Interface& interface);

// Lets flow rules be set, or removes them all. EOPNOTSUPP if the feature is fixed, or something else keeps it
// as it is: the kernel does not call that an error. Needs CAP_NET_ADMIN.
absl::Status SetNtupleFilters(const Interface& interface, bool on);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_FEATURE_FLAGS_H_
