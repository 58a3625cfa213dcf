// SPDX-License-Identifier: Apache-2.0
//
// The options of all subcommands. Which of them a subcommand takes is in the table
// of commands.cc.
#ifndef ZCRX_TOOLS_ZCRXCTL_FLAGS_H_
#define ZCRX_TOOLS_ZCRXCTL_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/declare.h"

ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(std::string, state_directory);
ABSL_DECLARE_FLAG(uint32_t, queues);
ABSL_DECLARE_FLAG(std::string, port);
ABSL_DECLARE_FLAG(std::string, address);
ABSL_DECLARE_FLAG(bool, exec);
ABSL_DECLARE_FLAG(std::string, user);
ABSL_DECLARE_FLAG(uint32_t, region_mib);
ABSL_DECLARE_FLAG(bool, restart);
ABSL_DECLARE_FLAG(bool, all);
ABSL_DECLARE_FLAG(std::optional<uint32_t>, queue);
ABSL_DECLARE_FLAG(bool, probe);
ABSL_DECLARE_FLAG(std::string, op);
ABSL_DECLARE_FLAG(bool, once);
ABSL_DECLARE_FLAG(double, interval);
ABSL_DECLARE_FLAG(uint32_t, count);

#endif  // ZCRX_TOOLS_ZCRXCTL_FLAGS_H_
