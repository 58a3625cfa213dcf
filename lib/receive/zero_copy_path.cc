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
    : ReceivePath(ring, ENOMEM, kMostWaits), queue_(std::move(queue)) {}

void ZeroCopyPath::FillRequest(io_uring_sqe& entry) {
  entry.opcode = uapi::kOpRecvZc;
  entry.ioprio = IORING_RECV_MULTISHOT;  // the only kind there is
  // The field is zcrx_ifq_idx in newer headers; it shares its place with file_index.
  entry.file_index = queue_->id();
}

BufferRecord* ZeroCopyPath::TakeBytes(const Completion& completion, bool& malformed) {
  // Only a completion with F_MORE carries a buffer. The last one has none, and
  // offset 0, which is a valid offset: never make a record of it.
  if (!completion.more()) return nullptr;
  if (completion.res <= 0) {
    malformed = true;
    return nullptr;
  }
  BufferRecord* record = queue_->Receive(completion.zc_offset, static_cast<uint32_t>(completion.res));
  malformed = record == nullptr;
  return record;
}

void ZeroCopyPath::AddStats(RuntimeStats& stats) const {
  ReceivePath::AddStats(stats);
  stats.interface_queue = queue_->stats();
}

}  // namespace zcrx::inline v0::internal
