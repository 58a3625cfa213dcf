// SPDX-License-Identifier: Apache-2.0
#include "lib/receive/receive_path.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/uapi/log.h"
#include "lib/uapi/probe.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// Waits for a buffer grow from the first to the last of these.
constexpr std::chrono::nanoseconds kFirstWait = std::chrono::milliseconds(1);
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::seconds(1);

absl::Status ReceiveError(int error) {
  switch (error) {
    case EFAULT:
      return ErrnoStatus(error,
                         "receive: the socket holds data of another interface queue; the connection's "
                         "packets must all arrive on "
                         "this runtime's queue (see its flow rules)");
    case EPROTONOSUPPORT:
      return ErrnoStatus(error,
                         "receive: zero copy works on plain TCP sockets only (no kTLS, MPTCP, sockmap)");
    case ENOMEM:
    case ENOBUFS:
      return ErrnoStatus(error,
                         "receive: no piece of the pool region became free to copy to; the region is too "
                         "small, or buffers are "
                         "held for too long");
    default:
      return ErrnoStatus(error, "receive");
  }
}

}  // namespace

ReceiveRequest::ReceiveRequest(ReceivePath& path, ReceiveSink& sink, uint64_t stream)
    : path_(&path), sink_(sink), account_(Account::Open(stream)), next_(path.requests_) {
  if (next_ != nullptr) next_->previous_ = this;
  path.requests_ = this;
  path.ledger().accounts().Add(account_);
}

ReceiveRequest::~ReceiveRequest() {
  Detach();
  account_->Close();
}

