// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/flags.h"

#include "absl/flags/flag.h"

ABSL_FLAG(bool, json, false, "print JSON");
ABSL_FLAG(std::string, state_directory, "/run/zcrx", "where the files of reservations are kept");
ABSL_FLAG(uint32_t, queues, 1, "how many queues");
ABSL_FLAG(std::string, port, "", "local TCP port; plan and up take several, with commas");
ABSL_FLAG(std::string, address, "", "local address of the ports, numeric; default: any");
ABSL_FLAG(bool, exec, false, "hold the reservation while the command behind -- runs");
ABSL_FLAG(std::string, user, "", "who the server runs as: name or number; not root");
ABSL_FLAG(uint32_t, region_mib, 64, "memory the NIC writes payload into, in MiB, for each queue");
ABSL_FLAG(bool, restart, false, "start the server again when it has crashed");
ABSL_FLAG(bool, all, false, "all interfaces");
ABSL_FLAG(std::optional<uint32_t>, queue, std::nullopt, "ask for this queue only");
ABSL_FLAG(bool, probe, false, "try by a real registration, which restarts the queue for a moment");
ABSL_FLAG(std::string, op, "", "register, recv or ctrl: which call has failed");
ABSL_FLAG(bool, once, false, "print what happens in one interval, also on a terminal");
ABSL_FLAG(double, interval, 1, "seconds from one look to the next, from 0.1 to 3600");
ABSL_FLAG(uint32_t, count, 0, "how many intervals; default: on a terminal until q, elsewhere 1");
