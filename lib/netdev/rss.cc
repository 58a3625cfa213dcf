// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/rss.h"

#include <linux/ethtool.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"
#include "lib/uapi/netlink.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

// One of the structs of <linux/ethtool.h> that end in a table.
template <typename Struct>
class WithTable {
 public:
  WithTable(uint32_t command, size_t size) : words_(kHeaderWords + size) { get()->cmd = command; }
  WithTable(uint32_t command, const std::vector<uint32_t>& table) : WithTable(command, table.size()) {
    std::copy(table.begin(), table.end(), words_.begin() + kHeaderWords);
  }
  Struct* get() { return reinterpret_cast<Struct*>(words_.data()); }
  std::vector<uint32_t> table() const { return {words_.begin() + kHeaderWords, words_.end()}; }

 private:
  static constexpr ptrdiff_t kHeaderWords = sizeof(Struct) / sizeof(uint32_t);
  std::vector<uint32_t> words_;
};

// The default context's. Empty if the driver has none.
absl::StatusOr<std::vector<uint32_t>> GetTable(const Interface& interface) {
  ethtool_rxfh_indir size = {};
  size.cmd = ETHTOOL_GRXFHINDIR;
  absl::Status status = EthtoolIoctl(interface, &size, "RSS table");
  if (ErrnoOf(status) == EOPNOTSUPP) return std::vector<uint32_t>();
  if (!status.ok()) return status;
  WithTable<ethtool_rxfh_indir> indirection(ETHTOOL_GRXFHINDIR, size.size);
  indirection.get()->size = size.size;
  status = EthtoolIoctl(interface, indirection.get(), "RSS table");
  if (!status.ok()) return status;
  return indirection.table();
}

}  // namespace

absl::StatusOr<std::vector<RssContext>> GetRss(const Interface& interface) {
  const auto replies = EthtoolDump(interface, uapi::kEthtoolMsgRssGet, uapi::kEthtoolAttrRssHeader, "RSS");
  if (!replies.ok()) return replies.status();
  if (replies->has_value()) return ParseRss(**replies);

  auto table = GetTable(interface);
  if (!table.ok()) return table.status();
  std::vector<RssContext> contexts;
  if (!table->empty()) contexts.emplace_back().table = *std::move(table);
  return contexts;
}

absl::Status SetRssTable(const Interface& interface, const std::vector<uint32_t>& table) {
  WithTable<ethtool_rxfh_indir> indirection(ETHTOOL_SRXFHINDIR, table);
  indirection.get()->size = static_cast<uint32_t>(table.size());
  return EthtoolIoctl(interface, indirection.get(), "setting the RSS table");
}

absl::Status ResetRssTable(const Interface& interface) {
  ethtool_rxfh_indir request = {};
  request.cmd = ETHTOOL_SRXFHINDIR;
  return EthtoolIoctl(interface, &request, "resetting the RSS table");
}

absl::Status SpreadRss(const Interface& interface, uint32_t queues) {
  if (queues == 0 || queues > interface.rx_queues) {
    return ErrnoStatus(EINVAL, absl::StrCat("cannot spread over ", queues, " queues: ", interface.name,
                                            " has ", interface.rx_queues));
  }
  auto table = GetTable(interface);
  if (!table.ok()) return table.status();
  if (table->empty()) {
    return ErrnoStatus(EOPNOTSUPP,
                       absl::StrCat("spreading RSS of ", interface.name, ": its driver has no RSS table"));
  }
  for (uint32_t i = 0; i < table->size(); ++i) (*table)[i] = i % queues;
  return SetRssTable(interface, *table);
}

absl::StatusOr<uint32_t> AddRssContext(const Interface& interface, const std::vector<uint32_t>& table) {
  WithTable<ethtool_rxfh> request(ETHTOOL_SRSSH, table);
  request.get()->rss_context = ETH_RXFH_CONTEXT_ALLOC;
  request.get()->indir_size = static_cast<uint32_t>(table.size());
  absl::Status status = EthtoolIoctl(interface, request.get(), "adding an RSS context");
  if (!status.ok()) return status;
  return request.get()->rss_context;
}

absl::Status RemoveRssContext(const Interface& interface, uint32_t id) {
  // The same request without a table removes; of the default context it resets the table.
  if (id == 0) {
    return ErrnoStatus(EINVAL, absl::StrCat("the RSS context 0 of ", interface.name, " cannot be removed"));
  }
  ethtool_rxfh request = {};
  request.cmd = ETHTOOL_SRSSH;
  request.rss_context = id;
  return EthtoolIoctl(interface, &request, absl::StrCat("removing the RSS context ", id));
}

}  // namespace zcrx::inline v0::netdev
