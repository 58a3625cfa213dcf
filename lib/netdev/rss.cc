// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rss.h"

#include <linux/ethtool.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "lib/netdev/ethtool.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

// ethtool_rxfh_indir with its table behind it.
class Indirection {
 public:
  Indirection(uint32_t command, uint32_t size)
      : words_(sizeof(ethtool_rxfh_indir) / sizeof(uint32_t) + size) {
    get()->cmd = command;
    get()->size = size;
  }
  ethtool_rxfh_indir* get() { return reinterpret_cast<ethtool_rxfh_indir*>(words_.data()); }
  uint32_t* table() { return words_.data() + sizeof(ethtool_rxfh_indir) / sizeof(uint32_t); }

 private:
  std::vector<uint32_t> words_;
};

}  // namespace

absl::StatusOr<std::vector<uint32_t>> GetRssTable(const Interface& interface) {
  Indirection size(ETHTOOL_GRXFHINDIR, 0);
  absl::Status status = EthtoolIoctl(interface, size.get(), "RSS table");
  if (ErrnoOf(status) == EOPNOTSUPP) return std::vector<uint32_t>();
  if (!status.ok()) return status;
  Indirection indirection(ETHTOOL_GRXFHINDIR, size.get()->size);
  status = EthtoolIoctl(interface, indirection.get(), "RSS table");
  if (!status.ok()) return status;
  return std::vector<uint32_t>(indirection.table(), indirection.table() + size.get()->size);
}

absl::Status SpreadRss(const Interface& interface, uint32_t queues) {
  if (queues == 0 || queues > interface.rx_queues) {
    return ErrnoStatus(EINVAL, absl::StrCat("cannot spread over ", queues, " queues: ", interface.name,
                                            " has ", interface.rx_queues));
  }
  const auto now = GetRssTable(interface);
  if (!now.ok()) return now.status();
  if (now->empty()) {
    return ErrnoStatus(EOPNOTSUPP,
                       absl::StrCat("spreading RSS of ", interface.name, ": its driver has no RSS table"));
  }
  Indirection indirection(ETHTOOL_SRXFHINDIR, static_cast<uint32_t>(now->size()));
  for (uint32_t i = 0; i < now->size(); ++i) indirection.table()[i] = i % queues;
  return EthtoolIoctl(interface, indirection.get(), absl::StrCat("spreading RSS over ", queues, " queues"));
}

}  // namespace zcrx::inline v0::netdev
