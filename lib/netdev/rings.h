// SPDX-License-Identifier: Apache-2.0
//
// Receive ring settings, of which header/data split is the one zero copy needs.
#ifndef ZCRX_LIB_NETDEV_RINGS_H_
#define ZCRX_LIB_NETDEV_RINGS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/interface.h"

namespace zcrx::inline v0::netdev {

enum class HeaderSplit {
  kUnknown,  // the driver does not say, or cannot do it
  kDisabled,
  kEnabled,  // as the driver reports it; zero copy wants it *set*, see SetHeaderSplit()
};

// What the kernel or the driver does not report is absent.
struct RingSettings {
  HeaderSplit header_split = HeaderSplit::kUnknown;
  // Packets up to this size are not split. Zero copy wants 0.
  std::optional<uint32_t> header_split_threshold;
  std::optional<uint32_t> header_split_threshold_max;
  std::optional<uint32_t> rx;  // descriptors of each receive ring
  std::optional<uint32_t> rx_max;
};

absl::StatusOr<RingSettings> GetRings(const Interface& interface);

// Sets header split; on, it also sets the threshold to 0 where there is one.
// Setting it matters even where it is reported as on already: the kernel lets
// zero copy only onto interfaces where it was asked for.
absl::Status SetHeaderSplit(const Interface& interface, bool on);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RINGS_H_
