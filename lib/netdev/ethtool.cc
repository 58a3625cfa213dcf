// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/ethtool.h"

#include <linux/ethtool_netlink.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

std::string Of(std::string_view what, const Interface& interface) {
  return absl::StrCat(std::string(what), " of ", interface.name);
}

absl::StatusOr<std::vector<Payload>> Ask(const Interface& interface, uint8_t command, int flags, int header,
                                         const Request::Fill& fill, std::string_view what) {
  auto socket = NetlinkSocket::Open(NETLINK_GENERIC);
  if (!socket.ok()) return socket.status();
  auto family = socket->FindFamily(ETHTOOL_GENL_NAME);
  if (!family.ok()) return family.status();
  if (!family->has_value()) {
    return ErrnoStatus(EOPNOTSUPP,
                       absl::StrCat(Of(what, interface), ": the kernel has no ethtool netlink family"));
  }
  Request request = Request::Generic(**family, ETHTOOL_GENL_VERSION, command, flags);
  request.PutNest(header, [&](Request& nest) { nest.Put(ETHTOOL_A_HEADER_DEV_INDEX, interface.index); });
  fill(request);
  return socket->Exchange(std::move(request), Of(what, interface));
}

}  // namespace

absl::StatusOr<std::optional<Payload>> EthtoolGet(const Interface& interface, uint8_t command, int header,
                                                  std::string_view what) {
  auto replies = Ask(interface, command, 0, header, [](Request&) {}, what);
  if (ErrnoOf(replies.status()) == EOPNOTSUPP) return std::nullopt;
  if (!replies.ok()) return replies.status();
  if (replies->empty()) return std::nullopt;
  return std::move(replies->front());
}

absl::StatusOr<std::optional<std::vector<Payload>>> EthtoolDump(const Interface& interface, uint8_t command,
                                                                int header, std::string_view what) {
  auto replies = Ask(interface, command, NLM_F_DUMP, header, [](Request&) {}, what);
  if (ErrnoOf(replies.status()) == EOPNOTSUPP) return std::nullopt;
  if (!replies.ok()) return replies.status();
  return *std::move(replies);
}

absl::Status EthtoolSet(const Interface& interface, uint8_t command, int header, const Request::Fill& fill,
                        std::string_view what) {
  return Ask(interface, command, 0, header, fill, what).status();
}

absl::Status EthtoolIoctl(const Interface& interface, void* command, std::string_view what) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "cannot open a socket for ethtool");
  ifreq request = {};
  interface.name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(command);
  const int error = ioctl(fd, SIOCETHTOOL, &request) < 0 ? errno : 0;
  close(fd);
  return ErrnoStatus(error, Of(what, interface));
}

}  // namespace zcrx::inline v0::netdev
