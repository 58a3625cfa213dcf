// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/rings.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/machine.h"

namespace zcrx::ctl {

absl::StatusOr<Outcome> SetSplit(const Arguments& arguments) {
  const std::string& value = arguments.operands[1];
  if (value != "on" && value != "off")
    return absl::InvalidArgumentError(absl::StrCat("set-split takes on or off, not \"", value, "\""));
  if (absl::Status checked = CheckKernel(); value == "on" && !checked.ok()) return checked;
  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(arguments.operands[0]);
  if (!interface.ok()) return interface.status();
  if (absl::Status set = netdev::SetHeaderSplit(*interface, value == "on"); !set.ok()) return set;
  Outcome outcome;
  outcome.text = absl::StrCat("header/data split of ", interface->name, ": ", value, "\n");
  outcome.json = {{"interface", interface->name}, {"header_split", value}};
  return outcome;
}

}  // namespace zcrx::ctl
