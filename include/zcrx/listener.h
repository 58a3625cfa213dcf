// SPDX-License-Identifier: Apache-2.0
//
// A Listener accepts TCP connections for a runtime.
//
//   absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Create(runtime, address);
//   while (true) {
//     absl::StatusOr<zcrx::Stream> peer = co_await listener->Accept();
//     if (!peer.ok()) co_return;
//     runtime.Spawn(Serve(*std::move(peer)));
//   }
#ifndef ZCRX_LISTENER_H_
#define ZCRX_LISTENER_H_

#include <coroutine>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/address.h"
#include "zcrx/internal/context.h"
#include "zcrx/runtime.h"
#include "zcrx/stream.h"

namespace zcrx::inline v0 {

namespace internal {
class ListenerState;

class AcceptAwaiter final : public CancellableAwaiter {
 public:
  explicit AcceptAwaiter(ListenerState* listener) : listener_(listener) {}
  ~AcceptAwaiter() = default;
  AcceptAwaiter(const AcceptAwaiter&) = default;

  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);
  absl::StatusOr<Stream> await_resume();

 private:
  void OnCancel() override;

  ListenerState* listener_;
  bool suspended_ = false;
  absl::Status refused_;  // why it may not accept
};

}  // namespace internal

struct ListenerOptions {
  int backlog = 1024;
  // Nagle's algorithm off on accepted connections.
  bool no_delay = true;
  // Several listeners, of any process, share the port (SO_REUSEPORT).
  bool reuse_port = false;
};

// Move-only. Belongs to the thread of its runtime. One Accept() at a time. Destroying it is Close().
class Listener {
 public:
  // Binds and listens. Port 0 takes a free one, see address(). Errors: EADDRINUSE,
  // EACCES, EADDRNOTAVAIL, ...
  static absl::StatusOr<Listener> Create(Runtime& runtime, const SocketAddress& address,
                                         const ListenerOptions& options = {});

  // Takes over the listening TCP socket `fd`, also when it fails; for sockets that
  // somebody else has bound. Only `no_delay` of the options counts. InvalidArgument if it is not one.
  static absl::StatusOr<Listener> Adopt(Runtime& runtime, int fd, const ListenerOptions& options = {});

  Listener(Listener&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Listener& operator=(Listener&& other) noexcept {
    if (this != &other) {
      Close();
      state_ = std::exchange(other.state_, nullptr);
    }
    return *this;
  }
  ~Listener() { Close(); }

  // `co_await` gives the next connection. Errors: EMFILE, ENFILE, ENOMEM, ... after
  // which Accept() may be called again; CANCELLED if the listener is closed, its runtime ends, or
  // the task is cancelled, which takes no connection.
  [[nodiscard]] internal::AcceptAwaiter Accept() { return internal::AcceptAwaiter(state_); }

  // Stops listening. Never blocks.
  void Close();

  // The address it is bound to.
  SocketAddress address() const;

 private:
  explicit Listener(internal::ListenerState* state) : state_(state) {}

  internal::ListenerState* state_ = nullptr;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_LISTENER_H_
