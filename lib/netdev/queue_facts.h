// SPDX-License-Identifier: Apache-2.0
//
// Whose a receive queue is, and what arrives there.
#ifndef ZCRX_LIB_NETDEV_QUEUE_FACTS_H_
#define ZCRX_LIB_NETDEV_QUEUE_FACTS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "zcrx/netdev.h"
#include "zcrx/nic_reservation.h"

namespace zcrx::inline v0::netdev {

struct NicFacts {
  NicState nic;
  std::vector<ReservationInfo> reservations;
  std::vector<std::string> better_interfaces;  // others, that can
};

// As OwnerOf(): empty if it is nobody's.
std::string OwnerOfQueue(const NicState& nic, uint32_t queue);

// Null if there is none.
const ReservationInfo* ReservationOf(const NicFacts& facts, uint32_t queue);

// Whether flows come there that no rule claims.
bool SpillsInto(const NicState& nic, uint32_t queue);

// Where a rule steers to; empty: nowhere.
std::set<uint32_t> TargetsOf(const NicState& nic, const Rule& rule);

// For TCP to the local port.
std::vector<Rule> RulesFor(const NicState& nic, uint16_t port);

// Those that nobody has, or has reserved.
std::vector<uint32_t> FreeQueues(const NicFacts& facts);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_QUEUE_FACTS_H_
