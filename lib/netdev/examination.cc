// SPDX-License-Identifier: Apache-2.0
#include "zcrx/examination.h"

#include <cerrno>
#include <utility>

#include "lib/netdev/findings.h"
#include "lib/netdev/namespaces.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

std::vector<std::string> BetterInterfaces(const std::string& than) {
  std::vector<std::string> better;
  const auto all = ListInterfaces();
  if (!all.ok()) return better;
  for (const Interface& interface : *all) {
    if (interface.name != than && IsOfAKindThatCan(interface)) better.push_back(interface.name);
  }
  return better;
}

}  // namespace

absl::StatusOr<Examination> Examine(const Question& question, const ExaminationOptions& options) {
  Examination examination;
  examination.interface = question.interface;
  absl::StatusOr<NicState> nic = ReadNic(question.interface);
  if (ErrnoOf(nic.status()) == ENODEV) {
    examination.findings.push_back(JudgeMissing(question, NamespacesWith(question.interface),
                                                BetterInterfaces(question.interface), options.zcrxctl));
    return examination;
  }
  if (!nic.ok()) return nic.status();
  auto reservations = ListReservations(question.interface, options.state_directory);
  if (!reservations.ok()) return reservations.status();
  NicFacts facts = {.nic = *std::move(nic),
                    .reservations = *std::move(reservations),
                    .better_interfaces = BetterInterfaces(question.interface)};
  examination.queues = JudgeQueues(facts);
  examination.findings = JudgeNic(facts, question, options.zcrxctl);
  examination.nic = std::move(facts.nic);
  examination.reservations = std::move(facts.reservations);
  return examination;
}

}  // namespace zcrx::inline v0::netdev
