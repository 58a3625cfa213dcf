// SPDX-License-Identifier: Apache-2.0
//
// What each runtime of the machine does, for others to look at: `zcrxctl top`,
// exporters. A runtime keeps a page of counts in a memory file, some times per
// second, which takes it no system call; who may look into a process reads it.
//
//   for (const zcrx::PublishedStats& published : zcrx::ReadStatsPages()) {
//     if (!published.page.ok()) continue;  // of another version, or no page at all
//     std::cout << published.pid << ": " << published.page->bytes_received << " bytes\n";
//   }
//
// To read it in another language: the file is /proc/PID/fd/N, a link to
// "/memfd:zcrx-stats (deleted)" (ptrace access, as for the process's environment: its
// user, or root), and begins with a StatsPage, in the machine's byte order. Whoever
// runs a process can write into such a file what he likes: open it without blocking,
// see that it has the seal F_SEAL_SHRINK before it is mapped, and believe no count.
// It goes with the runtime, however that ends.
//
// The page is under a sequence lock. Read `sequence` (acquire); if it is odd, begin
// again. Copy the page, each word of eight bytes by an acquire load; read `sequence`
// once more: if it has changed, begin again.
#ifndef ZCRX_STATS_PAGE_H_
#define ZCRX_STATS_PAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "absl/status/statusor.h"

namespace zcrx::inline v0 {

// A stream, open or not, that has pieces of the region.
struct StatsHolder {
  uint64_t stream = 0;  // Stream::id()
  uint64_t pieces = 0;
};

// Version 1 may get more fields at its end, and `bytes` tells if they are there; another version has nothing
// but the first four fields in common with it. Counts are since the runtime was created; those that are of
// now say so. No padding: the layout is that of the declaration.
struct StatsPage {
  static constexpr uint64_t kMagic =
      0x5441'5453'5852'435a;  // "ZCRXSTAT" in memory, on little-endian machines
  static constexpr uint32_t kVersion = 1;
  static constexpr uint64_t kNotCounted = UINT64_MAX;  // the kernel does not tell
  static constexpr size_t kMostHolders = 8;

  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t bytes = 0;     // of the page
  uint64_t sequence = 0;  // odd while it is written

  // --- Who.
  int32_t pid = 0;                 // in its own pid namespace
  uint32_t runtime = 0;            // the number of the runtime in its process, from 1
  uint64_t started_at_ns = 0;      // when it was created; CLOCK_REALTIME
  uint64_t published_at_ns = 0;    // CLOCK_MONOTONIC. Older than a second: nothing has happened since
  uint32_t zero_copy = 0;          // 1; 0: the copy path, and no queue
  uint32_t interface_index = 0;    // 0: not visible from the runtime's network namespace
  std::array<char, 16> name = {};  // of the interface; ends with a zero byte
  uint64_t netns = 0;              // inode of the network namespace, as of /proc/PID/ns/net
  uint32_t rx_queue = 0;
  uint32_t shared = 0;  // 1: other runtimes receive from the queue, too

  // --- The pool region, or the memory of the copy path.
  uint64_t region_bytes = 0;
  uint64_t piece_bytes = 0;
  uint64_t pool_pieces = 0;  // of the runtime; if the queue is shared that is its part
  uint64_t pieces_out = 0;   // of these, those with streams and the application; now. The others are free
  uint64_t pieces_out_peak = 0;
  uint64_t refill_lag = 0;  // given back, and not yet taken by the kernel; now

  // --- What has arrived. Whatever was not copied came without a copy.
  uint64_t bytes_received = 0;
  uint64_t fragments_received = 0;
  uint64_t copied_bytes = 0;      // of these; or kNotCounted. How exact: RuntimeStats
  uint64_t copied_fragments = 0;  // the same

  // --- What went wrong, and was dealt with.
  uint64_t rearms_no_buffer = 0;  // receives that found no piece to copy to
  uint64_t rearms_no_space = 0;   // that found the completion ring full
  uint64_t misplaced_streams = 0;
  uint64_t pressure_high = 0;  // 1: it is; now
  uint64_t pressure_rises = 0;
  uint64_t paused_streams = 0;  // now
  uint64_t copied_out_bytes = 0;

  // --- The streams that have most pieces, the first one most; now.
  uint64_t holder_count = 0;
  std::array<StatsHolder, kMostHolders> holders = {};

  // Bytes without a copy, as far as the kernel tells.
  uint64_t zero_copy_bytes() const {
    if (zero_copy == 0 || copied_bytes == kNotCounted) return zero_copy == 0 ? 0 : bytes_received;
    return bytes_received > copied_bytes ? bytes_received - copied_bytes : 0;
  }
};
static_assert(std::has_unique_object_representations_v<StatsPage>, "no padding");
static_assert(sizeof(StatsPage) == 360 && sizeof(StatsPage) % sizeof(uint64_t) == 0);

struct PublishedStats {
  int pid = 0;  // of the process that has it, in the reader's pid namespace
  // Who has made it, and may have written into it anything: user number, in the reader's user namespace.
  uint32_t uid = 0;
  // Sound in form: the name ends, and no count of holders is beyond their number. Else
  // UNIMPLEMENTED for another version, DATA_LOSS for what is no page, UNAVAILABLE for one that is always
  // being written, or what the kernel answered.
  absl::StatusOr<StatsPage> page;
};

// Of all processes that the caller may look into, by pid and runtime; of each at most 256. Processes that
// come and go meanwhile are there or not. Blocks for as long as it takes to look at each file descriptor of
// these processes; any thread.
std::vector<PublishedStats> ReadStatsPages();

}  // namespace zcrx::inline v0

#endif  // ZCRX_STATS_PAGE_H_
