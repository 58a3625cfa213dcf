// SPDX-License-Identifier: Apache-2.0
#include "lib/net/send_operation.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include "lib/net/stream_state.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// Pieces per request; a longer chain takes several.
constexpr size_t kMostIovecs = 128;

}  // namespace

SendOperation::SendOperation(StreamState* stream, size_t size, Extent extent)
    : stream_(stream), extent_(extent), size_(size) {
  if (stream_ != nullptr) stream_->AddSend();
}

SendOperation::~SendOperation() {
  if (stream_ != nullptr) stream_->RemoveSend();
}

SendOperation* SendOperation::OfBytes(StreamState* stream, std::span<const std::byte> bytes, Extent extent) {
  auto* operation = new SendOperation(stream, bytes.size(), extent);
  operation->bytes_ = bytes;
  return operation;
}

SendOperation* SendOperation::OfChain(StreamState* stream, BufferChain chain) {
  auto* operation = new SendOperation(stream, chain.size(), Extent::kAll);
  operation->chain_ = std::move(chain);
  operation->zero_copy_ = stream != nullptr && stream->MaySendZeroCopy() &&
                          operation->size_ >= stream->runtime()->zero_copy_send_bytes();
  return operation;
}

SendOperation* SendOperation::InPlace(StreamState* stream, std::span<const std::byte> bytes) {
  SendOperation* operation = OfBytes(stream, bytes, Extent::kAll);
  operation->zero_copy_ = stream != nullptr && stream->MaySendZeroCopy();
  operation->in_place_ = true;
  return operation;
}

bool SendOperation::Start(bool cancelled) {
  if (cancelled) {
    Finish(ErrnoStatus(ECANCELED, "send"));
  } else if (stream_ == nullptr || !stream_->open()) {
    Finish(ErrnoStatus(ECANCELED, "send: the stream is closed"));
  } else if (stream_->sending() != nullptr) {
    Finish(
        absl::FailedPreconditionError("send: the stream is sending already; await one send before the next"));
  } else if (size_ == 0) {
    Finish(absl::OkStatus());
  } else {
    stream_->set_sending(this);
    Submit();
  }
  return !finished_;
}

void SendOperation::Submit() {
  FillIovecs();
  zero_copy_request_ = zero_copy_;
  io_uring_sqe* entry = stream_->runtime()->ring().Prepare(this);
  entry->fd = stream_->fd();
  // With MSG_WAITALL the kernel itself goes on after a partial send.
  entry->msg_flags = MSG_NOSIGNAL | (extent_ == Extent::kAll ? MSG_WAITALL : 0);
  FillRequest(*entry);
  ++in_flight_;
}

void SendOperation::FillRequest(io_uring_sqe& entry) {
  RuntimeCore& runtime = *stream_->runtime();
  const bool one = iovecs_.size() == 1;
  if (one) {
    // Spares the kernel a message header and a list to read.
    entry.opcode = zero_copy_ ? IORING_OP_SEND_ZC : IORING_OP_SEND;
    entry.addr = reinterpret_cast<uint64_t>(iovecs_[0].iov_base);
    entry.len = static_cast<uint32_t>(std::min<size_t>(iovecs_[0].iov_len, INT_MAX));
  } else {
    entry.opcode = zero_copy_ ? IORING_OP_SENDMSG_ZC : IORING_OP_SENDMSG;
    entry.addr = reinterpret_cast<uint64_t>(&message_);
    entry.len = 1;
  }
  fixed_request_ = fixed_parts_request_ = false;
  if (!zero_copy_) return;
  if (runtime.send_abilities().report_usage) entry.ioprio = uapi::kSendZcReportUsage;
  if (!one && !runtime.send_abilities().fixed_parts) return;
  const std::optional<uint16_t> buffer = runtime.fixed_buffers().Find(iovecs_);
  if (!buffer.has_value()) return;
  entry.ioprio |= IORING_RECVSEND_FIXED_BUF;
  entry.buf_index = *buffer;
  fixed_request_ = true;
  fixed_parts_request_ = !one;
}

bool SendOperation::AskForLess() {
  RuntimeCore::SendAbilities& abilities = stream_->runtime()->send_abilities();
  if (fixed_parts_request_) {
    abilities.fixed_parts = false;
  } else if (zero_copy_request_ && abilities.report_usage) {
    abilities.report_usage = false;
  } else {
    return false;
  }
  return true;
}

void SendOperation::FillIovecs() {
  if (chain_.empty()) {
    const std::span<const std::byte> rest = bytes_.subspan(sent_);
    iovecs_.assign(1, {.iov_base = const_cast<std::byte*>(rest.data()), .iov_len = rest.size()});
  } else {
    iovecs_.resize(std::min(chain_.buffer_count(), kMostIovecs));
    iovecs_.resize(chain_.ToIovecs(iovecs_, sent_));
  }
  message_ = {};
  message_.msg_iov = iovecs_.data();
  message_.msg_iovlen = iovecs_.size();
}

void SendOperation::OnCompletion(Completion completion) {
  --in_flight_;
  // The notification of a zero-copy send: the kernel is done with the memory.
  if ((completion.flags & IORING_CQE_F_NOTIF) == 0) {
    if (completion.more()) ++in_flight_;  // its notification is still to come
    OnResult(completion.res);
  } else if (stream_->runtime()->send_abilities().report_usage) {
    stream_->OnZeroCopySent((static_cast<uint32_t>(completion.res) & uapi::kNotifUsageZcCopied) != 0);
  }
  if (finished_) Resume();
  DeleteIfUnused();
}

void SendOperation::OnResult(int result) {
  if (result >= 0) {
    sent_ += static_cast<size_t>(result);
    stream_->stats().bytes_sent += static_cast<uint64_t>(result);
    if (zero_copy_request_) stream_->stats().bytes_sent_zero_copy += static_cast<uint64_t>(result);
    if (fixed_request_) stream_->stats().bytes_sent_fixed += static_cast<uint64_t>(result);
  } else if (zero_copy_request_ && (result == -ENOBUFS || result == -ENOMEM || result == -EOPNOTSUPP)) {
    // No memory for the notification (net.core.optmem_max), or a socket that cannot: a copy does.
    zero_copy_ = false;
  } else if (result == -EINVAL && AskForLess()) {
    // The next request does.
  } else if (result != -EINTR && result != -EAGAIN) {
    Finish(ErrnoStatus(-result, "send"));
    return;
  }
  if (sent_ == size_ || (extent_ == Extent::kSome && sent_ > 0)) {
    Finish(absl::OkStatus());
  } else if (cancelled_) {
    Finish(ErrnoStatus(ECANCELED, "send"));
  } else {
    Submit();
  }
}

void SendOperation::Finish(const absl::Status& status) {
  finished_ = true;
  status_ = status;
  if (stream_ != nullptr && stream_->sending() == this) stream_->set_sending(nullptr);
  Resume();
}

void SendOperation::Resume() {
  if (in_place_ && in_flight_ > 0) return;  // the notifications are still to come
  if (waiter_) stream_->runtime()->Schedule(std::exchange(waiter_, nullptr));
}

absl::StatusOr<size_t> SendOperation::Result() const {
  if (!status_.ok()) return status_;
  return sent_;
}

void SendOperation::Cancel() {
  if (finished_) return;
  cancelled_ = true;
  stream_->runtime()->ring().PrepareCancel(this);
}

void SendOperation::Release() {
  released_ = true;
  DeleteIfUnused();
}

void SendOperation::DeleteIfUnused() {
  if (released_ && in_flight_ == 0) delete this;
}

}  // namespace zcrx::inline v0::internal
