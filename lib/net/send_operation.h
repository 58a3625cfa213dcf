// SPDX-License-Identifier: Apache-2.0
//
// One Send() or SendAll(): as many requests as it takes, and, for zero copy, the
// wait for the kernel to let go of the memory, which outlasts the awaiting.
#ifndef ZCRX_LIB_NET_SEND_OPERATION_H_
#define ZCRX_LIB_NET_SEND_OPERATION_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <coroutine>
#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/ring/completion.h"
#include "zcrx/buffer_chain.h"
#include "zcrx/internal/recycler.h"

namespace zcrx::inline v0::internal {

class StreamState;

// Lives until its awaiter has gone and its last completion has come.
class SendOperation final : public CompletionHandler {
 public:
  enum class Extent { kSome, kAll };

  // Sends `bytes`, which the caller keeps. `stream` may be null: then it fails.
  static SendOperation* OfBytes(StreamState* stream, std::span<const std::byte> bytes, Extent extent);
  // Sends all of `chain` and keeps it until the kernel is done with it.
  static SendOperation* OfChain(StreamState* stream, BufferChain chain);

  // Sends all of `bytes`, which the caller keeps until it is over: the kernel is then done with them.
  static SendOperation* InPlace(StreamState* stream, std::span<const std::byte> bytes);

  static void* operator new(size_t bytes) { return RecycledStorage(bytes); }
  static void operator delete(void* storage, size_t bytes) { RecycleStorage(storage, bytes); }

  // False if it is over already: nothing to send, or an error, of which `cancelled` is one.
  bool Start(bool cancelled);
  void Wait(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  // The bytes sent, or the error. Once it is over.
  absl::StatusOr<size_t> Result() const;
  // The awaiter goes.
  void Release();

  // Makes the kernel give up on what it has not sent.
  void Cancel();

  void OnCompletion(Completion completion) override;

 private:
  SendOperation(StreamState* stream, size_t size, Extent extent);
  ~SendOperation();

  void Submit();
  void FillIovecs();
  void FillRequest(io_uring_sqe& entry);
  // Gives up what a kernel that answers EINVAL may lack. False if there is nothing more to give up.
  bool AskForLess();
  void OnResult(int result);
  void Resume();
  void Finish(const absl::Status& status);
  void DeleteIfUnused();

  StreamState* const stream_;
  const Extent extent_;
  const size_t size_;
  std::span<const std::byte> bytes_;
  BufferChain chain_;
  bool zero_copy_ = false;
  bool zero_copy_request_ = false;    // the one in flight
  bool fixed_request_ = false;        // out of a fixed buffer
  bool fixed_parts_request_ = false;  // in several parts
  bool in_place_ = false;             // over when the kernel is done with the memory
  bool cancelled_ = false;

  size_t sent_ = 0;
  std::vector<iovec, RecyclingAllocator<iovec>> iovecs_;
  msghdr message_ = {};
  int in_flight_ = 0;  // requests and notifications to come
  bool released_ = false;
  bool finished_ = false;
  absl::Status status_;
  std::coroutine_handle<> waiter_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_NET_SEND_OPERATION_H_
