// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/queue_share.h"

#include <unistd.h>

#include <utility>

#include "lib/ring/rbuf_ring.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/interface_queue.h"

namespace zcrx::inline v0 {
namespace internal {
namespace {

// Room for the refill ring's head and tail before its entries. Kernels use 64 to
// 128 bytes; where the entries really start is in the offsets they return.
size_t HeaderBytes() { return PageBytes(); }

size_t StatsOffset(const RingEntries& entries) {
  return HeaderBytes() + entries.refill * sizeof(uapi::Rqe) +
         (entries.rbuf > 0 ? RbufRing::BytesFor(entries.rbuf) : 0);
}

}  // namespace

QueueMemory::QueueMemory(PoolRegion pool, const RingEntries& entries, bool shared)
    : region(std::move(pool)),
      stats_offset(StatsOffset(entries)),
      rings(region.memory.memory_fd() < 0 ? Mapping::Map(stats_offset + sizeof(uapi::Stats))
                                          : Mapping::MapShareable(stats_offset + sizeof(uapi::Stats))),
      refill(shared) {}

QueueMemory::QueueMemory(PoolRegion pool, Mapping rings_of_other, size_t stats_offset_of_other)
    : region(std::move(pool)),
      stats_offset(stats_offset_of_other),
      rings(std::move(rings_of_other)),
      refill(/*shared=*/false) {}

void QueueShareState::Offer(std::shared_ptr<QueueMemory> memory, std::string name, int fd) {
  memory_ = std::move(memory);
  name_ = std::move(name);
  fd_ = fd;
}

void QueueShareState::Leave() {
  const std::lock_guard lock(mutex_);
  // The descriptor holds the queue as a ring does.
  if (--users_ == 0) Close();
}

void QueueShareState::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  memory_ = nullptr;
}

}  // namespace internal

QueueShare::QueueShare(uint32_t runtimes) : state_(std::make_shared<internal::QueueShareState>(runtimes)) {}

}  // namespace zcrx::inline v0
