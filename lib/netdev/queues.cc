// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/queues.h"

#include "absl/strings/str_cat.h"
#include "lib/netdev/interrupts.h"
#include "lib/netdev/messages.h"
#include "lib/netdev/netdev_family.h"
#include "lib/uapi/netlink.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<std::vector<RxQueue>> GetRxQueues(const Interface& interface) {
  const auto replies = NetdevDump(
      uapi::kNetdevCmdQueueGet,
      [&](Request& request) { request.Put(uapi::kNetdevAttrQueueIfindex, interface.index); },
      absl::StrCat("queues of ", interface.name));
  if (!replies.ok()) return replies.status();
  return ParseRxQueues(*replies);
}

absl::StatusOr<std::vector<RxQueue>> GetRxQueueDetails(const Interface& interface) {
  auto queues = GetRxQueues(interface);
  if (!queues.ok() || queues->empty()) return queues;
  const auto napis = NetdevDump(
      uapi::kNetdevCmdNapiGet,
      [&](Request& request) { request.Put(uapi::kNetdevAttrNapiIfindex, interface.index); },
      absl::StrCat("NAPIs of ", interface.name));
  if (!napis.ok()) return napis.status();
  if (absl::Status status = AddNapis(*napis, *queues); !status.ok()) return status;
  // Of all interfaces: Linux 6.9 refuses to be asked about one.
  const auto stats = NetdevDump(
      uapi::kNetdevCmdQstatsGet,
      [](Request& request) {
        request.Put(uapi::kNetdevAttrQstatsScope, uint32_t{uapi::kNetdevQstatsScopeQueue});
      },
      "queue counters");
  if (!stats.ok()) return stats.status();
  if (absl::Status status = AddQueueStats(*stats, interface.index, *queues); !status.ok()) return status;
  for (RxQueue& queue : *queues) {
    if (queue.napi.has_value()) AddInterruptCpus(*queue.napi);
  }
  return queues;
}

std::string OwnerOf(const RxQueue& queue) {
  if (queue.io_uring) return "io_uring";
  if (queue.dmabuf.has_value()) return "dmabuf";
  if (queue.xdp_socket) return "xsk";
  return queue.leased ? "lease" : "";
}

}  // namespace zcrx::inline v0::netdev
