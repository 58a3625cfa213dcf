// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/netdev_family.h"

#include <linux/netlink.h>

#include <cerrno>
#include <utility>

#include "lib/uapi/netlink.h"
#include "zcrx/netdev.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {

absl::StatusOr<bool> HasNetdevFamily() {
  auto socket = NetlinkSocket::Open(NETLINK_GENERIC);
  if (!socket.ok()) return socket.status();
  const auto family = socket->FindFamily(uapi::kNetdevFamily);
  if (!family.ok()) return family.status();
  return family->has_value();
}

absl::StatusOr<std::vector<Payload>> NetdevDump(uint8_t command, const Request::Fill& fill,
                                                std::string_view what) {
  auto socket = NetlinkSocket::Open(NETLINK_GENERIC);
  if (!socket.ok()) return socket.status();
  const auto family = socket->FindFamily(uapi::kNetdevFamily);
  if (!family.ok()) return family.status();
  if (!family->has_value()) return std::vector<Payload>();
  Request request = Request::Generic(**family, uapi::kNetdevFamilyVersion, command, NLM_F_DUMP);
  fill(request);
  auto replies = socket->Exchange(std::move(request), what);
  if (ErrnoOf(replies.status()) == EOPNOTSUPP) return std::vector<Payload>();
  return replies;
}

}  // namespace zcrx::inline v0::netdev
