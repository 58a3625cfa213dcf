// SPDX-License-Identifier: Apache-2.0
//
// A Stream is a connected TCP socket of a runtime.
//
//   zcrx::Task<void> Echo(zcrx::Stream peer) {
//     while (true) {
//       absl::StatusOr<zcrx::Buffer> data = co_await peer.Receive();
//       if (!data.ok() || data->empty()) co_return;                      // error, or end of stream
//       absl::Status sent = co_await peer.SendAll(*std::move(data));     // out of the region, no copy
//       if (!sent.ok()) co_return;
//     }
//   }
#ifndef ZCRX_STREAM_H_
#define ZCRX_STREAM_H_

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/address.h"
#include "zcrx/buffer.h"
#include "zcrx/buffer_chain.h"
#include "zcrx/internal/context.h"
#include "zcrx/runtime.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {
class SendOperation;
class StreamState;

// What Receive() and ReceiveBatch() wait with.
class ReceiveAwaiterBase : public CancellableAwaiter {
 public:
  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);

 protected:
  explicit ReceiveAwaiterBase(StreamState* stream) : stream_(stream) {}
  ~ReceiveAwaiterBase() = default;
  ReceiveAwaiterBase(const ReceiveAwaiterBase&) = default;
  absl::StatusOr<Buffer> TakeOne();
  absl::StatusOr<BufferChain> TakeAll();

 private:
  void OnCancel() override;
  enum class Refused : uint8_t { kNot, kClosed, kCancelled, kBusy };

  // The error, if any, that there is instead of bytes.
  absl::Status Stop();
  absl::Status RefusedError() const;
  template <typename Result>
  Result Take(Result (StreamState::*take)());

  StreamState* stream_;
  bool suspended_ = false;
  Refused refused_ = Refused::kNot;
};

class ReceiveAwaiter : public ReceiveAwaiterBase {
 public:
  explicit ReceiveAwaiter(StreamState* stream) : ReceiveAwaiterBase(stream) {}
  absl::StatusOr<Buffer> await_resume() { return TakeOne(); }
};

class ReceiveBatchAwaiter : public ReceiveAwaiterBase {
 public:
  explicit ReceiveBatchAwaiter(StreamState* stream) : ReceiveAwaiterBase(stream) {}
  absl::StatusOr<BufferChain> await_resume() { return TakeAll(); }
};

// What Send() and SendAll() wait with.
class SendAwaiterBase : public CancellableAwaiter {
 public:
  SendAwaiterBase(SendAwaiterBase&& other) noexcept
      : CancellableAwaiter(other), operation_(std::exchange(other.operation_, nullptr)) {}
  SendAwaiterBase& operator=(SendAwaiterBase&&) = delete;
  ~SendAwaiterBase();

  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);

 protected:
  explicit SendAwaiterBase(SendOperation* operation) : operation_(operation) {}
  absl::StatusOr<size_t> TakeResult();

 private:
  void OnCancel() override;

  SendOperation* operation_;
};

class SendAwaiter : public SendAwaiterBase {
 public:
  explicit SendAwaiter(SendOperation* operation) : SendAwaiterBase(operation) {}
  absl::StatusOr<size_t> await_resume() { return TakeResult(); }
};

class SendAllAwaiter : public SendAwaiterBase {
 public:
  explicit SendAllAwaiter(SendOperation* operation) : SendAwaiterBase(operation) {}
  absl::Status await_resume() { return TakeResult().status(); }
};

}  // namespace internal

// Counts since the stream was made, but for what is said to be of now.
struct StreamStats {
  uint64_t bytes_received = 0;  // given to Receive() and ReceiveBatch()
  uint64_t fragments_received = 0;
  // Of these, what the kernel copied instead of the NIC writing it into the region; exact. Absent where
  // completions do not tell: zero copy with the main completion queue.
  std::optional<uint64_t> copied_bytes;
  std::optional<uint64_t> copied_fragments;
  // What has arrived and has not been given to anybody; now.
  uint64_t unread_bytes = 0;
  uint64_t unread_fragments = 0;
  // Fragments, unread or with the application, that lie in the region and have not gone back; now.
  uint64_t buffers_out = 0;
  // As PressureStats has them of all streams.
  uint64_t pauses = 0;
  uint64_t copied_out_fragments = 0;
  uint64_t copied_out_bytes = 0;
  uint64_t bytes_sent = 0;            // taken by the kernel
  uint64_t bytes_sent_zero_copy = 0;  // of these, asked to be sent out of our memory (SEND_ZC)
  uint64_t bytes_sent_fixed = 0;      // of these, out of the region, which is pinned once and not per request
  // Requests of such that the kernel copied all the same, as it does on the loopback interface; as far as it
  // tells (6.2 and later). When it keeps doing so the stream goes over to plain sends.
  uint64_t sends_copied_anyway = 0;
};

