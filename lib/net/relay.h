// SPDX-License-Identifier: Apache-2.0
//
// Receives for a stream what lies in the region of another runtime: the kernel
// lets only the ring that owns an interface queue read what arrived there
// (EFAULT for all others), so the runtime of that queue receives it, copies it to
// the heap, and posts it to the stream's own. Slow, but nothing fails; it is for
// connections that flow rules or RSS have put into the wrong queue.
#ifndef ZCRX_LIB_NET_RELAY_H_
#define ZCRX_LIB_NET_RELAY_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "lib/ifq/buffer_ledger.h"
#include "lib/runtime/runtime_group.h"
#include "zcrx/buffer_chain.h"
#include "zcrx/cancel.h"
#include "zcrx/runtime.h"
#include "zcrx/stream.h"
#include "zcrx/task.h"

namespace zcrx::inline v0::internal {

class StreamState;

// Shared by the thread of the stream, which is home, and the one that reads for it at the moment.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(StreamState& stream, Membership home);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // --- At home.
  // Looks for the runtime whose queue the data is in, from the one after home on.
  void Start();
  // The stream has given so many relayed bytes to the application.
  void OnTaken(size_t bytes);
  // The stream is closed.
  void Close();

 private:
  void ReadAt(size_t member);
  void OnFragments(RecordQueue& fragments);
  void OnReaderEnded(const absl::Status& status);
  void PostHome(std::function<void()> function);

  // --- Where it is read.
  void StartReader(Runtime& runtime);
  static Task<void> Read(std::shared_ptr<Relay> relay, Stream stream);
  Task<absl::Status> Forward(Stream& stream);

  const Membership home_;
  const int fd_;  // of its own, so that neither thread closes it under the other
  // Bytes on their way to the application.
  std::atomic<size_t> unread_ = 0;
  std::atomic<bool> closed_ = false;

  // At home.
  StreamState* stream_;   // null once it is closed
  size_t member_;         // who reads
  size_t fruitless_ = 0;  // members in a row that had nothing for us

  // Where it is read.
  CancelSource* reader_wait_ = nullptr;  // for room
  CancelSource* reader_ = nullptr;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_NET_RELAY_H_
