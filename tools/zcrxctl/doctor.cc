// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/arguments.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/examination.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/owners.h"
#include "tools/zcrxctl/probe.h"
#include "tools/zcrxctl/reservations.h"
#include "tools/zcrxctl/self.h"

namespace zcrx::ctl {
namespace {

using netdev::HeaderSplit;
using netdev::NicState;
using netdev::RxQueue;

absl::StatusOr<Question> QuestionFromFlags(const Arguments& arguments) {
  Question question;
  if (!arguments.operands.empty()) question.interface = arguments.operands[0];
  question.queue = absl::GetFlag(FLAGS_queue);
  const absl::StatusOr<std::vector<uint16_t>> ports = ParsePorts(absl::GetFlag(FLAGS_port));
  if (!ports.ok()) return ports.status();
  if (ports->size() > 1) return absl::InvalidArgumentError("doctor takes one port");
  if (!ports->empty()) question.port = ports->front();
  const bool narrow = question.queue.has_value() || question.port.has_value() || absl::GetFlag(FLAGS_probe);
  if (narrow && question.interface.empty())
    return absl::InvalidArgumentError("of which interface? doctor IF --queue=N --port=P");
  return question;
}

// The queue that was asked for, or all that are free.
void Probe(const Question& question, Examination& examination) {
  for (QueueVerdict& verdict : examination.queues) {
    if (question.queue.has_value() ? *question.queue != verdict.queue : !verdict.free) continue;
    const absl::Status tried = TryQueue(examination.interface, verdict.queue);
    absl::StrAppend(&verdict.words, tried.ok() ? "; tried: zero copy" : "; tried: refused");
    if (!tried.ok()) examination.findings.push_back({"probe-failed", std::string(tried.message()), ""});
  }
}

// --- As JSON -------------------------------------------------------------------------------

const char* NameOf(HeaderSplit split) {
  switch (split) {
    case HeaderSplit::kEnabled:
      return "on";
    case HeaderSplit::kDisabled:
      return "off";
    case HeaderSplit::kUnknown:
      break;
  }
  return "unknown";
}

Json RingsJson(const netdev::RingSettings& rings) {
  return {{"header_split", NameOf(rings.header_split)},
          {"header_split_threshold", OrNull(rings.header_split_threshold)},
          {"header_split_threshold_max", OrNull(rings.header_split_threshold_max)},
          {"rx", OrNull(rings.rx)},
          {"rx_max", OrNull(rings.rx_max)}};
}

Json RulesJson(const std::vector<netdev::Rule>& rules) {
  Json list = Json::array();
  for (const netdev::Rule& rule : rules) {
    list.push_back(
        {{"id", rule.id},
         {"tcp", rule.tcp.has_value() ? Json(*rule.tcp == netdev::IpFamily::kIpv4 ? 4 : 6) : Json(nullptr)},
         {"port", rule.local_port},
         {"address", rule.local_address},
         {"queue", OrNull(rule.rx_queue)},
         {"rss_context", OrNull(rule.rss_context)}});
  }
  return list;
}

Json QueuesJson(const Examination& examination) {
  Json list = Json::array();
  for (const QueueVerdict& verdict : examination.queues) {
    Json one = {{"queue", verdict.queue}, {"verdict", verdict.words}, {"free", verdict.free}};
    for (const RxQueue& queue : examination.facts->nic.rx_queues) {
      if (queue.id != verdict.queue) continue;
      one["owner"] = OwnerOf(queue);
      if (!queue.napi.has_value()) continue;
      one["irq"] = OrNull(queue.napi->irq);
      one["irq_cpus"] = queue.napi->irq_effective_cpus;
    }
    list.push_back(std::move(one));
  }
  return list;
}

Json InterfaceJson(const Examination& examination) {
  Json json = {{"interface", examination.interface}, {"findings", ToJson(examination.findings)}};
  if (!examination.facts.has_value()) return json;
  const NicState& nic = examination.facts->nic;
  json["driver"] = nic.interface.driver;
  json["up"] = nic.interface.up;
  json["xdp"] = nic.interface.xdp_attached;
  json["rings"] = RingsJson(nic.rings);
  json["ntuple"] =
      nic.features.ntuple_filters.has_value() ? Json(nic.features.ntuple_filters->on) : Json(nullptr);
  json["rx_queues"] = nic.interface.rx_queues;
  json["rss"] = Json::array();
  for (const netdev::RssContext& context : nic.rss)
    json["rss"].push_back({{"context", context.id}, {"table", context.table}});
  json["rules"] = RulesJson(nic.rules);
  json["reservations"] = Json::array();
  for (const auto& reservation : examination.facts->reservations)
    json["reservations"].push_back(ToJson(reservation));
  json["queues"] = QueuesJson(examination);
  return json;
}

// --- In words ------------------------------------------------------------------------------

void AppendFindings(const std::vector<Finding>& findings, const Style& style, std::string& text) {
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, "  ", style.Bad("problem"), ": ", finding.what, "\n");
    if (!finding.fix.empty()) absl::StrAppend(&text, "      fix: ", style.Bold(finding.fix), "\n");
  }
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
  const NicState& nic = examination.facts->nic;
  const auto& filters = nic.features.ntuple_filters;
  absl::StrAppend(
      &text, "  driver ", nic.interface.driver.empty() ? "unknown" : nic.interface.driver, ", ",
      nic.interface.up ? "up" : "down", ", XDP ", nic.interface.xdp_attached ? "attached" : "none",
      ", header/data split ", NameOf(nic.rings.header_split), ", threshold ",
      nic.rings.header_split_threshold.has_value() ? absl::StrCat(*nic.rings.header_split_threshold)
                                                   : "unknown",
      ", flow rules ", filters.has_value() && filters->on ? "on" : "off", "\n");
  absl::StrAppend(&text, "  RSS: ", RssWords(nic), "\n");
  AppendRules(nic, text);
  for (const auto& reservation : examination.facts->reservations)
    absl::StrAppend(&text, "  ", Describe(reservation), "\n");
  for (const QueueVerdict& verdict : examination.queues) {
    absl::StrAppend(&text, "  queue ", verdict.queue, ": ",
                    verdict.good ? style.Good(verdict.words) : verdict.words,
                    InterruptWords(nic, verdict.queue), "\n");
  }
}

