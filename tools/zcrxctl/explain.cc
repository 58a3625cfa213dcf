// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <set>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/error_table.h"
#include "tools/zcrxctl/examination.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/machine_findings.h"
#include "tools/zcrxctl/self.h"

namespace zcrx::ctl {
namespace {

void AddFindings(const Examination& examination, std::set<std::string>& ids) {
  for (const Finding& finding : examination.findings) ids.insert(finding.id);
  if (!examination.nic.has_value()) return;
  for (const netdev::RxQueue& queue : examination.nic->rx_queues) {
    const std::string owner = OwnerOf(queue);
    if (!owner.empty()) ids.insert({"queue-owned", absl::StrCat("queue-", owner)});
  }
}

// What doctor finds, of the interface or of all that could; what it cannot look at is left out.
std::set<std::string> FindingsHere(const std::string& interface) {
  std::set<std::string> ids;
  for (const Finding& finding : JudgeMachine(ReadMachine(), {}, OwnCommand())) ids.insert(finding.id);
  if (!interface.empty()) {
    const auto one = ExamineOne({.interface = interface, .queue = std::nullopt, .port = std::nullopt});
    if (one.ok()) AddFindings(*one, ids);
    return ids;
  }
  const auto all = ExamineAll({});
  if (!all.ok()) return ids;
  for (const Examination& examination : *all) {
    if (IsOfAKindThatCan(examination.nic->interface)) AddFindings(examination, ids);
  }
  return ids;
}

// The table has the quotes of the documentation.
std::string Plain(const char* words) { return absl::StrReplaceAll(words, {{"`", ""}}); }

}  // namespace

absl::StatusOr<Outcome> Explain(const Arguments& arguments) {
  const std::optional<int> error = ParseErrno(arguments.operands[0]);
  if (!error.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", arguments.operands[0], "\" is no errno, by name or number"));
  }
  const std::string op = absl::GetFlag(FLAGS_op);
  const std::optional<Operation> operation = FindOperation(op);
  if (!op.empty() && !operation.has_value())
    return absl::InvalidArgumentError(absl::StrCat("--op is register, recv or ctrl, not \"", op, "\""));
  const std::string interface = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  Outcome outcome;
  outcome.json = {{"errno", *error}, {"name", strerrorname_np(*error)}, {"meanings", Json::array()}};
  outcome.text = absl::StrCat(strerrorname_np(*error), " (", *error, "): ", strerrordesc_np(*error), "\n");
  for (const Ranked& ranked : MeaningsOf(*error, operation, FindingsHere(interface))) {
    const Meaning& meaning = *ranked.meaning;
    const std::string cause = Plain(meaning.cause);
    const std::string fix = Plain(meaning.fix);
    outcome.json["meanings"].push_back(
        {{"op", NameOf(meaning.operation)}, {"cause", cause}, {"fix", fix}, {"likely", ranked.likely}});
    absl::StrAppend(&outcome.text, "  ", NameOf(meaning.operation), ": ",
                    ranked.likely ? arguments.style.Bad(absl::StrCat(cause, " (so it is here)")) : cause,
                    "\n      ", fix, "\n");
  }
  if (outcome.json["meanings"].empty()) {
    outcome.exit_code = kExitWrong;
    absl::StrAppend(&outcome.text,
                    "  no meaning of its own in zero-copy receive; a driver may have given it: see dmesg\n");
  }
  return outcome;
}

}  // namespace zcrx::ctl
