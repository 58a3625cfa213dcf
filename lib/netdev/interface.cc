// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/interface.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/netdev/channels.h"
#include "lib/netdev/ethtool.h"
#include "lib/netdev/messages.h"
#include "lib/netdev/netlink.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

absl::StatusOr<std::vector<Payload>> AskForLinks(int flags, const Request::Fill& fill,
                                                 std::string_view what) {
  auto socket = NetlinkSocket::Open(NETLINK_ROUTE);
  if (!socket.ok()) return socket.status();
  ifinfomsg header = {};
  header.ifi_family = AF_UNSPEC;
  Request request = Request::Route(RTM_GETLINK, header, flags);
  fill(request);
  request.Put(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  return socket->Exchange(std::move(request), what);
}

absl::StatusOr<Link> FindLink(const std::string& name) {
  const int attribute = name.size() < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME;
  const auto replies = AskForLinks(
      0, [&](Request& request) { request.Put(attribute, name); }, absl::StrCat("interface ", name));
  if (!replies.ok()) return replies.status();
  if (replies->empty()) return absl::DataLossError(absl::StrCat("interface ", name, ": no reply"));
  return ParseLink(replies->front());
}

// rtnetlink counts the queues that were allocated, which may be more than are in
// use. The channels are the ones in use, whether the interface is up or not (the
// netdev family lists queues only of interfaces that are up, and sysfs shows the
// interfaces of whatever namespace mounted it). A driver without channels has a
// fixed number of queues, so the allocated ones are right again.
absl::StatusOr<uint32_t> CountRxQueues(const Interface& interface, uint32_t allocated) {
  const auto channels = GetChannels(interface);
  if (!channels.ok()) return channels.status();
  if (!channels->has_value()) return allocated;
  const uint32_t count = (*channels)->rx.count + (*channels)->combined.count;
  return count == 0 ? allocated : count;
}

std::string Driver(const Interface& interface) {
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!EthtoolIoctl(interface, &info, "driver").ok()) return {};
  return std::string(info.driver, strnlen(info.driver, sizeof(info.driver)));
}

std::optional<int> NumaNode(const Link& link) {
  if (link.parent_device.empty()) return std::nullopt;
  // By bus and device, not by interface: this part of sysfs has no namespaces.
  std::ifstream file(
      absl::StrCat("/sys/bus/", link.parent_bus, "/devices/", link.parent_device, "/numa_node"));
  int node = -1;
  if (!(file >> node) || node < 0) return std::nullopt;
  return node;
}

absl::StatusOr<Interface> Describe(const Link& link) {
  Interface interface;
  interface.name = link.name;
  interface.index = link.index;
  interface.up = link.up;
  interface.mtu = link.mtu;
  interface.xdp_attached = link.xdp_attached;
  interface.driver = Driver(interface);
  interface.bus = link.parent_bus;
  interface.device = link.parent_device;
  interface.numa_node = NumaNode(link);
  auto rx_queues = CountRxQueues(interface, link.rx_queues_max);
  if (!rx_queues.ok()) return rx_queues.status();
  interface.rx_queues = *rx_queues;
  return interface;
}

}  // namespace

absl::StatusOr<Interface> FindInterface(std::string_view name) {
  const std::string wanted(name);
  const bool possible = !wanted.empty() && wanted.size() < ALTIFNAMSIZ;
  auto link = possible ? FindLink(wanted) : absl::StatusOr<Link>(ErrnoStatus(ENODEV, wanted));
  if (ErrnoOf(link.status()) == ENODEV) {
    return ErrnoStatus(ENODEV, absl::StrCat("no interface \"", wanted,
                                            "\" in this network namespace (\"ip link\" lists what there is; "
                                            "\"ip netns exec NAME ...\" runs in another one)"));
  }
  if (!link.ok()) return link.status();

  return Describe(*link);
}

absl::StatusOr<std::vector<Interface>> ListInterfaces() {
  const auto replies = AskForLinks(NLM_F_DUMP, [](Request&) {}, "interfaces");
  if (!replies.ok()) return replies.status();
  std::vector<Interface> interfaces;
  for (const Payload& reply : *replies) {
    const auto link = ParseLink(reply);
    if (!link.ok()) return link.status();
    auto interface = Describe(*link);
    if (ErrnoOf(interface.status()) == ENODEV) continue;  // removed since it was listed
    if (!interface.ok()) return interface.status();
    interfaces.push_back(*std::move(interface));
  }
  std::sort(interfaces.begin(), interfaces.end(),
            [](const Interface& a, const Interface& b) { return a.index < b.index; });
  return interfaces;
}

}  // namespace zcrx::inline v0::netdev
