// SPDX-License-Identifier: Apache-2.0
//
// Sockets that listen: what a Listener accepts from.
#ifndef ZCRX_LIB_NET_LISTENING_SOCKET_H_
#define ZCRX_LIB_NET_LISTENING_SOCKET_H_

#include "absl/status/statusor.h"
#include "lib/receive/receive_path.h"
#include "zcrx/address.h"
#include "zcrx/listener.h"

namespace zcrx::inline v0::internal {

// A socket, owned by the caller, that listens on `address`. `path`, if there is one, limits what it and those
// it accepts may buffer.
absl::StatusOr<int> OpenListeningSocket(const SocketAddress& address, const ListenerOptions& options,
                                        const ReceivePath* path = nullptr);

// The address that a socket is bound to.
absl::StatusOr<SocketAddress> BoundAddress(int fd);

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_NET_LISTENING_SOCKET_H_
