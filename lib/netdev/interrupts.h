// SPDX-License-Identifier: Apache-2.0
//
// Which CPUs an interrupt goes to. The kernel has nothing but files for that.
#ifndef ZCRX_LIB_NETDEV_INTERRUPTS_H_
#define ZCRX_LIB_NETDEV_INTERRUPTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

// The numbers of a list such as "0-3,8"; empty if it is anything else.
std::vector<uint32_t> ParseCpuList(std::string_view text);

// Fills in the CPUs of the NAPI's interrupt, where they can be had. `directory`:
// for tests.
void AddInterruptCpus(Napi& napi, const std::string& directory = "/proc/irq");

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_INTERRUPTS_H_
