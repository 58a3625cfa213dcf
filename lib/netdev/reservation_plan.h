// SPDX-License-Identifier: Apache-2.0
//
// Which step comes next on the way from what a NIC is to what a reservation needs.
// Pure functions: what they say is shown as a plan, or done.
#ifndef ZCRX_LIB_NETDEV_RESERVATION_PLAN_H_
#define ZCRX_LIB_NETDEV_RESERVATION_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/reservation_record.h"

namespace zcrx::inline v0::netdev {

struct SettingStep {
  Setting setting;
  std::string from;
  std::string to;
};
struct ContextStep {
  std::vector<uint32_t> table;
};
struct RuleStep {
  TcpRule rule;
};
using Step = std::variant<SettingStep, ContextStep, RuleStep>;

// Options that make no sense, and what a reservation does not change.
absl::Status CheckOptions(const ReservationOptions& options);
absl::Status CheckNic(const NicState& nic, const ReservationOptions& options);

// Chooses `count` queues: none that anybody else has, or sends something to by a rule, and not all there are.
// Absent if there are too few; `missing` is then how many.
std::optional<std::vector<uint32_t>> ChooseQueues(const NicState& nic, const NicRecord& record,
                                                  uint32_t count, uint32_t& missing);

// What a setting is to be for the reservations of the record; for none of them: what it was. Absent if the
// NIC does not have it, or it does not matter.
std::optional<std::string> DesiredValue(const NicState& nic, const NicRecord& record, Setting setting);

// The next step for the reservation `id` of the record; chooses its queues first. Nothing: it has all.
// FAILED_PRECONDITION, with the fix, if there is no way.
absl::StatusOr<std::optional<Step>> NextStep(const NicState& nic, NicRecord& record, uint32_t id,
                                             uint32_t queues);

// Makes both look as if the step had been done.
void Imagine(const Step& step, NicState& nic, NicRecord& record, uint32_t id);

// In words.
Change Describe(const Step& step, const std::string& interface);

// Whether the rule that the NIC has is that one.
bool Matches(const Rule& rule, const TcpRule& wanted);

// The table of a context that spreads over `queues`.
std::vector<uint32_t> ContextTable(const NicState& nic, const std::vector<uint32_t>& queues);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RESERVATION_PLAN_H_
