// SPDX-License-Identifier: Apache-2.0
//
// What the examples that run a zcrx::Server have in common: its flags, and how
// they are ended. For one source file of a program, as it defines flags.
#ifndef ZCRX_EXAMPLES_SERVER_FLAGS_H_
#define ZCRX_EXAMPLES_SERVER_FLAGS_H_

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "examples/command_line.h"
#include "examples/serving.h"
#include "zcrx/zcrx.h"

ABSL_FLAG(std::string, interface, "",
          "interface to receive from without a copy; none: what was inherited (zcrxctl run), else copy");
ABSL_FLAG(std::string, queues, "1", "rx queues of --interface, a thread for each; flow rules steer to them");
ABSL_FLAG(uint32_t, reserve, 0, "instead of --queues: set the NIC up for so many, and undo it at the end");
ABSL_FLAG(std::string, address, "*", "numeric address to listen on; * is any, IPv4 and IPv6");
ABSL_FLAG(uint16_t, port, 5001, "TCP port to listen on; 0 takes a free one");
ABSL_FLAG(std::string, mode, "auto", "auto, zero-copy (fail if it cannot be had) or copy");
ABSL_FLAG(uint32_t, region_mib, 64, "memory the NIC writes payload into, in MiB, for each queue");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(10), "for open connections, after a signal");

inline zcrx::ServerOptions ServerOptionsFromFlags() {
  zcrx::ServerOptions options;
  options.address = ReadAddress(absl::GetFlag(FLAGS_address), absl::GetFlag(FLAGS_port));
  options.runtime.mode = ReadMode(absl::GetFlag(FLAGS_mode));
  const std::string interface = absl::GetFlag(FLAGS_interface);
  if (interface.empty()) {
    options.inherited = HasInheritedQueues();
    options.threads = options.inherited ? 0 : 1;
    return options;
  }
  options.runtime.interface_queue = {.interface = interface,
                                     .pool = {.bytes = size_t{absl::GetFlag(FLAGS_region_mib)} << 20}};
  options.reserve_queues = absl::GetFlag(FLAGS_reserve);
  if (options.reserve_queues != 0) return options;
  for (const auto text : absl::StrSplit(absl::GetFlag(FLAGS_queues), ',', absl::SkipEmpty())) {
    uint32_t queue = 0;
    if (!absl::SimpleAtoi(text, &queue)) WrongUsage(absl::StrCat("--queues: \"", text, "\" is no number"));
    options.rx_queues.push_back(queue);
  }
  return options;
}

// For sigwait(2) and its like. To be called before there are threads, so that none of them gets a signal.
inline sigset_t BlockEndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

inline absl::Status Drain(zcrx::Server& server) {
  return server.Drain(absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_drain_timeout)));
}

#endif  // ZCRX_EXAMPLES_SERVER_FLAGS_H_
