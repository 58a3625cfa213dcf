// SPDX-License-Identifier: Apache-2.0
#include "lib/net/relay.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "lib/net/stream_state.h"
#include "zcrx/status.h"
#include "zcrx/timer.h"

namespace zcrx::inline v0::internal {
namespace {

// As much may be on the heap for one stream; the rest waits in its socket.
constexpr size_t kMostUnread = 256 << 10;

// Copies on their way home; dropped if they do not arrive.
struct Batch {
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { records.DropAll(); }

  RecordQueue records;
};

}  // namespace

Relay::Relay(StreamState& stream, Membership home)
    : home_(std::move(home)),
      fd_(fcntl(stream.fd(), F_DUPFD_CLOEXEC, 0)),
      stream_(&stream),
      member_(home_.index) {}

Relay::~Relay() {
  if (fd_ >= 0) close(fd_);
}

// --- At home -------------------------------------------------------------------

void Relay::Start() { ReadAt((home_.index + 1) % home_.group->size()); }

void Relay::ReadAt(size_t member) {
  member_ = member;
  const bool posted = home_.group->Post(
      member, [self = shared_from_this()](Runtime& runtime) { self->StartReader(runtime); });
  if (!posted) OnReaderEnded(ErrnoStatus(EFAULT, "receive"));
}

void Relay::OnFragments(RecordQueue& fragments) {
  fruitless_ = 0;
  if (stream_ != nullptr) stream_->OnRelayedBytes(fragments);
}

void Relay::OnReaderEnded(const absl::Status& status) {
  if (stream_ == nullptr) return;
  const size_t members = home_.group->size();
  if (ErrnoOf(status) == EFAULT && ++fruitless_ < members) {
    ReadAt((member_ + 1) % members);
    return;
  }
  StreamState* stream = std::exchange(stream_, nullptr);
  stream->OnRelayEnd(status);
}

void Relay::OnTaken(size_t bytes) {
  const size_t before = unread_.fetch_sub(bytes, std::memory_order_relaxed);
  if (before < kMostUnread || before - bytes >= kMostUnread) return;
  home_.group->Post(member_, [self = shared_from_this()](Runtime&) {
    if (self->reader_wait_ != nullptr) self->reader_wait_->Cancel();
  });
}

void Relay::Close() {
  if (stream_ == nullptr) return;
  stream_ = nullptr;
  // Release: pairs with the acquire in Read(), for a reader that is yet to start.
  closed_.store(true, std::memory_order_release);
  home_.group->Post(member_, [self = shared_from_this()](Runtime&) {
    if (self->reader_ != nullptr) self->reader_->Cancel();
  });
}

// --- Where it is read ------------------------------------------------------------

void Relay::PostHome(std::function<void()> function) {
  // Nobody waits for it once that runtime is gone.
  home_.group->Post(home_.index, [function = std::move(function)](Runtime&) { function(); });
}

void Relay::StartReader(Runtime& runtime) {
  const int fd = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0 || runtime.core().shutting_down()) {
    const absl::Status status = ErrnoStatus(fd < 0 ? errno : ECANCELED, "receive");
    if (fd >= 0) close(fd);
    PostHome([self = shared_from_this(), status] { self->OnReaderEnded(status); });
    return;
  }
  auto* state = new StreamState(runtime.core(), fd);
  state->set_relayed(false);
  runtime.Spawn(Read(shared_from_this(), Stream(state)));
}

Task<void> Relay::Read(std::shared_ptr<Relay> relay, Stream stream) {
  CancelSource cancel;
  relay->reader_ = &cancel;
  if (relay->closed_.load(std::memory_order_acquire)) cancel.Cancel();
  const absl::Status status = co_await WithCancel(cancel, relay->Forward(stream));
  relay->reader_ = nullptr;
  relay->PostHome([relay, status] { relay->OnReaderEnded(status); });
}

Task<absl::Status> Relay::Forward(Stream& stream) {
  while (true) {
    absl::StatusOr<BufferChain> data = co_await stream.ReceiveBatch();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return absl::OkStatus();
    const auto batch = std::make_shared<Batch>();
    for (const Buffer& buffer : *data) {
      BufferRecord* copy = NewHeapRecord(buffer.bytes());
      copy->copied = true;
      batch->records.Push(copy);
    }
    unread_.fetch_add(data->size(), std::memory_order_relaxed);
    PostHome([self = shared_from_this(), batch] { self->OnFragments(batch->records); });
    *data = BufferChain();
    if (unread_.load(std::memory_order_relaxed) < kMostUnread) continue;
    CancelSource room;
    reader_wait_ = &room;
    // The look comes after reader_wait_: what OnTaken() posts runs on this thread, and finds it.
    if (unread_.load(std::memory_order_relaxed) >= kMostUnread) {
      const absl::Status waited = co_await WithCancel(room, Sleep(std::chrono::nanoseconds::max()));
      (void)waited;  // how it ended is in the source
    }
    reader_wait_ = nullptr;
  }
}

}  // namespace zcrx::inline v0::internal