// Move-only. Belongs to the thread of its runtime. One task may receive while
// another sends; two receives at a time, or two sends, give FAILED_PRECONDITION.
// Destroying it is Close(). It may outlive its runtime, and is closed then.
class Stream {
 public:
  enum class Direction { kReceive, kSend, kBoth };

  Stream() = default;
  Stream(Stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    if (this != &other) {
      Close();
      state_ = std::exchange(other.state_, nullptr);
    }
    return *this;
  }
  ~Stream() { Close(); }

  // Takes over the connected TCP socket `fd`, also when it fails. InvalidArgument if it is not one.
  static absl::StatusOr<Stream> Adopt(Runtime& runtime, int fd);

  // `co_await` gives the next fragment, in order; an empty one at the end of the
  // stream, again and again. Errors come after the last byte that arrived before
  // them and stay: ECONNRESET, ETIMEDOUT, ...; CANCELLED if the stream is closed,
  // its runtime ends, or the task is cancelled (TaskGroup, WithTimeout, ...), which
  // takes nothing: what has arrived is for the next Receive(); RESOURCE_EXHAUSTED (ENOMEM) if for a long time
  // no piece of the region was free to copy to. Does not allocate.
  [[nodiscard]] internal::ReceiveAwaiter Receive() { return internal::ReceiveAwaiter(state_); }

  // As Receive(), but gives all that has arrived: at least one fragment, none at the end of the stream.
  [[nodiscard]] internal::ReceiveBatchAwaiter ReceiveBatch() { return internal::ReceiveBatchAwaiter(state_); }

  // `co_await` sends some of `bytes` and gives how many the kernel took, at least
  // one of a non-empty span. `bytes` must stay valid until then. Errors: EPIPE,
  // ECONNRESET, ...; CANCELLED as above. The bytes are copied.
  [[nodiscard]] internal::SendAwaiter Send(std::span<const std::byte> bytes);

  // As Send(), but all of `bytes`. On an error, CANCELLED included, some may have been sent.
  [[nodiscard]] internal::SendAllAwaiter SendAll(std::span<const std::byte> bytes);

  // Sends all of the buffer or chain out of the memory it lies in (SEND_ZC) and
  // keeps the pieces until the kernel is done with them, which is later than
  // `co_await` returns. Small ones are copied and go back at once.
  [[nodiscard]] internal::SendAllAwaiter SendAll(Buffer buffer);
  [[nodiscard]] internal::SendAllAwaiter SendAll(BufferChain chain);

  // Sends all of `bytes` out of the caller's memory, whatever their number, and returns when the kernel is
  // done with it: once the peer has acknowledged them, or the connection has ended. Until then they must stay
  // and not change. Errors as Send(); on an error, too, the kernel is done with the memory. On sockets or
  // kernels that cannot, the bytes are copied.
  [[nodiscard]] internal::SendAllAwaiter SendAllInPlace(std::span<const std::byte> bytes);

  // Ends one direction or both: the peer sees the end of the stream after what
  // has been sent. What has arrived can still be received.
  absl::Status Shutdown(Direction direction);

  // Closes the connection. Operations that are waiting give CANCELLED. Never blocks.
  void Close();

  // A number that no other stream of the runtime has or had; 0 of a default-constructed or closed one.
  uint64_t id() const;
  bool is_open() const;
  // The socket, for socket options; -1 if closed. Owned by the stream.
  int fd() const;
  absl::StatusOr<SocketAddress> local_address() const;
  absl::StatusOr<SocketAddress> peer_address() const;
  // All zero once Close() has been called; what the peer or the runtime has ended still counts. Looks at
  // every unread fragment.
  StreamStats stats() const;

  // Internal: takes over the reference.
  explicit Stream(internal::StreamState* state) : state_(state) {}

 private:
  internal::StreamState* state_ = nullptr;
};

// Connects to `address`. Errors: ECONNREFUSED, ETIMEDOUT, ENETUNREACH, ...
Task<absl::StatusOr<Stream>> Connect(Runtime& runtime, SocketAddress address);

}  // namespace zcrx::inline v0

#endif  // ZCRX_STREAM_H_
