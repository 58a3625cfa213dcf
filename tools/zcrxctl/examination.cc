// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/examination.h"

#include <utility>

#include "absl/flags/flag.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/self.h"

namespace zcrx::ctl {

absl::StatusOr<Examination> ExamineOne(const Question& question) {
  return netdev::Examine(question,
                         {.state_directory = absl::GetFlag(FLAGS_state_directory), .zcrxctl = OwnCommand()});
}

absl::StatusOr<std::vector<Examination>> ExamineAll(const Question& question) {
  const auto interfaces = netdev::ListInterfaces();
  if (!interfaces.ok()) return interfaces.status();
  std::vector<Examination> all;
  for (const netdev::Interface& interface : *interfaces) {
    Question one = question;
    one.interface = interface.name;
    absl::StatusOr<Examination> examination = ExamineOne(one);
    if (!examination.ok()) return examination.status();
    // Removed since it was listed.
    if (examination->nic.has_value()) all.push_back(*std::move(examination));
  }
  return all;
}

}  // namespace zcrx::ctl