void ReceiveRequest::Detach() {
  if (path_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : path_->requests_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  path_ = nullptr;
}

void ReceiveRequest::AddCopies(RecordQueue& fragments) {
  copies_ += fragments.size();
  if (path_ != nullptr) {
    path_->relayed_fragments_ += fragments.size();
    for (const BufferRecord* record = fragments.front(); record != nullptr; record = record->next)
      path_->relayed_bytes_ += record->bytes.size();
  }
  unread_.Append(fragments);
}

// A stream that nobody reads is never received from without bound. What the application itself holds counts
// under pressure only: it may have the region for that.
inline bool ReceivePath::HasMoreThan(uint64_t pieces, const ReceiveRequest& request) const {
  // What is unread is part of it.
  if (request.account_->pieces() + request.copies_ <= pieces) return false;
  return pressure_.now == Pressure::kHigh || request.unread_.size() > pieces;
}

inline void ReceivePath::PauseIfOverQuota(ReceiveRequest& request) {
  if (HasMoreThan(quota_, request) && request.state_ == ReceiveRequest::State::kArmed) Pause(request);
}

inline void ReceivePath::OnBytes(ReceiveRequest& request) {
  request.fruitless_waits_ = 0;
  wait_ = kFirstWait;
  if (request.tells_) TellSink(request);
  PauseIfOverQuota(request);
}

// For each completion: what comes nearly always is decided here, with as little as possible that must outlive
// a call.
void ReceiveRequest::OnCompletion(Completion completion) {
  ReceivePath& path = *path_;
  ++path.completions_;
  if (!completion.more() || !cancelled_.ok()) {
    path.OnOtherCompletion(*this, completion);
  } else if (path.TakeFragments(completion, account_, unread_)) {
    path.OnBytes(*this);
  } else {
    path.OnImpossible(*this, /*more=*/true);
  }
}

void ReceivePath::TellSink(ReceiveRequest& request) {
  // A kernel that says "more" and gives nothing must not look like the end of the stream.
  if (request.unread_.empty()) return;
  request.tells_ = false;
  request.sink_.OnBytes();
}

void ReceivePath::Arm(ReceiveRequest& request, int fd) {
  request.fd_ = fd;
  request.cancelled_ = absl::OkStatus();
  request.fruitless_waits_ = 0;
  Prepare(request);
}

void ReceivePath::Prepare(ReceiveRequest& request) {
  request.state_ = ReceiveRequest::State::kArmed;
  io_uring_sqe* entry = ring_.Prepare(&request);
  entry->fd = request.fd_;
  FillRequest(*entry);
}

void ReceivePath::Cancel(ReceiveRequest& request) {
  request.cancelled_ = ErrnoStatus(ECANCELED, "receive");
  switch (request.state_) {
    case ReceiveRequest::State::kIdle:
      return;
    case ReceiveRequest::State::kArmed:
      ring_.PrepareCancel(&request);
      return;
    case ReceiveRequest::State::kPausing:
      return;  // is being cancelled already
    case ReceiveRequest::State::kToArm:
      std::erase(to_arm_, &request);
      break;
    case ReceiveRequest::State::kStarved:
      std::erase(starved_, &request);
      break;
    case ReceiveRequest::State::kPaused:
      std::erase(paused_, &request);
      break;
  }
  End(request, request.cancelled_);
}

void ReceivePath::OnOtherCompletion(ReceiveRequest& request, Completion completion) {
  RecordQueue fragments;
  if (!TakeFragments(completion, request.account_, fragments)) OnImpossible(request, completion.more());
  const bool had_bytes = !fragments.empty();
  if (!request.cancelled_.ok()) {
    fragments.DropAll();
  } else if (had_bytes) {
    request.unread_.Append(fragments);
    OnBytes(request);
  }
  if (completion.more()) return;
  // A last completion with bytes (copy path) ends the request, not the stream.
  if (had_bytes && request.cancelled_.ok()) {
    ++rearms_after_bytes_;
    ArmAgain(request, 0);
  } else {
    OnRequestEnded(request, completion.res);
  }
}

void ReceivePath::OnImpossible(ReceiveRequest& request, bool more) {
  // Also the end of what is sound: bytes after a gap are not the stream's.
  request.cancelled_ = absl::InternalError("receive: the kernel named bytes outside the pool region");
  impossible_log_.Log(LogSeverity::kError, "receive.impossible",
                      "the kernel named bytes outside the pool region: stream ", request.account_->stream(),
                      " ends, as what follows is not its data");
  if (more) ring_.PrepareCancel(&request);
}

void ReceivePath::OnRequestEnded(ReceiveRequest& request, int result) {
  if (!request.cancelled_.ok()) {
    End(request, request.cancelled_);
  } else if (result == 0) {
    End(request, absl::OkStatus());
  } else if (request.state_ == ReceiveRequest::State::kPausing && result == -ECANCELED) {
    request.state_ = ReceiveRequest::State::kPaused;
    paused_.push_back(&request);
  } else if (result == -ENOSPC) {
    // The completion queue or the rbuf ring was full. Nothing is lost: the data is
    // still in the socket. Both are empty again by the time of Flush().
    ++rearms_no_space_;
    no_space_log_.Log(LogSeverity::kWarning, "receive.no_space",
                      "the ring for received fragments was too small for what came at a time (",
                      rearms_no_space_,
                      " times by now): nothing is lost, but it costs speed; fix: a larger "
                      "RuntimeOptions::completion_entries, or InterfaceQueueOptions::rbuf_entries");
    ArmAgain(request, ENOSPC);
  } else if (result == -no_buffer_) {
    ++rearms_no_buffer_;
    starving_log_.Log(LogSeverity::kWarning, "receive.starving", "stream ", request.account_->stream(),
                      " waits, as no piece is free to copy to (", rearms_no_buffer_, " times by now); ",
                      ledger().out(), " of ", pieces(),
                      " are out; fix: a larger region, or buffers that are dropped sooner");
    WaitForBuffer(request);
  } else if (result == -EINTR) {
    // The task had a signal pending; says nothing about the socket.
    ++rearms_interrupted_;
    ArmAgain(request, EINTR);
  } else {
    End(request, ReceiveError(-result));
  }
}

void ReceivePath::End(ReceiveRequest& request, const absl::Status& status) {
  request.state_ = ReceiveRequest::State::kIdle;
  request.sink_.OnEnd(status);
}

void ReceivePath::ArmAgain(ReceiveRequest& request, int cause) {
  ZCRX_PROBE2(receive_rearmed, request.account_->stream(), cause);
  request.state_ = ReceiveRequest::State::kToArm;
  to_arm_.push_back(&request);
}

void ReceivePath::WaitForBuffer(ReceiveRequest& request) {
  if (most_waits_ != 0 && ++request.fruitless_waits_ > most_waits_) {
    End(request, ReceiveError(no_buffer_));
    return;
  }
  request.state_ = ReceiveRequest::State::kStarved;
  starved_.push_back(&request);
  if (timer_.running()) return;
  wait_ = std::clamp(wait_ * 2, kFirstWait, kLongestWait);
  timer_.Start(wait_);
}

void ReceivePath::EndWaits() {
  for (ReceiveRequest* request : starved_) ArmAgain(*request, no_buffer_);
  starved_.clear();
}

uint32_t ReceivePath::GiveBackAll() {
  const uint32_t count = GiveBack();
  if (count > 0) ZCRX_PROBE2(pieces_returned, count, ledger().out());
  return count;
}

void ReceivePath::Flush() {
  const bool gave_back = GiveBackAll() > 0;
  UpdatePressure();
  // What was given back may have been so long ago, and not taken,
  // as the kernel only does so when the NIC needs it.
  if (!starved_.empty() && (Reclaim() || gave_back)) {
    for (ReceiveRequest* request : starved_) request->fruitless_waits_ = 0;
    EndWaits();
  }
  std::swap(arming_, to_arm_);
  for (ReceiveRequest* request : arming_) Prepare(*request);
  arming_.clear();
}

// --- Pressure ----------------------------------------------------------------

absl::Status CheckPressureOptions(const PressureOptions& options) {
  const double low = options.low_watermark;
  const double high = options.high_watermark;
  // Written so that a NaN, which compares false with everything, is refused as well.
  if (!(high >= 0 && high <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("PressureOptions::high_watermark is ", high,
                                                   "; fix: a part of the region, from 0 to 1"));
  }
  if (!(low >= 0 && low <= high)) {
    return absl::InvalidArgumentError(absl::StrCat("PressureOptions::low_watermark is ", low,
                                                   "; fix: from 0 to the high_watermark, which is ", high));
  }
  return absl::OkStatus();
}

void ReceivePath::SetPressureOptions(const PressureOptions& options) {
  if (!options.enabled) return;
  const auto part = [this](double share) {
    return static_cast<uint64_t>(share * static_cast<double>(pieces()));
  };
  const size_t piece_bytes = ledger().region().piece_bytes();
  high_ = part(options.high_watermark);
  low_ = part(options.low_watermark);
  // Not below what the kernel lets a receive buffer grow to by itself (6 MiB, net.ipv4.tcp_rmem): with 4 MiB
  // and packets that do not fill their pieces the window would be smaller than without the library.
  const size_t quota = options.stream_quota != 0 ? options.stream_quota
                                                 : std::min<size_t>(pieces() * piece_bytes / 8, 8u << 20);
  quota_ = std::max<uint64_t>(quota / piece_bytes, 1);
  socket_bytes_ = quota_ * piece_bytes;
  copy_out_ = options.copy_out;
}

void ReceivePath::LimitSocket(int fd) const {
  if (socket_bytes_ == 0) return;
  // The kernel doubles it, and counts what packets take in memory, not their payload.
  const int bytes = static_cast<int>(std::min<size_t>(socket_bytes_ / 2, INT_MAX));
  // The one without the limit of net.core.rmem_max needs CAP_NET_ADMIN. A socket that cannot be limited
  // works.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

// Of a socket whose buffer has been chosen by hand the kernel does not raise the largest window any more: it
// would for ever be what was agreed upon when the connection began, some 64 KiB.
void ReceivePath::LimitConnected(int fd) const {
  LimitSocket(fd);
  if (socket_bytes_ == 0) return;
  const int bytes = static_cast<int>(std::min<size_t>(socket_bytes_, INT_MAX));
  setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes, sizeof(bytes));
}

void ReceivePath::UpdatePressure() {
  const uint64_t out = ledger().out() - ledger().returned();
  if (pressure_.now == Pressure::kNone && out > high_) {
    pressure_.now = Pressure::kHigh;
    ++pressure_.rises;
    ZCRX_PROBE3(pressure_changed, 1, out, pieces());
    told_high_ = pressure_log_.Log(
        LogSeverity::kWarning, "pressure.high", out, " of ", pieces(), " pieces are taken (risen ",
        pressure_.rises, " times by now): streams are held to their quotas; see Runtime::holders()");
    for (ReceiveRequest* request = requests_; request != nullptr; request = request->next_)
      PauseIfOverQuota(*request);
  } else if (pressure_.now == Pressure::kHigh && out <= low_) {
    // Not only below: a watermark of 0, or one of a region of few pieces, could never be left.
    pressure_.now = Pressure::kNone;
    ZCRX_PROBE3(pressure_changed, 0, out, pieces());
    // As often as the other half of the story.
    if (std::exchange(told_high_, false)) {
      Log(LogSeverity::kInfo, "pressure.none", "no more than ", out, " of ", pieces(), " pieces are taken");
    }
  }
  if (pressure_.now == Pressure::kHigh && copy_out_ && out > high_) {
    CopyOut(out - high_);
    GiveBackAll();
  }
  if (!paused_.empty()) Resume();
}

void ReceivePath::Pause(ReceiveRequest& request) {
  request.state_ = ReceiveRequest::State::kPausing;
  ++request.pauses_;
  ++pressure_.pauses;
  ZCRX_PROBE2(stream_paused, request.account_->stream(), request.unread_.size());
  ring_.PrepareCancel(&request);
}

void ReceivePath::Resume() {
  std::erase_if(paused_, [this](ReceiveRequest* request) {
    // Not at once below the quota, or it would be paused and resumed with each piece. And not before its
    // copies have been taken, or there would be more of them each time.
    const bool stays = request->copies_ > 0 || HasMoreThan(quota_ / 2, *request);
    if (stays) return false;
    ++rearms_resumed_;
    ZCRX_PROBE1(stream_resumed, request->account_->stream());
    ArmAgain(*request, ECANCELED);
    return true;
  });
}

void ReceivePath::CopyOut(uint64_t count) {
  std::vector<ReceiveRequest*> unread;
  for (ReceiveRequest* request = requests_; request != nullptr; request = request->next_) {
    if (!request->unread_.empty()) unread.push_back(request);
  }
  std::sort(unread.begin(), unread.end(), [](ReceiveRequest* a, ReceiveRequest* b) {
    return a->unread_.front()->issued_at < b->unread_.front()->issued_at;
  });
  for (ReceiveRequest* request : unread) {
    count -= CopyOutOf(*request, count);
    if (count == 0) return;
  }
}

uint64_t ReceivePath::CopyOutOf(ReceiveRequest& request, uint64_t count) {
  RecordQueue& unread = request.unread_;
  RecordQueue before;
  before.Append(unread);
  uint64_t copied = 0;
  uint64_t copied_bytes = 0;
  while (!before.empty()) {
    BufferRecord* record = before.Pop();
    if (copied < count && record->ledger != nullptr) {
      BufferRecord* copy = NewHeapRecord(record->bytes);
      copy->issued_at = record->issued_at;
      copy->copied = record->copied;
      DropReference(std::exchange(record, copy));
      ++copied;
      copied_bytes += copy->bytes.size();
      ZCRX_PROBE2(copied_out, request.account_->stream(), copy->bytes.size());
    }
    unread.Push(record);
  }
  request.copies_ += copied;
  request.copied_out_fragments_ += copied;
  request.copied_out_bytes_ += copied_bytes;
  pressure_.copied_out_fragments += copied;
  pressure_.copied_out_bytes += copied_bytes;
  return copied;
}

std::vector<BufferHolder> ReceivePath::holders() const {
  const auto now = std::chrono::steady_clock::now();
  std::vector<BufferHolder> holders;
  for (const BufferLedger::Held& held : ledger().ListHeld()) {
    holders.push_back(
        {.stream = held.stream, .pieces = held.pieces, .bytes = held.bytes, .oldest_age = now - held.oldest});
  }
  std::sort(holders.begin(), holders.end(),
            [](const BufferHolder& a, const BufferHolder& b) { return a.oldest_age > b.oldest_age; });
  return holders;
}

uint64_t ReceivePath::activity() const {
  return ledger().issued() + relayed_fragments_ + ledger().settled() + rearms_no_space_ + rearms_no_buffer_ +
         rearms_resumed_ + pressure_.rises + pressure_.pauses;
}

size_t ReceivePath::FindHolders(std::span<StatsHolder> most) const {
  size_t count = 0;
  for (const Account* account = ledger().accounts().first(); account != nullptr; account = account->next()) {
    const uint64_t pieces = account->pieces();
    if (pieces == 0 || (count == most.size() && pieces <= most.back().pieces)) continue;
    if (count < most.size()) ++count;
    size_t place = count - 1;
    for (; place > 0 && most[place - 1].pieces < pieces; --place) most[place] = most[place - 1];
    most[place] = {.stream = account->stream(), .pieces = pieces};
  }
  return count;
}

// -----------------------------------------------------------------------------

bool ReceivePath::PrepareToSleep() {
  // Returns that come from other threads while this one sleeps are of use only
  // if somebody waits for a buffer, or the NIC is about to run out of them: it
  // would drop what arrives, and no completion would ever wake us.
  const bool low = ledger().out() > pieces() / 2;
  return to_arm_.empty() && ledger().PrepareToSleep(low || !starved_.empty());
}

void ReceivePath::AddStats(RuntimeStats& stats) const {
  stats.receive_completions += completions_;
  stats.bytes_received += ledger().issued_bytes() + relayed_bytes_;
  stats.fragments_received += ledger().issued() + relayed_fragments_;
  if (tells_copied_) {
    stats.copied_bytes = ledger().copied_bytes() + relayed_bytes_;
    stats.copied_fragments = ledger().copied() + relayed_fragments_;
  }
  stats.rearms_no_space += rearms_no_space_;
  stats.rearms_no_buffer += rearms_no_buffer_;
  stats.rearms_after_bytes += rearms_after_bytes_;
  stats.rearms_interrupted += rearms_interrupted_;
  stats.rearms_resumed += rearms_resumed_;
  stats.pool_pieces = pieces();
  stats.buffers_out = ledger().out();
  stats.buffers_out_peak = ledger().out_peak();
  stats.pressure = pressure_;
  stats.pressure.paused = paused_.size();
}

void ReceivePath::Timer::Start(std::chrono::nanoseconds duration) {
  duration_ = ToTimespec(duration);
  running_ = true;
  io_uring_sqe* entry = path_.ring_.Prepare(this);
  entry->opcode = IORING_OP_TIMEOUT;
  entry->fd = -1;
  entry->addr = reinterpret_cast<uint64_t>(&duration_);
  entry->len = 1;
}

void ReceivePath::Timer::OnCompletion(Completion) {
  running_ = false;
  path_.EndWaits();
}

}  // namespace zcrx::inline v0::internal
