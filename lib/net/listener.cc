// SPDX-License-Identifier: Apache-2.0
#include "zcrx/listener.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/net/listening_socket.h"
#include "lib/net/stream_state.h"
#include "lib/runtime/runtime_core.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {

// Accepts with one multishot request. Lives until the Listener, the waiter and the request have let go.
class ListenerState final : public CompletionHandler, public RuntimeResource {
 public:
  ListenerState(Runtime& runtime, int fd, const SocketAddress& address, bool no_delay)
      : runtime_(&runtime.core()), fd_(fd), address_(address), no_delay_(no_delay) {
    runtime_->Attach(this);
  }

  const SocketAddress& address() const { return address_; }

  // One at a time: false if somebody does.
  bool StartAccepting() { return !std::exchange(accepting_, true); }
  void StopAccepting() { accepting_ = false; }

  bool HasSomething() const { return !accepted_.empty() || error_ != 0 || !open_; }

  void WaitForSomething(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    Ref();  // the waiter's
    if (!armed_) Arm();
  }

  // Lets the waiter, if there is one, go on.
  void Wake() {
    if (waiter_) runtime_->Schedule(std::exchange(waiter_, nullptr));
  }

  absl::StatusOr<Stream> Take() {
    if (!accepted_.empty()) {
      const int fd = accepted_.front();
      accepted_.pop_front();
      return Stream(new StreamState(*runtime_, fd));
    }
    if (error_ != 0) return ErrnoStatus(std::exchange(error_, 0), "accept");
    return ErrnoStatus(ECANCELED, "accept: the listener is closed");
  }

  void OnCompletion(Completion completion) override {
    if (completion.res >= 0) {
      OnConnection(completion.res);
    } else if (completion.res != -ECONNABORTED && completion.res != -EINTR) {
      // ECONNABORTED: that one connection ended before it was accepted.
      // The rest is for the next Accept() to tell.
      error_ = -completion.res;
    }
    if (HasSomething()) Wake();
    if (completion.more()) return;
    armed_ = false;
    if (waiter_) Arm();
    CloseSocketIfUnused();
    Unref();  // the request's
  }

  void Close() {
    if (!std::exchange(open_, false)) return;
    for (const int fd : accepted_) close(fd);
    accepted_.clear();
    Wake();
    if (armed_) runtime_->ring().PrepareCancel(this);
    CloseSocketIfUnused();
  }

  void Ref() { ++references_; }
  void Unref() {
    if (--references_ == 0) delete this;
  }

  // RuntimeResource
  void OnShutdown() override { Close(); }
  void OnShutdownOverdue() override {}
  void OnRuntimeGone() override {
    Close();
    runtime_ = nullptr;
  }

 private:
  ~ListenerState() {
    if (runtime_ != nullptr) runtime_->Detach(this);
  }

  void Arm() {
    armed_ = true;
    Ref();
    io_uring_sqe* entry = runtime_->ring().Prepare(this);
    entry->opcode = IORING_OP_ACCEPT;
    entry->fd = fd_;
    entry->ioprio = IORING_ACCEPT_MULTISHOT;
    entry->accept_flags = SOCK_CLOEXEC;
  }

  void OnConnection(int fd) {
    if (!open_) {
      close(fd);
      return;
    }
    const int on = 1;
    // Cannot fail on a TCP socket; and a connection with Nagle's algorithm still works.
    if (no_delay_) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    accepted_.push_back(fd);
  }

  void CloseSocketIfUnused() {
    if (!open_ && !armed_ && fd_ >= 0) close(std::exchange(fd_, -1));
  }

  RuntimeCore* runtime_;  // null once it is gone
  int fd_;
  const SocketAddress address_;
  const bool no_delay_;
  bool open_ = true;
  bool armed_ = false;
  bool accepting_ = false;
  int references_ = 1;  // the Listener's
  int error_ = 0;
  std::deque<int> accepted_;
  std::coroutine_handle<> waiter_;
};

bool AcceptAwaiter::await_ready() {
  if (listener_ == nullptr) {
    refused_ = ErrnoStatus(ECANCELED, "accept: the listener is closed");
  } else if (cancelled()) {
    refused_ = ErrnoStatus(ECANCELED, "accept");
  } else if (!listener_->StartAccepting()) {
    refused_ = absl::FailedPreconditionError("accept: another task is accepting already");
  }
  return !refused_.ok() || listener_->HasSomething();
}

void AcceptAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  suspended_ = true;
  StartWaiting();
  listener_->WaitForSomething(waiter);
}

void AcceptAwaiter::OnCancel() { listener_->Wake(); }

absl::StatusOr<Stream> AcceptAwaiter::await_resume() {
  if (!refused_.ok()) return refused_;
  StopWaiting();
  // Cancelled is cancelled, whoever has connected meanwhile: that one is for the next Accept().
  absl::StatusOr<Stream> stream = cancelled() ? ErrnoStatus(ECANCELED, "accept") : listener_->Take();
  listener_->StopAccepting();
  if (suspended_) listener_->Unref();
  return stream;
}

}  // namespace internal

absl::StatusOr<Listener> Listener::Create(Runtime& runtime, const SocketAddress& address,
                                          const ListenerOptions& options) {
  const absl::StatusOr<int> fd =
      internal::OpenListeningSocket(address, options, &runtime.core().receive_path());
  if (!fd.ok()) return fd.status();
  return Adopt(runtime, *fd, options);
}

absl::StatusOr<Listener> Listener::Adopt(Runtime& runtime, int fd, const ListenerOptions& options) {
  int listening = 0;
  socklen_t length = sizeof(listening);
  int error = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 ? 0 : errno;
  if (error == 0 && listening == 0) error = EINVAL;
  if (error != 0) {
    close(fd);
    return ErrnoStatus(error, "Listener::Adopt: the descriptor is not a listening TCP socket");
  }
  const absl::StatusOr<SocketAddress> address = internal::BoundAddress(fd);
  if (!address.ok()) {
    close(fd);
    return address.status();
  }
  // Inherited by what it accepts from now on.
  runtime.core().receive_path().LimitSocket(fd);
  return Listener(new internal::ListenerState(runtime, fd, *address, options.no_delay));
}

void Listener::Close() {
  if (state_ == nullptr) return;
  internal::ListenerState* state = std::exchange(state_, nullptr);
  state->Close();
  state->Unref();
}

SocketAddress Listener::address() const { return state_ != nullptr ? state_->address() : SocketAddress(); }

}  // namespace zcrx::inline v0
