// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/feature_flags.h"

#include <linux/ethtool_netlink.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<Features> GetFeatures(const Interface& interface) {
  const auto reply = EthtoolGet(interface, ETHTOOL_MSG_FEATURES_GET, ETHTOOL_A_FEATURES_HEADER, "features");
  if (!reply.ok()) return reply.status();
  if (!reply->has_value()) return Features();
  return ParseFeatures(**reply);
}

absl::Status SetNtupleFilters(const Interface& interface, bool on) {
  const std::string what = absl::StrCat("switching ", on ? "on" : "off", " ntuple-filters");
  const auto bit = [on](Request& request) {
    request.Put(ETHTOOL_A_BITSET_BIT_NAME, std::string(kNtupleFilters));
    if (on) request.PutFlag(ETHTOOL_A_BITSET_BIT_VALUE);
  };
  const auto bits = [&bit](Request& request) { request.PutNest(ETHTOOL_A_BITSET_BITS_BIT, bit); };
  const auto bitset = [&bits](Request& request) { request.PutNest(ETHTOOL_A_BITSET_BITS, bits); };
  absl::Status status = EthtoolSet(
      interface, ETHTOOL_MSG_FEATURES_SET, ETHTOOL_A_FEATURES_HEADER,
      [&bitset](Request& request) { request.PutNest(ETHTOOL_A_FEATURES_WANTED, bitset); }, what);
  if (!status.ok()) return status;

  const auto now = GetFeatures(interface);
  if (!now.ok()) return now.status();
  const auto& filters = now->ntuple_filters;
  if (filters.has_value() && filters->on == on) return absl::OkStatus();
  return ErrnoStatus(EOPNOTSUPP, absl::StrCat(what, " of ", interface.name, ": ",
                                              !filters.has_value() ? "the kernel does not know the feature"
                                              : filters->fixed     ? "its driver does not let it be changed"
                                                                   : "it stays as it was"));
}

}  // namespace zcrx::inline v0::netdev
