// SPDX-License-Identifier: Apache-2.0
#include "zcrx/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/net/send_operation.h"
#include "lib/net/stream_state.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {

bool ReceiveAwaiterBase::await_ready() {
  if (stream_ == nullptr) {
    refused_ = Refused::kClosed;
  } else if (cancelled()) {
    refused_ = Refused::kCancelled;
  } else if (!stream_->StartReceiving()) {
    refused_ = Refused::kBusy;
  } else {
    return stream_->HasSomething();
  }
  return true;
}

void ReceiveAwaiterBase::await_suspend(std::coroutine_handle<> waiter) {
  suspended_ = true;
  StartWaiting();
  stream_->WaitForSomething(waiter);
}

void ReceiveAwaiterBase::OnCancel() { stream_->Wake(); }

absl::Status ReceiveAwaiterBase::RefusedError() const {
  switch (refused_) {
    case Refused::kClosed:
      return ErrnoStatus(ECANCELED, "receive: the stream is closed");
    case Refused::kBusy:
      return absl::FailedPreconditionError("receive: another task is receiving from the stream already");
    default:
      return ErrnoStatus(ECANCELED, "receive");
  }
}

inline absl::Status ReceiveAwaiterBase::Stop() {
  if (refused_ != Refused::kNot) return RefusedError();
  StopWaiting();
  stream_->StopReceiving();
  // Cancelled is cancelled, whatever has arrived meanwhile: it stays for the next one.
  if (!cancelled()) return absl::OkStatus();
  refused_ = Refused::kCancelled;
  return RefusedError();
}

// Whoever has waited keeps the stream until the result, which is not to be moved, is there.
template <typename Result>
inline Result ReceiveAwaiterBase::Take(Result (StreamState::*take)()) {
  struct Reference {
    ~Reference() {
      if (stream != nullptr) stream->Unref();
    }
    StreamState* stream;
  };
  const Reference reference = {suspended_ ? stream_ : nullptr};
  if (absl::Status refused = Stop(); !refused.ok()) return refused;
  return (stream_->*take)();
}

absl::StatusOr<Buffer> ReceiveAwaiterBase::TakeOne() { return Take(&StreamState::TakeOne); }
absl::StatusOr<BufferChain> ReceiveAwaiterBase::TakeAll() { return Take(&StreamState::TakeAll); }

SendAwaiterBase::~SendAwaiterBase() {
  if (operation_ != nullptr) operation_->Release();
}
bool SendAwaiterBase::await_ready() { return !operation_->Start(cancelled()); }
void SendAwaiterBase::await_suspend(std::coroutine_handle<> waiter) {
  StartWaiting();
  operation_->Wait(waiter);
}
void SendAwaiterBase::OnCancel() { operation_->Cancel(); }
absl::StatusOr<size_t> SendAwaiterBase::TakeResult() {
  StopWaiting();
  return operation_->Result();
}

}  // namespace internal

namespace {

template <typename Call>
absl::StatusOr<SocketAddress> AddressBy(Call&& call, int fd) {
  if (fd < 0) return ErrnoStatus(EBADF, "the stream's address");
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (call(fd, address, &length) != 0) return ErrnoStatus(errno, "the stream's address");
  return SocketAddress::FromSockaddr(address, length);
}

}  // namespace

absl::StatusOr<Stream> Stream::Adopt(Runtime& runtime, int fd) {
  if (runtime.core().shutting_down()) {
    close(fd);
    return ErrnoStatus(ECANCELED, "the runtime ends");
  }
  int type = 0;
  socklen_t length = sizeof(type);
  int error = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 ? 0 : errno;
  if (error == 0 && type != SOCK_STREAM) error = EPROTOTYPE;
  if (error != 0) {
    close(fd);
    return ErrnoStatus(error, "Stream::Adopt: the descriptor is not a TCP socket");
  }
  runtime.core().receive_path().LimitConnected(fd);
  return Stream(new internal::StreamState(runtime.core(), fd));
}

internal::SendAwaiter Stream::Send(std::span<const std::byte> bytes) {
  return internal::SendAwaiter(
      internal::SendOperation::OfBytes(state_, bytes, internal::SendOperation::Extent::kSome));
}

internal::SendAllAwaiter Stream::SendAll(std::span<const std::byte> bytes) {
  return internal::SendAllAwaiter(
      internal::SendOperation::OfBytes(state_, bytes, internal::SendOperation::Extent::kAll));
}

internal::SendAllAwaiter Stream::SendAllInPlace(std::span<const std::byte> bytes) {
  return internal::SendAllAwaiter(internal::SendOperation::InPlace(state_, bytes));
}

internal::SendAllAwaiter Stream::SendAll(Buffer buffer) {
  BufferChain chain;
  chain.Append(std::move(buffer));
  return SendAll(std::move(chain));
}

internal::SendAllAwaiter Stream::SendAll(BufferChain chain) {
  return internal::SendAllAwaiter(internal::SendOperation::OfChain(state_, std::move(chain)));
}

absl::Status Stream::Shutdown(Direction direction) {
  if (!is_open()) return ErrnoStatus(ECANCELED, "shutdown: the stream is closed");
  const int how = direction == Direction::kReceive ? SHUT_RD
                  : direction == Direction::kSend  ? SHUT_WR
                                                   : SHUT_RDWR;
  return shutdown(state_->fd(), how) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "shutdown");
}

void Stream::Close() {
  if (state_ == nullptr) return;
  internal::StreamState* state = std::exchange(state_, nullptr);
  state->Close();
  state->Unref();
}

uint64_t Stream::id() const { return state_ != nullptr ? state_->id() : 0; }
bool Stream::is_open() const { return state_ != nullptr && state_->open(); }
int Stream::fd() const { return is_open() ? state_->fd() : -1; }

absl::StatusOr<SocketAddress> Stream::local_address() const { return AddressBy(getsockname, fd()); }
absl::StatusOr<SocketAddress> Stream::peer_address() const { return AddressBy(getpeername, fd()); }

StreamStats Stream::stats() const { return state_ != nullptr ? state_->AllStats() : StreamStats(); }

}  // namespace zcrx::inline v0
