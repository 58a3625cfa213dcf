// SPDX-License-Identifier: Apache-2.0
//
// One registered interface queue: region, ledger, refill ring and rbuf ring together.
#ifndef ZCRX_LIB_IFQ_INTERFACE_QUEUE_H_
#define ZCRX_LIB_IFQ_INTERFACE_QUEUE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/handover.h"
#include "lib/ifq/queue_share.h"
#include "lib/ifq/take.h"
#include "lib/ring/completion.h"
#include "lib/ring/rbuf_ring.h"
#include "lib/ring/ring.h"
#include "lib/ring/waker.h"
#include "zcrx/features.h"
#include "zcrx/interface_queue.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::internal {

// Belongs to the thread of its ring. There is no unregistration: the kernel
// frees the queue when the ring is closed, which must come before this ends.
class InterfaceQueue {
 public:
  // Whether its completions come by the rbuf ring. Else the io_uring must have wide
  // completions: ask before it is created.
  static bool UsesRbufRing(const InterfaceQueueOptions& options, const KernelFeatures& features) {
    // It would be the first one's alone.
    return options.completion != CompletionRing::kMainCq && features.rbuf_ring && !options.share.has_value();
  }

  // Maps the region and registers it, or imports what another ring has registered,
  // if the options share it. While the queue is busy it tries again,
  // for options.busy_timeout. Errors as RegisterError() has them; EOPNOTSUPP if the
  // kernel lacks the ring that the options ask for.
  static absl::StatusOr<std::unique_ptr<InterfaceQueue>> Register(Ring& ring,
                                                                  const InterfaceQueueOptions& options,
                                                                  const KernelFeatures& features,
                                                                  std::shared_ptr<Waker> waker);
  // The same for another process, by memory that it can map; `ring` was created disabled.
  static absl::StatusOr<std::unique_ptr<InterfaceQueue>> Prepare(Ring& ring,
                                                                 const InterfaceQueueOptions& options,
                                                                 const KernelFeatures& features,
                                                                 std::shared_ptr<Waker> waker);
  // What that process makes of it, whose `ring` is the one of `taken`. Closes its descriptors, but for the
  // ring's.
  static absl::StatusOr<std::unique_ptr<InterfaceQueue>> Adopt(Ring& ring, const TakenQueue& taken,
                                                               const KernelFeatures& features,
                                                               std::shared_ptr<Waker> waker);
  ~InterfaceQueue();

  // For Prepare(): what the other process must know, and by which descriptors it maps the memory.
  QueueDescription Describe() const;
  int rings_fd() const { return memory_->rings.memory_fd(); }
  int region_fd() const { return ledger_->region().memory_fd(); }

  // What RECV_ZC names the queue by.
  uint32_t id() const { return id_; }
  // Where it is; without index or name if that cannot be seen from this network namespace.
  const netdev::Interface& interface() const { return interface_; }
  uint32_t rx_queue() const { return rx_queue_; }

  // Appends the fragments that a completion with more() tells of to `fragments`, put down to `account`.
  // False if the kernel named bytes outside the region; then there are none.
  bool Take(Completion completion, Account* account, RecordQueue& fragments) {
    if (completion.res <= 0) return false;
    const auto count_or_length = static_cast<uint32_t>(completion.res);
    // Apart, as its loop wants more registers than the other way, which would have to save them, too.
    if (rbuf_.has_value()) return TakeFromRbufRing(count_or_length, account, fragments);
    // Copied or not: these completions do not tell.
    return TakeFragment(*ledger_, memory_->area_token, completion.zc_offset, count_or_length,
                        /*copied=*/false, fragments, account);
  }

  // Of the region, as many as this ring may count on: its part if the queue is shared.
  uint64_t pieces() const {
    return ledger_->region().pieces() / (share_ != nullptr ? share_->runtimes() : 1);
  }
  bool shared() const { return share_ != nullptr; }

  // Gives the kernel what has been returned, as far as the refill ring has room;
  // the rest waits for the next time. Returns how many were given.
  uint32_t GiveBack();

  // Makes the kernel take all of the refill ring now; it else does so when the
  // NIC runs out of pieces. True if there was anything to take. Kernels before
  // 6.19 cannot: then it is always false.
  bool FlushRefillRing();

  // Whether the last packet of the socket came by this queue, as its NAPI instance tells. True if the
  // kernel or the driver does not tell.
  bool ArrivesHere(int fd);

  BufferLedger& ledger() { return *ledger_; }
  CompletionRing completion() const {
    return rbuf_.has_value() ? CompletionRing::kRbufRing : CompletionRing::kMainCq;
  }
  // Bytes that the kernel has written into the rbuf ring and that have been read.
  uint64_t rbuf_bytes() const { return rbuf_.has_value() ? rbuf_->popped() * sizeof(uapi::RbufCqe) : 0; }
  InterfaceQueueStats stats() const;

 private:
  InterfaceQueue(Ring& ring, std::shared_ptr<QueueMemory> memory, std::shared_ptr<Waker> waker,
                 const KernelFeatures& features);

  static absl::StatusOr<std::unique_ptr<InterfaceQueue>> RegisterNew(Ring& ring,
                                                                     const InterfaceQueueOptions& options,
                                                                     const KernelFeatures& features,
                                                                     std::shared_ptr<Waker> waker,
                                                                     bool shareable);
  static absl::StatusOr<std::unique_ptr<InterfaceQueue>> RegisterShared(Ring& ring,
                                                                        const InterfaceQueueOptions& options,
                                                                        const KernelFeatures& features,
                                                                        std::shared_ptr<Waker> waker);

  // One try. Returns 0 or the errno.
  int TryRegister(uint32_t interface_index, uint32_t rx_queue, const RingEntries& entries);
  bool TakeFromRbufRing(uint32_t count, Account* account, RecordQueue& fragments);

  // Where the kernel put the rings. False if it cannot be there.
  bool FindRings();
  // The descriptor by which other rings import the queue; it is the caller's.
  absl::StatusOr<int> Export() const;
  absl::Status Import(int fd);
  // Where the queue is.
  void Locate(const netdev::Interface& interface, uint32_t rx_queue);

  // The number of the queue's NAPI instance; 0 if unknown.
  uint32_t ReadNapiId() const;

  Ring& ring_;
  const bool can_flush_;
  const bool has_copy_stats_;
  const bool knows_large_buffers_;
  const std::shared_ptr<QueueMemory> memory_;
  BufferLedger::Handle ledger_;
  std::shared_ptr<QueueShareState> share_;  // null: the queue is this ring's alone
  uapi::IfqReg registration_ = {};          // as the kernel has filled it in
  uapi::RbufCqReg rbuf_registration_ = {};
  std::optional<RbufRing> rbuf_;
  netdev::Interface interface_;
  uint32_t rx_queue_ = 0;
  uint32_t napi_id_ = 0;  // as last read
  uint32_t id_ = 0;
  uint64_t overflow_peak_ = 0;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_INTERFACE_QUEUE_H_
