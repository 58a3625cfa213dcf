// SPDX-License-Identifier: Apache-2.0
//
// What the examples that serve have in common: readings of flags, and the line
// that says how they receive.
#ifndef ZCRX_EXAMPLES_SERVING_H_
#define ZCRX_EXAMPLES_SERVING_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/command_line.h"
#include "zcrx/zcrx.h"

// `flag` is named if `text` is no address with a port.
inline zcrx::SocketAddress ReadAddress(const std::string& text, const char* flag) {
  const absl::StatusOr<zcrx::SocketAddress> address = zcrx::SocketAddress::Parse(text);
  if (!address.ok()) WrongUsage(absl::StrCat(flag, ": ", address.status().message()));
  return *address;
}

inline zcrx::SocketAddress ReadAddress(const std::string& host, uint16_t port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return ReadAddress(absl::StrCat(ipv6 ? "[" : "", host, ipv6 ? "]:" : ":", port), "--address");
}

inline zcrx::ReceiveMode ReadMode(const std::string& mode) {
  if (mode == "zero-copy") return zcrx::ReceiveMode::kZeroCopy;
  if (mode == "copy") return zcrx::ReceiveMode::kCopy;
  if (mode != "auto") {
    WrongUsage(absl::StrCat("--mode is to be auto, zero-copy or copy, not \"", mode, "\""));
  }
  return zcrx::ReceiveMode::kAuto;
}

// Whether a launcher has passed queues on, such as `zcrxctl run`.
inline bool HasInheritedQueues() {
  const absl::StatusOr<std::vector<zcrx::InheritedQueue>> queues = zcrx::InheritedQueues();
  if (!queues.ok()) WrongUsage(std::string(queues.status().message()));
  return !queues->empty();
}

// Scripts wait for this line.
inline void PrintListening(const zcrx::SocketAddress& address, const zcrx::ReceivePathInfo& path) {
  absl::PrintF("listening on %s receive path: %s because %s\n", address.ToString(),
               path.kind == zcrx::ReceivePathInfo::Kind::kZeroCopy ? "zero-copy" : "copy", path.reason);
  fflush(stdout);
}

#endif  // ZCRX_EXAMPLES_SERVING_H_
