// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/owners.h"
#include "tools/zcrxctl/reservations.h"
#include "zcrx/netdev.h"
#include "zcrx/stats_page.h"

namespace zcrx::ctl {
namespace {

void AppendQueue(const netdev::RxQueue& queue, const std::vector<Process>& receivers, Outcome& outcome,
                 Json& json) {
  const std::string owner = OwnerOf(queue);
  if (owner.empty()) return;
  json["bound_queues"].push_back({{"queue", queue.id},
                                  {"owner", owner},
                                  {"processes", ToJson(receivers)},
                                  {"buffer_bytes", OrNull(queue.io_uring_buffer_bytes)},
                                  {"packets", OrNull(queue.stats.packets)}});
  absl::StrAppend(&outcome.text, "  queue ", queue.id, ": ", owner, receivers.empty() ? "" : " of ",
                  Describe(receivers), "\n");
}

void AppendPool(const netdev::PagePool& pool, Outcome& outcome, Json& json) {
  json["page_pools"].push_back({{"id", pool.id},
                                {"napi", OrNull(pool.napi_id)},
                                {"io_uring", pool.io_uring},
                                {"inflight", OrNull(pool.inflight)},
                                {"inflight_bytes", OrNull(pool.inflight_bytes)},
                                {"detached_at_seconds", OrNull(pool.detached_at_seconds)}});
  absl::StrAppend(&outcome.text, "  page pool ", pool.id, pool.io_uring ? " (io_uring)" : "",
                  pool.detached_at_seconds.has_value() ? ", detached" : "");
  if (pool.inflight.has_value()) absl::StrAppend(&outcome.text, ": ", *pool.inflight, " pieces out");
  absl::StrAppend(&outcome.text, "\n");
}

// `told`: the kernel tells of queues.
absl::Status AppendInterface(const std::string& name, bool told, const std::vector<PublishedStats>& pages,
                             Outcome& outcome) {
  const absl::StatusOr<netdev::NicState> nic = netdev::ReadNic(name);
  if (!nic.ok()) return nic.status();
  const auto reservations = netdev::ListReservations(name, absl::GetFlag(FLAGS_state_directory));
  if (!reservations.ok()) return reservations.status();
  Json json = {{"interface", nic->interface.name},
               {"reservations", Json::array()},
               {"bound_queues", Json::array()},
               {"page_pools", Json::array()}};
  absl::StrAppend(&outcome.text, nic->interface.name, ": ", nic->interface.rx_queues, " receive queues\n");
  for (const netdev::ReservationInfo& reservation : *reservations) {
    json["reservations"].push_back(ToJson(reservation));
    absl::StrAppend(&outcome.text, "  ", Describe(reservation), "\n");
  }
  if (!told) json["bound_queues"] = json["page_pools"] = nullptr;
  for (const netdev::RxQueue& queue : nic->rx_queues)
    AppendQueue(queue, ReceiversOf(pages, nic->interface, queue.id), outcome, json);
  for (const netdev::PagePool& pool : nic->page_pools) AppendPool(pool, outcome, json);
  outcome.json.push_back(std::move(json));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Outcome> Status(const Arguments& arguments) {
  absl::StatusOr<std::vector<std::string>> interfaces = arguments.operands;
  if (interfaces->empty()) interfaces = AllInterfaces();
  if (!interfaces.ok()) return interfaces.status();
  const absl::StatusOr<bool> told = netdev::HasNetdevFamily();
  if (!told.ok()) return told.status();
  Outcome outcome;
  outcome.json = Json::array();
  if (!*told) {
    outcome.text =
        "this kernel does not tell who has which queue, nor of page pools (no netlink family netdev)\n";
  }
  const std::vector<PublishedStats> pages = ReadStatsPages();
  for (const std::string& interface : *interfaces) {
    if (absl::Status appended = AppendInterface(interface, *told, pages, outcome); !appended.ok())
      return appended;
  }
  return outcome;
}

}  // namespace zcrx::ctl
