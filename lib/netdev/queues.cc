// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/queues.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/netdev/messages.h"
#include "lib/netdev/netlink.h"
#include "lib/uapi/netlink.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<std::vector<RxQueue>> GetRxQueues(const Interface& interface) {
  auto socket = NetlinkSocket::Open(NETLINK_GENERIC);
  if (!socket.ok()) return socket.status();
  auto family = socket->FindFamily(uapi::kNetdevFamily);
  if (!family.ok()) return family.status();
  if (!family->has_value()) return std::vector<RxQueue>();

  Request request = Request::Generic(**family, uapi::kNetdevFamilyVersion, uapi::kNetdevCmdQueueGet,
                                     NLM_F_REQUEST | NLM_F_DUMP);
  request.Put(uapi::kNetdevAttrQueueIfindex, interface.index);
  auto replies = socket->Exchange(std::move(request), absl::StrCat("queues of ", interface.name));
  if (ErrnoOf(replies.status()) == EOPNOTSUPP) return std::vector<RxQueue>();
  if (!replies.ok()) return replies.status();

  std::vector<RxQueue> queues;
  for (const Payload& reply : *replies) {
    auto queue = ParseRxQueue(reply);
    if (!queue.ok()) return queue.status();
    if (queue->has_value()) queues.push_back(**queue);
  }
  std::sort(queues.begin(), queues.end(), [](const RxQueue& a, const RxQueue& b) { return a.id < b.id; });
  return queues;
}

}  // namespace zcrx::inline v0::netdev
