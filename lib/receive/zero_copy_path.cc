// SPDX-License-Identifier: Apache-2.0
#include "lib/receive/zero_copy_path.h"

#include <cerrno>
#include <utility>

#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::internal {
namespace {

// With waits of up to a second, about half a minute without any piece coming back.
constexpr uint32_t kMostWaits = 40;

}  // namespace

// -ENOMEM: no piece was free for bytes that the kernel must copy.
ZeroCopyPath::ZeroCopyPath(Ring& ring, std::unique_ptr<InterfaceQueue> queue)
    : ReceivePath(ring, ENOMEM, kMostWaits,
                  /*tells_copied=*/queue->completion() == CompletionRing::kRbufRing),
      queue_(std::move(queue)) {}

void ZeroCopyPath::FillRequest(io_uring_sqe& entry) {
  entry.opcode = uapi::kOpRecvZc;
  entry.ioprio = IORING_RECV_MULTISHOT;  // the only kind there is
  // The field is zcrx_ifq_idx in newer headers; it shares its place with file_index.
  entry.file_index = queue_->id();
}

bool ZeroCopyPath::TakeFragments(Completion completion, Account* account, RecordQueue& fragments) {
  // Only a completion with F_MORE tells of bytes. The last one has offset 0, which
  // is a valid offset: never make a record of it.
  if (!completion.more()) return true;
  return queue_->Take(completion, account, fragments);
}

void ZeroCopyPath::AddStats(RuntimeStats& stats) const {
  ReceivePath::AddStats(stats);
  stats.interface_queue = queue_->stats();
  stats.completion_bytes += queue_->rbuf_bytes();
  // The kernel counts for the queue.
  if (tells_copied() || queue_->shared()) return;
  stats.copied_bytes = stats.interface_queue->copied_bytes;
  stats.copied_fragments = stats.interface_queue->copied_fragments;
}

}  // namespace zcrx::inline v0::internal
