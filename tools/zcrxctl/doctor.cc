// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/zcrxctl/arguments.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/examination.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/machine_findings.h"
#include "tools/zcrxctl/owners.h"
#include "tools/zcrxctl/probe.h"
#include "tools/zcrxctl/self.h"
#include "tools/zcrxctl/show_examination.h"
#include "zcrx/stats_page.h"

namespace zcrx::ctl {
namespace {

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

// Adds to the verdicts which processes receive from the queues. False if that is not known of all that are
// taken.
bool NameReceivers(const std::vector<PublishedStats>& pages, Examination& examination) {
  if (!examination.nic.has_value()) return true;
  bool known = true;
  for (const RxQueue& queue : examination.nic->rx_queues) {
    if (!queue.io_uring) continue;
    const std::vector<Process> receivers = ReceiversOf(pages, examination.nic->interface, queue.id);
    known &= !receivers.empty();
    if (receivers.empty()) continue;
    for (QueueVerdict& verdict : examination.queues) {
      if (verdict.queue == queue.id) absl::StrAppend(&verdict.words, " of ", Describe(receivers));
    }
  }
  return known;
}

// --- The whole -----------------------------------------------------------------------------

bool IsFine(const Examination& examination) { return examination.findings.empty(); }

Outcome Report(const Machine& machine, const std::vector<Finding>& general,
               std::vector<Examination> examinations, bool whole, const Style& style) {
  Outcome outcome;
  outcome.text = Describe(machine);
  AppendFindings(general, style, outcome.text);
  Json interfaces = Json::array();
  // What was asked for; without a name any that can will do.
  const bool fine = general.empty() && std::any_of(examinations.begin(), examinations.end(), IsFine);
  Json findings = ToJson(general);
  const std::vector<PublishedStats> pages = ReadStatsPages();
  bool owners_known = true;
  for (Examination& examination : examinations) {
    owners_known &= NameReceivers(pages, examination);
    absl::StrAppend(&outcome.text, Describe(examination, general.empty(), whole, style));
    interfaces.push_back(ToJson(examination));
    for (const Json& finding : interfaces.back()["findings"]) findings.push_back(finding);
  }
  outcome.json = {
      {"fine", fine}, {"machine", ToJson(machine)}, {"findings", findings}, {"interfaces", interfaces}};
  if (!owners_known) {
    // The kernel does not tell whose io_uring has a queue, nor does its owner.
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
    auto all = ExamineAll(*question);
    if (!all.ok()) return all.status();
    return Report(machine, general, *std::move(all), /*whole=*/false, arguments.style);
  }
  absl::StatusOr<Examination> one = ExamineOne(*question);
  if (!one.ok()) return one.status();
  if (absl::GetFlag(FLAGS_probe)) Probe(*question, *one);
  return Report(machine, general, {*std::move(one)}, /*whole=*/true, arguments.style);
}

}  // namespace zcrx::ctl
