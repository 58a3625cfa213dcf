// SPDX-License-Identifier: Apache-2.0
#include "lib/receive/copy_path.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

constexpr uint16_t kBufferGroup = 0;
// Limit of IORING_REGISTER_PBUF_RING.
constexpr size_t kMostPieces = 32768;

}  // namespace

absl::StatusOr<std::unique_ptr<CopyPath>> CopyPath::Create(Ring& ring, const PoolOptions& options,
                                                           std::shared_ptr<Waker> waker) {
  PoolOptions limited = options;
  limited.bytes = std::min(options.bytes, kMostPieces * options.buffer_bytes);
  absl::StatusOr<PoolRegion> region = PoolRegion::Map(limited, std::nullopt);
  if (!region.ok()) return region.status();
  std::unique_ptr<CopyPath> path(new CopyPath(ring, *std::move(region), std::move(waker)));
  if (absl::Status registered = path->RegisterBuffers(); !registered.ok()) return registered;
  return path;
}

// -ENOBUFS: all pieces are with the application. Each that comes back can be
// used at once, so a request waits for as long as it takes.
CopyPath::CopyPath(Ring& ring, PoolRegion region, std::shared_ptr<Waker> waker)
    : ReceivePath(ring, ENOBUFS, /*most_waits=*/0, /*tells_copied=*/true),
      ledger_(BufferLedger::Open(std::move(region), std::move(waker))) {
  // Rounding the region up to whole huge pages may have made more of them than can be provided.
  entries_ = std::bit_ceil(static_cast<uint32_t>(std::min(ledger_->region().pieces(), kMostPieces)));
}

absl::Status CopyPath::RegisterBuffers() {
  memory_ = Mapping::Map(entries_ * sizeof(io_uring_buf));
  if (memory_.empty()) return ErrnoStatus(errno, "mapping the ring of provided buffers");
  io_uring_buf_reg request = {};
  request.ring_addr = reinterpret_cast<uint64_t>(memory_.base());
  request.ring_entries = entries_;
  request.bgid = kBufferGroup;
  if (const int result = ring_.Register(IORING_REGISTER_PBUF_RING, &request, 1); result < 0) {
    return ErrnoStatus(-result, "registering the ring of provided buffers");
  }
  const auto pieces = static_cast<uint32_t>(std::min(ledger_->region().pieces(), kMostPieces));
  for (uint32_t piece = 0; piece < pieces; ++piece)
    Provide(static_cast<uint16_t>(piece), static_cast<int>(piece));
  io_uring_buf_ring_advance(provided(), static_cast<int>(pieces));
  return absl::OkStatus();
}

void CopyPath::Provide(uint16_t piece, int position) {
  const PoolRegion& region = ledger_->region();
  io_uring_buf_ring_add(provided(), region.base() + piece * region.piece_bytes(),
                        static_cast<unsigned>(region.piece_bytes()), piece, io_uring_buf_ring_mask(entries_),
                        position);
}

void CopyPath::FillRequest(io_uring_sqe& entry) {
  entry.opcode = IORING_OP_RECV;
  entry.flags = IOSQE_BUFFER_SELECT;
  entry.ioprio = IORING_RECV_MULTISHOT;
  entry.buf_group = kBufferGroup;
}

bool CopyPath::TakeFragments(Completion completion, Account* account, RecordQueue& fragments) {
  if ((completion.flags & IORING_CQE_F_BUFFER) == 0) return true;
  const uint32_t piece = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  const PoolRegion& region = ledger_->region();
  if (piece >= region.pieces() || completion.res < 0 ||
      static_cast<size_t>(completion.res) > region.piece_bytes()) {
    return false;
  }
  if (completion.res == 0) {
    // The end of the stream may come with a piece that was picked in vain.
    Provide(static_cast<uint16_t>(piece), 0);
    io_uring_buf_ring_advance(provided(), 1);
    return true;
  }
  BufferRecord* record = ledger_->Issue(piece * region.piece_bytes(), static_cast<size_t>(completion.res),
                                        piece, /*copied=*/true);
  BufferLedger::Assign(record, account);
  fragments.Push(record);
  return true;
}

uint32_t CopyPath::GiveBack() {
  int position = 0;
  const uint32_t count = ledger_->Settle([&](uint64_t token) {
    Provide(static_cast<uint16_t>(token), position++);
    return true;
  });
  // Stores the tail with release, once: the entries are written before the kernel sees them.
  if (count > 0) io_uring_buf_ring_advance(provided(), static_cast<int>(count));
  return count;
}

}  // namespace zcrx::inline v0::internal
