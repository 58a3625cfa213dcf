// SPDX-License-Identifier: Apache-2.0
//
// How several runtimes come to receive from one interface queue: the first of them
// registers it, the others import it from the first.
#ifndef ZCRX_LIB_IFQ_QUEUE_SHARE_H_
#define ZCRX_LIB_IFQ_QUEUE_SHARE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/mapping.h"
#include "lib/ifq/refill.h"

namespace zcrx::inline v0::internal {

// Asked of the kernel.
struct RingEntries {
  uint32_t refill;
  uint32_t rbuf;  // 0: no rbuf ring
};

// The memory of an interface queue, for as long as a ring or a buffer needs it.
struct QueueMemory {
  // `rings` is empty if there is not enough memory. If the region is shareable they are, too.
  QueueMemory(PoolRegion pool, const RingEntries& entries, bool shared);
  // What another process has.
  QueueMemory(PoolRegion pool, Mapping rings_of_other, size_t stats_offset_of_other);

  GuardedRegion region;
  const size_t stats_offset;
  Mapping rings;  // refill ring, rbuf ring, and at stats_offset the kernel's counts
  Refill refill;
  uint64_t area_token = 0;
};

// Any thread.
class QueueShareState {
 public:
  explicit QueueShareState(uint32_t runtimes) : runtimes_(runtimes) {}
  ~QueueShareState() { Close(); }
  QueueShareState(const QueueShareState&) = delete;
  QueueShareState& operator=(const QueueShareState&) = delete;

  uint32_t runtimes() const { return runtimes_; }

  // To be held while one comes. Registration is part of it: the others wait for the first.
  std::mutex& mutex() { return mutex_; }

  // --- With the mutex held.
  bool full() const { return users_ == runtimes_; }
  // Null: the next one registers.
  const std::shared_ptr<QueueMemory>& memory() const { return memory_; }
  // The queue, for people.
  const std::string& name() const { return name_; }
  int fd() const { return fd_; }
  // Takes over the descriptor of the exported queue.
  void Offer(std::shared_ptr<QueueMemory> memory, std::string name, int fd);
  void Join() { ++users_; }

  // One has ended. Without users the share begins anew.
  void Leave();

 private:
  void Close();

  const uint32_t runtimes_;
  std::mutex mutex_;
  // Guarded by it:
  uint32_t users_ = 0;
  std::shared_ptr<QueueMemory> memory_;
  std::string name_;
  int fd_ = -1;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_QUEUE_SHARE_H_