bool HasIoUringOwner(const Examination& examination) {
  return examination.facts.has_value() &&
         std::any_of(examination.facts->nic.rx_queues.begin(), examination.facts->nic.rx_queues.end(),
                     [](const RxQueue& queue) { return queue.io_uring; });
}

// --- The whole -----------------------------------------------------------------------------

bool IsFine(const Examination& examination) { return examination.findings.empty(); }

Outcome Report(const Machine& machine, const std::vector<Finding>& general,
               const std::vector<Examination>& examinations, bool whole, const Style& style) {
  Outcome outcome;
  outcome.text = Describe(machine);
  AppendFindings(general, style, outcome.text);
  Json interfaces = Json::array();
  // What was asked for; without a name any that can will do.
  const bool fine = general.empty() && std::any_of(examinations.begin(), examinations.end(), IsFine);
  Json findings = ToJson(general);
  for (const Examination& examination : examinations) {
    absl::StrAppend(&outcome.text, style.Bold(examination.interface), ": ",
                    IsFine(examination) ? style.Good("zero copy can be had") : "zero copy cannot be had",
                    "\n");
    if (whole && examination.facts.has_value()) AppendNic(examination, style, outcome.text);
    AppendFindings(examination.findings, style, outcome.text);
    interfaces.push_back(InterfaceJson(examination));
    for (const Json& finding : interfaces.back()["findings"]) findings.push_back(finding);
  }
  outcome.json = {
      {"fine", fine}, {"machine", ToJson(machine)}, {"findings", findings}, {"interfaces", interfaces}};
  if (std::any_of(examinations.begin(), examinations.end(), HasIoUringOwner)) {
    // The kernel does not tell whose io_uring has a queue.
    const std::vector<Process> processes = IoUringProcesses();
    outcome.json["io_uring_processes"] = ToJson(processes);
    absl::StrAppend(&outcome.text,
                    "processes with an io_uring, owners of queues among them: ", Describe(processes), "\n");
  }
  absl::StrAppend(
      &outcome.text,
      fine ? style.Good("verdict: zero copy can be had") : style.Bad("verdict: zero copy cannot be had yet"),
      "\n");
  outcome.exit_code = fine ? kExitFine : kExitWrong;
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> Doctor(const Arguments& arguments) {
  const absl::StatusOr<Question> question = QuestionFromFlags(arguments);
  if (!question.ok()) return question.status();
  const Machine machine = ReadMachine();
  const std::vector<Finding> general = JudgeMachine(machine, *question, OwnCommand());
  if (question->interface.empty()) {
    const auto all = ExamineAll(*question);
    if (!all.ok()) return all.status();
    return Report(machine, general, *all, /*whole=*/false, arguments.style);
  }
  absl::StatusOr<Examination> one = Examine(*question);
  if (!one.ok()) return one.status();
  if (absl::GetFlag(FLAGS_probe)) Probe(*question, *one);
  return Report(machine, general, {*std::move(one)}, /*whole=*/true, arguments.style);
}

}  // namespace zcrx::ctl
