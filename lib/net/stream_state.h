// SPDX-License-Identifier: Apache-2.0
//
// What is behind a Stream: the socket, what has arrived and not been taken, and
// who waits.
#ifndef ZCRX_LIB_NET_STREAM_STATE_H_
#define ZCRX_LIB_NET_STREAM_STATE_H_

#include <coroutine>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/ifq/buffer_ledger.h"
#include "lib/net/relay.h"
#include "lib/net/send_operation.h"
#include "lib/receive/receive_path.h"
#include "lib/runtime/runtime_core.h"
#include "zcrx/stream.h"

namespace zcrx::inline v0::internal {

// Lives until the Stream, its waiters and its operations have all let go.
class StreamState final : public ReceiveSink, public RuntimeResource {
 public:
  // Takes over the socket.
  StreamState(RuntimeCore& runtime, int fd);

  static void* operator new(size_t bytes) { return RecycledStorage(bytes); }
  static void operator delete(void* storage, size_t bytes) { RecycleStorage(storage, bytes); }

  RuntimeCore* runtime() { return runtime_; }
  uint64_t id() const { return id_; }
  int fd() const { return fd_; }
  bool open() const { return open_; }
  // What is counted as it happens.
  StreamStats& stats() { return stats_; }
  // The same with what is found out when somebody asks.
  StreamStats AllStats() const;

  // --- Receiving. One at a time: StartReceiving() is false if somebody does.
  bool StartReceiving() { return !std::exchange(receiving_, true); }
  bool HasSomething() const { return !receive_.unread().empty() || ended_; }
  void WaitForSomething(std::coroutine_handle<> waiter);
  // Lets the waiter, if there is one, go on.
  void Wake() {
    if (waiter_) WakeWaiter();
  }
  absl::StatusOr<Buffer> TakeOne();
  absl::StatusOr<BufferChain> TakeAll();
  void StopReceiving() { receiving_ = false; }

  // --- Sending. One at a time: the operation that has the turn, null if none has. Any number
  // may be waiting for the kernel to let go of what it has sent.
  void AddSend() {
    ++sends_;
    Ref();
  }
  void RemoveSend() {
    --sends_;
    Unref();
  }
  // Whether it is worth asking the kernel not to copy.
  bool MaySendZeroCopy() const { return copied_in_a_row_ < kMostCopied; }
  // What the kernel told of a request of that kind.
  void OnZeroCopySent(bool copied) {
    copied_in_a_row_ = copied ? copied_in_a_row_ + 1 : 0;
    if (copied) ++stats_.sends_copied_anyway;
  }
  SendOperation* sending() { return sending_; }
  void set_sending(SendOperation* operation) { sending_ = operation; }

  // Ends all that is in flight; the socket is closed once the kernel is done with it.
  void Close();

  // Whether others receive for it what has arrived at their queues; not if it itself receives for another.
  void set_relayed(bool relayed) { relayed_ = relayed; }

  // --- Of the relay, which receives in place of the request, once that has met EFAULT.
  void OnRelayedBytes(RecordQueue& fragments);
  void OnRelayEnd(const absl::Status& status) { End(status); }

  // For operations and waiters, which need this to stay. Dropping the last reference ends it.
  void Ref() { ++references_; }
  void Unref() {
    --references_;
    // Nobody lets go of the last one before Close().
    if (!open_) OnUnrefAfterClose();
  }

  // ReceiveSink
  void OnBytes() override;
  void OnEnd(const absl::Status& status) override;
  // RuntimeResource
  void OnShutdown() override { Close(); }
  void OnShutdownOverdue() override;
  void OnRuntimeGone() override;

 private:
  // After so many copies in a row it is not.
  static constexpr uint32_t kMostCopied = 4;

  ~StreamState();

  void WakeWaiter();
  void End(const absl::Status& status);
  void CloseSocketIfUnused();
  // Finds out, once, whether the packets arrive at the runtime's queue.
  void CheckPlace();
  void OnUnrefAfterClose();
  void CountTaken(uint64_t fragments, uint64_t bytes);
  void CountIfCopied(const BufferRecord& record);

  RuntimeCore* runtime_;  // null once it is gone
  const uint64_t id_;
  int fd_;
  bool open_ = true;
  int references_ = 1;  // the Stream's

  ReceiveRequest receive_;  // has what has arrived
  bool receiving_ = false;
  bool ended_ = false;
  std::shared_ptr<Relay> relay_;
  bool relayed_ = true;
  bool place_known_ = false;
  absl::Status end_;  // how, once all that has arrived is taken
  std::coroutine_handle<> waiter_;

  SendOperation* sending_ = nullptr;
  int sends_ = 0;
  uint32_t copied_in_a_row_ = 0;  // sends that were to be without a copy
  StreamStats stats_;
};

// Here, as they are for each fragment.

inline void StreamState::CountTaken(uint64_t fragments, uint64_t bytes) {
  stats_.fragments_received += fragments;
  stats_.bytes_received += bytes;
  if (relay_ != nullptr) relay_->OnTaken(bytes);
}

inline void StreamState::CountIfCopied(const BufferRecord& record) {
  if (!record.copied || !stats_.copied_bytes.has_value()) return;
  *stats_.copied_bytes += record.bytes.size();
  ++*stats_.copied_fragments;
}

inline absl::StatusOr<Buffer> StreamState::TakeOne() {
  if (receive_.unread().empty()) {
    if (!end_.ok()) return end_;
    return Buffer();
  }
  BufferRecord* record = receive_.Take();
  CountTaken(1, record->bytes.size());
  CountIfCopied(*record);
  return Buffer(record->bytes, record);
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_NET_STREAM_STATE_H_
