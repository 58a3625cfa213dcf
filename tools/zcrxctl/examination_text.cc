// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/reservations.h"
#include "tools/zcrxctl/show_examination.h"

namespace zcrx::ctl {
namespace {

using netdev::NicState;
using netdev::RxQueue;

std::string ChannelWords(const NicState& nic) {
  if (!nic.channels.has_value()) return "a fixed number";
  const netdev::Channels::Kind& kind =
      nic.channels->combined.max > 0 ? nic.channels->combined : nic.channels->rx;
  return absl::StrCat(kind.count, " of at most ", kind.max);
}

std::string RssWords(const NicState& nic) {
  if (nic.rss.empty() || nic.rss[0].table.empty()) return "none";
  std::map<uint32_t, size_t> shares;
  for (const uint32_t queue : nic.rss[0].table) ++shares[queue];
  return absl::StrCat(nic.rss[0].table.size(), " entries, ",
                      absl::StrJoin(shares, ", ", [](std::string* out, const auto& share) {
                        absl::StrAppend(out, "queue ", share.first, ": ", share.second);
                      }));
}

void AppendRules(const NicState& nic, std::string& text) {
  for (const netdev::Rule& rule : nic.rules) {
    absl::StrAppend(&text, "  rule ", rule.id, ": ",
                    rule.tcp.has_value() ? absl::StrCat("TCP port ", rule.local_port) : "other traffic",
                    rule.local_address.empty() ? "" : " of ", rule.local_address, " to ",
                    rule.rss_context.has_value() ? absl::StrCat("RSS context ", *rule.rss_context)
                    : rule.rx_queue.has_value()  ? absl::StrCat("queue ", *rule.rx_queue)
                                                 : "nowhere",
                    "\n");
  }
}

std::string InterruptWords(const NicState& nic, uint32_t id) {
  for (const RxQueue& queue : nic.rx_queues) {
    if (queue.id != id || !queue.napi.has_value() || !queue.napi->irq.has_value()) continue;
    return absl::StrCat(", interrupt ", *queue.napi->irq, " on CPU ",
                        absl::StrJoin(queue.napi->irq_effective_cpus, ","));
  }
  return "";
}

void AppendNic(const Examination& examination, const Style& style, std::string& text) {
  const NicState& nic = *examination.nic;
  const auto& filters = nic.features.ntuple_filters;
  absl::StrAppend(
      &text, "  driver ", nic.interface.driver.empty() ? "unknown" : nic.interface.driver, ", ",
      nic.interface.up ? "up" : "down", ", XDP ", nic.interface.xdp_attached ? "attached" : "none",
      ", header/data split ", NameOf(nic.rings.header_split), ", threshold ",
      nic.rings.header_split_threshold.has_value() ? absl::StrCat(*nic.rings.header_split_threshold)
                                                   : "unknown",
      ", flow rules ", filters.has_value() && filters->on ? "on" : "off", "\n");
  absl::StrAppend(&text, "  channels: ", ChannelWords(nic), "; RSS: ", RssWords(nic), "\n");
  AppendRules(nic, text);
  for (const auto& reservation : examination.reservations)
    absl::StrAppend(&text, "  ", Describe(reservation), "\n");
  for (const QueueVerdict& verdict : examination.queues) {
    absl::StrAppend(&text, "  queue ", verdict.queue, ": ",
                    verdict.good ? style.Good(verdict.words) : verdict.words,
                    InterruptWords(nic, verdict.queue), "\n");
  }
}

}  // namespace

void AppendFindings(const std::vector<Finding>& findings, const Style& style, std::string& text) {
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, "  ", style.Bad("problem"), ": ", finding.what, "\n");
    if (!finding.fix.empty()) absl::StrAppend(&text, "      fix: ", style.Bold(finding.fix), "\n");
  }
}

std::string Describe(const Examination& examination, bool able, bool whole, const Style& style) {
  std::string text = absl::StrCat(style.Bold(examination.interface), ": ",
                                  !examination.findings.empty() ? "zero copy cannot be had"
                                  : able                        ? style.Good("zero copy can be had")
                                                                : "nothing but the above is in the way",
                                  "\n");
  if (whole && examination.nic.has_value()) AppendNic(examination, style, text);
  AppendFindings(examination.findings, style, text);
  return text;
}

}  // namespace zcrx::ctl
