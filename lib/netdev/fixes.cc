// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/fixes.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace zcrx::inline v0::netdev {

std::string Quote(const std::string& word) {
  bool plain = !word.empty();
  for (const char c : word) {
    plain &= absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
             std::string("-_./=:,@%+").find(c) != std::string::npos;
  }
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string SpillFix(const NicState& nic, uint32_t queue) {
  std::vector<uint32_t> weights(nic.interface.rx_queues);
  for (const uint32_t target : nic.rss[0].table) {
    if (target < weights.size()) ++weights[target];
  }
  if (queue >= weights.size() || weights.size() < 2) return "";
  weights[queue] = 0;
  if (std::all_of(weights.begin(), weights.end(), [](uint32_t weight) { return weight == 0; }))
    weights[queue == 0 ? 1 : 0] = 1;
  return absl::StrCat("ethtool -X ", Quote(nic.interface.name), " weight ", absl::StrJoin(weights, " "));
}

std::string AddRules(const std::string& interface, uint16_t port, uint32_t queue,
                     const std::vector<const char*>& families) {
  return absl::StrJoin(families, " && ", [&](std::string* out, const char* family) {
    absl::StrAppend(out, "ethtool -N ", Quote(interface), " flow-type ", family, " dst-port ", port,
                    " action ", queue);
  });
}

std::string ChannelsFix(const NicState& nic, uint32_t queues) {
  if (!nic.channels.has_value()) return "";
  const bool combined = nic.channels->combined.max > 0;
  const uint32_t others = combined ? nic.channels->rx.count : nic.channels->combined.count;
  const uint32_t max = combined ? nic.channels->combined.max : nic.channels->rx.max;
  if (queues < others || queues - others > max) return "";
  return absl::StrCat("ethtool -L ", Quote(nic.interface.name), combined ? " combined " : " rx ",
                      queues - others);
}

std::string TryAnother(const Question& question, const std::vector<std::string>& interfaces,
                       const std::string& self) {
  if (interfaces.empty()) return "";
  Question other = question;
  other.interface = interfaces.front();
  return DoctorCommand(self, other);
}

std::string DoctorCommand(const std::string& self, const Question& question) {
  std::string command = absl::StrCat(self, " doctor");
  if (!question.interface.empty()) absl::StrAppend(&command, " ", Quote(question.interface));
  if (question.queue.has_value()) absl::StrAppend(&command, " --queue=", *question.queue);
  if (question.port.has_value()) absl::StrAppend(&command, " --port=", *question.port);
  return command;
}

}  // namespace zcrx::inline v0::netdev
