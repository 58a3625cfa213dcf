// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/findings.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/netdev/fixes.h"

namespace zcrx::inline v0::netdev {
namespace {

// Drivers that let an application bring the memory of a queue; netdevsim with our patches.
constexpr std::array kDrivers = {"bnxt_en", "mlx5_core", "gve", "fbnic", "netdevsim"};

// --- Judges of one thing each ------------------------------------------------------------

// Names of interfaces are quoted throughout: they are anybody's choice, and some shell will read the
// commands.
using Findings = std::vector<Finding>;

void JudgeState(const NicFacts& facts, const std::string& self, Findings& findings) {
  const Interface& interface = facts.nic.interface;
  const std::string name = Quote(interface.name);
  if (!interface.up) {
    findings.push_back(
        {"interface-down", absl::StrCat(name, " is down"), absl::StrCat("ip link set ", name, " up")});
  }
  if (interface.xdp_attached) {
    // In which of both modes it is attached is not told.
    findings.push_back(
        {"xdp-attached",
         absl::StrCat(name,
                      " has an XDP program, beside which zero copy is refused (EEXIST); one "
                      "that a bpf_link holds goes with its holder"),
         absl::StrCat("ip link set ", name, " xdp off; ip link set ", name, " xdpgeneric off")});
  }
  for (const ReservationInfo& reservation : facts.reservations) {
    if (reservation.alive) continue;
    findings.push_back({"dead-reservation",
                        absl::StrCat("reservation ", reservation.id, " of ", name, " is left of process ",
                                     reservation.pid, ", which is gone"),
                        absl::StrCat(self, " restore ", name)});
    break;  // one command is for all of them
  }
}

void JudgeSplit(const NicState& nic, const std::string& self, Findings& findings) {
  const std::string name = Quote(nic.interface.name);
  const std::string fix = absl::StrCat(self, " set-split ", name, " on");
  if (nic.rings.header_split == HeaderSplit::kDisabled) {
    findings.push_back({"header-split-off", absl::StrCat("header/data split of ", name, " is off"), fix});
  } else if (nic.rings.header_split == HeaderSplit::kUnknown) {
    findings.push_back(
        {"header-split-unknown", absl::StrCat("header/data split of ", name, " has not been set"), fix});
  }
  if (nic.rings.header_split_threshold.value_or(0) != 0) {
    findings.push_back({"header-split-threshold",
                        absl::StrCat(name, " splits no packet of up to ", *nic.rings.header_split_threshold,
                                     " bytes; zero copy wants a threshold of 0"),
                        fix});
  }
}

void JudgeFilters(const NicState& nic, Findings& findings) {
  const std::string name = Quote(nic.interface.name);
  const auto& filters = nic.features.ntuple_filters;
  if (!filters.has_value() || (filters->fixed && !filters->on)) {
    findings.push_back(
        {"no-flow-rules",
         absl::StrCat("the driver of ", name, " has no flow rules, which would steer a port to a queue"),
         ""});
  } else if (!filters->on) {
    findings.push_back({"ntuple-off", absl::StrCat("flow rules (ntuple) of ", name, " are off"),
                        absl::StrCat("ethtool -K ", name, " ntuple on")});
  }
}

void JudgeChannels(const NicFacts& facts, const Question& question, Findings& findings) {
  const NicState& nic = facts.nic;
  const uint32_t queues = nic.interface.rx_queues;
  if (question.queue.has_value() && *question.queue >= queues) {
    findings.push_back(
        {"no-such-queue",
         absl::StrCat(nic.interface.name, " has ", queues, " receive queues, numbered from 0; ",
                      *question.queue, " is none of them"),
         ChannelsFix(nic, *question.queue + 1)});
  } else if (queues < 2) {
    findings.push_back(
        {"too-few-channels",
         absl::StrCat(nic.interface.name, " has one receive queue; the other traffic needs one of its own"),
         ChannelsFix(nic, 2)});
  } else if (!question.queue.has_value() && FreeQueues(facts).empty() && facts.reservations.empty()) {
    findings.push_back(
        {"no-free-queue",
         absl::StrCat("each of the ", queues, " receive queues of ", nic.interface.name, " has an owner"),
         ChannelsFix(nic, queues + 1)});
  }
}

// The queue that was asked for is somebody's: then that is in words here.
std::string TakenBy(const NicFacts& facts, const Question& question) {
  const std::string owner = OwnerOfQueue(facts.nic, *question.queue);
  const ReservationInfo* reservation = ReservationOf(facts, *question.queue);
  if (reservation == nullptr) return owner.empty() ? "" : absl::StrCat("has an owner: ", owner);
  const bool for_port = !question.port.has_value() ||
                        std::any_of(reservation->flows.begin(), reservation->flows.end(),
                                    [&](const Flow& flow) { return flow.port == *question.port; });
  if (owner.empty() && for_port) return "";
  return absl::StrCat(owner.empty() ? "" : absl::StrCat("has an owner, ", owner, ", and "),
                      "is of reservation ", reservation->id,
                      reservation->pid != 0 ? absl::StrCat(" (process ", reservation->pid, ")") : "");
}

// Another queue instead.
std::string AnotherQueue(const NicFacts& facts, const Question& question, const std::string& self) {
  if (question.port.has_value()) {
    // Rules that are there already would be in the way.
    if (!RulesFor(facts.nic, *question.port).empty()) return "";
    return absl::StrCat(self, " up ", Quote(question.interface), " --queues=1 --port=", *question.port);
  }
  const std::vector<uint32_t> free = FreeQueues(facts);
  if (free.empty()) return ChannelsFix(facts.nic, facts.nic.interface.rx_queues + 1);
  // The last one, as everybody else begins with queue 0.
  return DoctorCommand(self, {.interface = question.interface, .queue = free.back(), .port = std::nullopt});
}

void JudgeOwner(const NicFacts& facts, const Question& question, const std::string& self,
                Findings& findings) {
  if (!question.queue.has_value()) return;
  const std::string taken = TakenBy(facts, question);
  if (taken.empty()) return;
  findings.push_back({"queue-owned",
                      absl::StrCat("queue ", *question.queue, " of ", question.interface, " ", taken),
                      AnotherQueue(facts, question, self)});
}

void JudgeRules(const NicFacts& facts, const Question& question, const std::string& self,
                Findings& findings) {
  if (!question.port.has_value()) return;
  const NicState& nic = facts.nic;
  const std::string name = Quote(nic.interface.name);
  const std::vector<Rule> rules = RulesFor(nic, *question.port);
  if (rules.empty()) {
    // A queue that is somebody's gets no rule; that finding has the fix.
    if (question.queue.has_value() && !TakenBy(facts, question).empty()) return;
    findings.push_back({"rule-missing",
                        absl::StrCat("no flow rule of ", name, " steers TCP port ", *question.port),
                        question.queue.has_value()
                            ? AddRules(nic.interface.name, *question.port, *question.queue, {"tcp4", "tcp6"})
                            : absl::StrCat(self, " up ", name, " --queues=1 --port=", *question.port)});
    return;
  }
  if (!question.queue.has_value()) return;
  for (const Rule& rule : rules) {
    const std::set<uint32_t> targets = TargetsOf(nic, rule);
    if (targets == std::set<uint32_t>{*question.queue}) continue;
    // One that spreads over several is right where the queue is among them: a server has them all.
    if (rule.rss_context.has_value() && targets.contains(*question.queue)) continue;
    const char* family = *rule.tcp == IpFamily::kIpv4 ? "tcp4" : "tcp6";
    findings.push_back(
        {"rule-elsewhere",
         absl::StrCat("rule ", rule.id, " of ", name, " steers TCP port ", *question.port, " (", family,
                      ") to ", targets.empty() ? "nowhere" : "queue ", absl::StrJoin(targets, ", "),
                      ", not to ", *question.queue),
         absl::StrCat("ethtool -N ", name, " delete ", rule.id, " && ",
                      AddRules(nic.interface.name, *question.port, *question.queue, {family}))});
  }
}

// The queues that the question is about.
std::set<uint32_t> AskedQueues(const NicState& nic, const Question& question) {
  if (question.queue.has_value()) return {*question.queue};
  std::set<uint32_t> queues;
  if (question.port.has_value()) {
    for (const Rule& rule : RulesFor(nic, *question.port)) queues.merge(TargetsOf(nic, rule));
  }
  return queues;
}

void JudgeSpill(const NicState& nic, const Question& question, Findings& findings) {
  for (const uint32_t queue : AskedQueues(nic, question)) {
    if (!SpillsInto(nic, queue) || nic.interface.rx_queues < 2) continue;
    findings.push_back(
        {"rss-spills",
         absl::StrCat("RSS of ", nic.interface.name, " spills other traffic into queue ", queue),
         SpillFix(nic, queue)});
  }
}

}  // namespace

bool IsOfAKindThatCan(const Interface& interface) {
  return !interface.bus.empty() &&
         std::find(kDrivers.begin(), kDrivers.end(), interface.driver) != kDrivers.end();
}

std::vector<Finding> JudgeNic(const NicFacts& facts, const Question& question, const std::string& self) {
  Findings findings;
  const Interface& interface = facts.nic.interface;
  if (interface.bus.empty()) {
    findings.push_back(
        {"no-dma-device",
         absl::StrCat(interface.name, " is virtual: there is no device that could write into a region"),
         TryAnother(question, facts.better_interfaces, self)});
    return findings;
  }
  if (!IsOfAKindThatCan(interface)) {
    findings.push_back(
        {"driver-unknown",
         absl::StrCat("the driver of ", interface.name, " (", interface.driver,
                      ") is none of those that can: ", absl::StrJoin(kDrivers, ", "), "; --probe tries it"),
         TryAnother(question, facts.better_interfaces, self)});
    return findings;
  }
  JudgeState(facts, self, findings);
  JudgeSplit(facts.nic, self, findings);
  JudgeFilters(facts.nic, findings);
  JudgeChannels(facts, question, findings);
  JudgeOwner(facts, question, self, findings);
  JudgeRules(facts, question, self, findings);
  JudgeSpill(facts.nic, question, findings);
  return findings;
}

Finding JudgeMissing(const Question& question, const std::vector<std::string>& elsewhere,
                     const std::vector<std::string>& better_interfaces, const std::string& self) {
  if (!elsewhere.empty()) {
    return {"wrong-namespace",
            absl::StrCat(question.interface, " is not in this network namespace, but in ",
                         absl::StrJoin(elsewhere, ", ")),
            absl::StrCat("ip netns exec ", Quote(elsewhere.front()), " ", DoctorCommand(self, question))};
  }
  return {"no-such-interface",
          absl::StrCat("there is no interface \"", question.interface, "\" in this network namespace"),
          better_interfaces.empty() ? "ip link" : TryAnother(question, better_interfaces, self)};
}

std::vector<QueueVerdict> JudgeQueues(const NicFacts& facts) {
  std::vector<QueueVerdict> verdicts;
  for (uint32_t queue = 0; queue < facts.nic.interface.rx_queues; ++queue) {
    QueueVerdict& verdict = verdicts.emplace_back();
    verdict.queue = queue;
    const std::string owner = OwnerOfQueue(facts.nic, queue);
    const ReservationInfo* reservation = ReservationOf(facts, queue);
    const bool spills = SpillsInto(facts.nic, queue);
    if (facts.nic.interface.bus.empty()) {
      verdict.words = "no device is behind it";
    } else if (!owner.empty()) {
      verdict.words = absl::StrCat("has an owner: ", owner);
    } else if (reservation != nullptr) {
      verdict.words = absl::StrCat("can be had by the server of reservation ", reservation->id);
    } else {
      verdict.free = true;
      verdict.good = !spills;
      verdict.words = spills ? "RSS spills into it" : "free";
    }
  }
  return verdicts;
}

}  // namespace zcrx::inline v0::netdev
