// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/probe.h"

#include <chrono>

#include "absl/status/statusor.h"
#include "zcrx/runtime.h"

namespace zcrx::ctl {

absl::Status TryQueue(const std::string& interface, uint32_t queue) {
  RuntimeOptions options;
  options.mode = ReceiveMode::kZeroCopy;
  // A NIC fills its ring at once, with up to some thousand pieces: with fewer it may refuse.
  options.interface_queue = InterfaceQueueOptions{.interface = interface,
                                                  .rx_queue = queue,
                                                  .pool = {.bytes = 16u << 20},
                                                  .busy_timeout = std::chrono::seconds(2)};
  return Runtime::Create(options).status();
}

}  // namespace zcrx::ctl
