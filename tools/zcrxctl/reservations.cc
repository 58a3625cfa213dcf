// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/reservations.h"

#include <cstdint>
#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/arguments.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/machine.h"
#include "zcrx/netdev.h"

namespace zcrx::ctl {
namespace {

std::string Describe(const netdev::Flow& flow) {
  if (flow.address.empty()) return absl::StrCat(flow.port);
  const bool ipv6 = flow.address.find(':') != std::string::npos;
  return absl::StrCat(ipv6 ? "[" : "", flow.address, ipv6 ? "]:" : ":", flow.port);
}

}  // namespace

absl::StatusOr<netdev::ReservationOptions> ReservationOptionsFromFlags(const std::string& interface) {
  const absl::StatusOr<std::vector<uint16_t>> ports = ParsePorts(absl::GetFlag(FLAGS_port));
  if (!ports.ok()) return ports.status();
  if (ports->empty())
    return absl::InvalidArgumentError("which ports are to arrive at the queues? --port=P, or --port=P,P");
  if (absl::Status checked = CheckKernel(); !checked.ok()) return checked;
  netdev::ReservationOptions options;
  options.interface = interface;
  options.queues = absl::GetFlag(FLAGS_queues);
  options.state_directory = absl::GetFlag(FLAGS_state_directory);
  for (const uint16_t port : *ports)
    options.flows.push_back({.port = port, .address = absl::GetFlag(FLAGS_address)});
  return options;
}

std::string Describe(const netdev::ReservationInfo& reservation) {
  std::string owner = "outlives its process";
  if (reservation.pid != 0)
    owner = absl::StrCat("process ", reservation.pid, reservation.alive ? "" : ", which is gone");
  return absl::StrCat("reservation ", reservation.id, ": queues ", absl::StrJoin(reservation.rx_queues, ","),
                      " for ",
                      absl::StrJoin(reservation.flows, ", ",
                                    [](std::string* out, const netdev::Flow& flow) {
                                      absl::StrAppend(out, "TCP port ", Describe(flow));
                                    }),
                      " (", owner, ")");
}

Json ToJson(const netdev::ReservationInfo& reservation) {
  Json flows = Json::array();
  for (const netdev::Flow& flow : reservation.flows)
    flows.push_back({{"port", flow.port}, {"address", flow.address}});
  return {{"id", reservation.id},
          {"pid", reservation.pid},
          {"alive", reservation.alive},
          {"queues", reservation.rx_queues},
          {"flows", std::move(flows)}};
}

Json ToJson(const std::vector<netdev::Change>& changes) {
  Json list = Json::array();
  for (const netdev::Change& change : changes)
    list.push_back({{"what", change.what}, {"command", change.command}});
  return list;
}

int ReleaseAfter(int status, netdev::NicReservation& reservation) {
  const absl::Status released = reservation.Release();
  if (released.ok()) return status;
  fprintf(stderr, "zcrxctl: %s\n", std::string(released.message()).c_str());
  return status == kExitFine ? kExitWrong : status;
}

absl::StatusOr<std::vector<std::string>> AllInterfaces() {
  const absl::StatusOr<std::vector<netdev::Interface>> all = netdev::ListInterfaces();
  if (!all.ok()) return all.status();
  std::vector<std::string> names;
  for (const netdev::Interface& interface : *all) names.push_back(interface.name);
  return names;
}

}  // namespace zcrx::ctl
