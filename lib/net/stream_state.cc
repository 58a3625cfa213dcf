// SPDX-License-Identifier: Apache-2.0
#include "lib/net/stream_state.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/uapi/log.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {

StreamState::StreamState(RuntimeCore& runtime, int fd)
    : runtime_(&runtime), id_(runtime.NewStreamId()), fd_(fd), receive_(runtime.receive_path(), *this, id_) {
  if (runtime.receive_path().tells_copied()) {
    stats_.copied_bytes = 0;
    stats_.copied_fragments = 0;
  }
  runtime_->Attach(this);
}

StreamState::~StreamState() {
  if (runtime_ != nullptr) runtime_->Detach(this);
}

void StreamState::OnUnrefAfterClose() {
  CloseSocketIfUnused();
  if (references_ == 0) delete this;
}

void StreamState::WaitForSomething(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  Ref();  // the waiter's
  receive_.TellOfBytes();
  if (receive_.active() || relay_ != nullptr) return;
  Ref();  // the request's, until OnEnd()
  runtime_->receive_path().Arm(receive_, fd_);
}

void StreamState::WakeWaiter() { runtime_->Schedule(std::exchange(waiter_, nullptr)); }

absl::StatusOr<BufferChain> StreamState::TakeAll() {
  RecordQueue& unread = receive_.unread();
  if (unread.empty() && !end_.ok()) return end_;
  // Completions of the main queue do not tell.
  if (stats_.copied_bytes.has_value()) {
    for (const BufferRecord* record = unread.front(); record != nullptr; record = record->next)
      CountIfCopied(*record);
  }
  const uint64_t fragments = unread.size();
  BufferChain chain;
  chain.Append(unread);
  receive_.OnAllTaken();
  CountTaken(fragments, chain.size());
  return chain;
}

void StreamState::OnBytes() {
  if (!place_known_) CheckPlace();
  Wake();
}

void StreamState::CheckPlace() {
  place_known_ = true;
  if (relayed_ && !runtime_->receive_path().ArrivesHere(fd_)) runtime_->CountMisplaced();
}

void StreamState::OnEnd(const absl::Status& status) {
  // The data is in the region of somebody else: of another runtime of the server, if there is one.
  const bool elsewhere = relayed_ && ErrnoOf(status) == EFAULT;
  if (elsewhere && !std::exchange(place_known_, true)) runtime_->CountMisplaced();
  const Membership& membership = runtime_->membership();
  if (elsewhere && membership.group != nullptr && open_) {
    relay_ = std::make_shared<Relay>(*this, membership);
    relay_->Start();
  } else {
    End(status);
  }
  Unref();  // the request's
}

void StreamState::OnRelayedBytes(RecordQueue& fragments) {
  receive_.AddCopies(fragments);
  Wake();
}

void StreamState::End(const absl::Status& status) {
  // The first end counts: what comes after Close() was caused by it.
  if (!std::exchange(ended_, true)) end_ = status;
  Wake();
}

void StreamState::Close() {
  if (!std::exchange(open_, false)) return;
  Ref();  // stays until the end of this function
  receive_.unread().DropAll();
  receive_.OnAllTaken();
  // What was received before is gone; from now on there is but this.
  ended_ = true;
  end_ = ErrnoStatus(ECANCELED, "the stream was closed");
  Wake();
  if (relay_ != nullptr) relay_->Close();
  if (runtime_ != nullptr) {
    if (receive_.active()) runtime_->receive_path().Cancel(receive_);
    if (sending_ != nullptr) sending_->Cancel();
    // The kernel may hold on to sent memory until the peer acknowledges; the
    // socket stays until then. The peer need not wait for its end of the stream.
    if (sends_ > 0) shutdown(fd_, SHUT_WR);
  }
  Unref();
}

StreamStats StreamState::AllStats() const {
  StreamStats stats = stats_;
  for (const BufferRecord* record = receive_.unread().front(); record != nullptr; record = record->next)
    stats.unread_bytes += record->bytes.size();
  stats.unread_fragments = receive_.unread().size();
  stats.buffers_out = receive_.buffers_out();
  stats.pauses = receive_.pauses();
  stats.copied_out_fragments = receive_.copied_out_fragments();
  stats.copied_out_bytes = receive_.copied_out_bytes();
  return stats;
}

void StreamState::CloseSocketIfUnused() {
  if (open_ || fd_ < 0 || receive_.active() || sends_ > 0) return;
  close(std::exchange(fd_, -1));
}

void StreamState::OnShutdownOverdue() {
  if (fd_ < 0) return;
  Log(LogSeverity::kWarning, "shutdown.reset",
      "the runtime ends, and the kernel does not let go of what stream ", id_,
      " has sent, as its peer does not acknowledge it: the connection is reset");
  // Resetting the connection makes the kernel let go of it.
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(std::exchange(fd_, -1));
}

void StreamState::OnRuntimeGone() {
  Close();
  receive_.Detach();
  runtime_ = nullptr;
}

}  // namespace zcrx::inline v0::internal
