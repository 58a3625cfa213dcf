// SPDX-License-Identifier: Apache-2.0
//
// Which of the sockets that share a port gets a new connection.
#ifndef ZCRX_LIB_SERVER_STEERING_H_
#define ZCRX_LIB_SERVER_STEERING_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace zcrx::inline v0::internal {

// From now on a connection whose first packet arrives on rx_queues[i] goes to one of the sockets
// i * each to i * each + each - 1, in the order in which they began to listen; one that
// arrives elsewhere to any. `fd` is one of the sockets.
absl::Status SteerByQueue(int fd, std::span<const uint32_t> rx_queues, uint32_t each);

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_SERVER_STEERING_H_
