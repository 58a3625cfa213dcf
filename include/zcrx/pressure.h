// SPDX-License-Identifier: Apache-2.0
//
// Pressure: a few streams must not starve the others of a queue. A stream with
// more unread buffers than its quota is not received from until they are taken, so
// that TCP closes the window of that peer and of no other. When much of the pool
// region is taken, above the high watermark, the runtime does more, in this order:
// what the application holds counts towards the quotas, too; if that is not
// enough, the oldest unread buffers are copied to the heap, and their pieces go
// back; and the application is told:
//
//   zcrx::Task<void> ShedLoad(zcrx::Runtime& runtime) {
//     while (true) {
//       absl::StatusOr<zcrx::Pressure> pressure = co_await runtime.PressureChange();
//       if (!pressure.ok()) co_return;
//       if (*pressure == zcrx::Pressure::kHigh) DropWhatCanBeDropped();
//     }
//   }
//
// At the low watermark all of it is undone. RuntimeStats::pressure counts each
// step; Runtime::holders() says who has the pieces.
#ifndef ZCRX_PRESSURE_H_
#define ZCRX_PRESSURE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace zcrx::inline v0 {

enum class Pressure { kNone, kHigh };

struct PressureOptions {
  // False: nothing is done; who holds all pieces stops all.
  bool enabled = true;
  // Parts of the region that are taken: pressure begins above the high watermark,
  // and ends at the low one. 0 <= low_watermark <= high_watermark <= 1, or
  // Runtime::Create() gives InvalidArgument.
  double high_watermark = 0.75;
  double low_watermark = 0.5;
  // How much of the region one stream may have, in bytes of whole pieces: what has
  // not been taken yet, and under pressure also what the application holds. What
  // lies in the socket's receive buffer takes pieces too, so that one is limited
  // to the same (SO_RCVBUF; without CAP_NET_ADMIN at most net.core.rmem_max).
  // 0: an eighth of the region, at most 8 MiB.
  size_t stream_quota = 0;
  // Whether unread buffers may be copied to the heap.
  bool copy_out = true;
};

// Counts since the runtime was created, but for `now` and `paused`.
struct PressureStats {
  Pressure now = Pressure::kNone;
  uint64_t rises = 0;   // times it became high
  uint64_t pauses = 0;  // times a stream over its quota was not received from any more
  uint64_t paused = 0;  // streams of which that is so now
  // Unread fragments that were copied to the heap, so that their pieces could go back.
  uint64_t copied_out_fragments = 0;
  uint64_t copied_out_bytes = 0;
};

// A stream, open or not, that has pieces of the region.
struct BufferHolder {
  uint64_t stream = 0;  // Stream::id()
  uint64_t pieces = 0;
  uint64_t bytes = 0;
  std::chrono::nanoseconds oldest_age = {};  // since the oldest of them arrived, or up to 0.3 s more
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_PRESSURE_H_
