// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/net/stream_state.h"
#include "lib/runtime/runtime_core.h"
#include "zcrx/status.h"
#include "zcrx/stream.h"

namespace zcrx::inline v0 {
namespace {

// Awaits one IORING_OP_CONNECT; gives 0 or the errno.
class ConnectAwaiter final : public internal::CompletionHandler, public internal::CancellableAwaiter {
 public:
  ConnectAwaiter(internal::RuntimeCore& runtime, int fd, const SocketAddress& address)
      : runtime_(runtime), fd_(fd), address_(address) {}

  bool await_ready() const { return cancelled(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    StartWaiting();
    io_uring_sqe* entry = runtime_.ring().Prepare(this);
    entry->opcode = IORING_OP_CONNECT;
    entry->fd = fd_;
    entry->addr = reinterpret_cast<uint64_t>(address_.get());
    entry->off = address_.length();
  }
  int await_resume() const { return error_; }

  void OnCompletion(internal::Completion completion) override {
    StopWaiting();
    error_ = -completion.res;
    runtime_.Schedule(waiter_);
  }

 private:
  void OnCancel() override { runtime_.ring().PrepareCancel(this); }

  internal::RuntimeCore& runtime_;
  const int fd_;
  const SocketAddress& address_;
  std::coroutine_handle<> waiter_;
  int error_ = ECANCELED;
};

}  // namespace

Task<absl::StatusOr<Stream>> Connect(Runtime& runtime, SocketAddress address) {
  internal::RuntimeCore& core = runtime.core();
  const std::string name = absl::StrCat("connecting to ", address.ToString());
  if (core.shutting_down()) co_return ErrnoStatus(ECANCELED, name);
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return ErrnoStatus(errno, name);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  core.receive_path().LimitSocket(fd);
  ConnectAwaiter connected(core, fd, address);
  const int error = co_await connected;
  if (error != 0 || core.shutting_down()) {
    close(fd);
    co_return ErrnoStatus(error != 0 ? error : ECANCELED, name);
  }
  co_return Stream(new internal::StreamState(core, fd));
}

}  // namespace zcrx::inline v0
