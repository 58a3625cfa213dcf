// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/examination.h"

#include <cerrno>
#include <utility>

#include "absl/flags/flag.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/namespaces.h"
#include "tools/zcrxctl/self.h"
#include "zcrx/status.h"

namespace zcrx::ctl {
namespace {

std::vector<std::string> BetterInterfaces(const std::string& than) {
  std::vector<std::string> better;
  const auto all = netdev::ListInterfaces();
  if (!all.ok()) return better;
  for (const netdev::Interface& interface : *all) {
    if (interface.name != than && IsOfAKindThatCan(interface)) better.push_back(interface.name);
  }
  return better;
}

}  // namespace

absl::StatusOr<Examination> Examine(const Question& question) {
  Examination examination;
  examination.interface = question.interface;
  absl::StatusOr<netdev::NicState> nic = netdev::ReadNic(question.interface);
  if (ErrnoOf(nic.status()) == ENODEV) {
    examination.findings.push_back(JudgeMissing(question, NamespacesWith(question.interface),
                                                BetterInterfaces(question.interface), OwnCommand()));
    return examination;
  }
  if (!nic.ok()) return nic.status();
  auto reservations = netdev::ListReservations(question.interface, absl::GetFlag(FLAGS_state_directory));
  if (!reservations.ok()) return reservations.status();
  examination.facts = NicFacts{.nic = *std::move(nic),
                               .reservations = *std::move(reservations),
                               .better_interfaces = BetterInterfaces(question.interface)};
  examination.queues = JudgeQueues(*examination.facts);
  examination.findings = JudgeNic(*examination.facts, question, OwnCommand());
  return examination;
}

absl::StatusOr<std::vector<Examination>> ExamineAll(const Question& question) {
  const auto interfaces = netdev::ListInterfaces();
  if (!interfaces.ok()) return interfaces.status();
  std::vector<Examination> all;
  for (const netdev::Interface& interface : *interfaces) {
    Question one = question;
    one.interface = interface.name;
    absl::StatusOr<Examination> examination = Examine(one);
    if (!examination.ok()) return examination.status();
    // Removed since it was listed.
    if (examination->facts.has_value()) all.push_back(*std::move(examination));
  }
  return all;
}

}  // namespace zcrx::ctl
