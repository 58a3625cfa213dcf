// SPDX-License-Identifier: Apache-2.0
//
// An interface queue (ifq) is one rx queue of one network interface, bound to one
// runtime: the NIC writes the payload of its packets into the pool region, and
// the runtime's streams get it in place. Say which queue and how much memory:
//
//   zcrx::RuntimeOptions options;
//   options.interface_queue = {.interface = "eth0", .rx_queue = 1, .pool = {.bytes = 256 << 20}};
//   absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
//
// The NIC must split headers from payload, and the connections' packets must be
// steered to that queue, by a flow rule or an RSS context. To have all that done,
// and undone at the end, say what is to arrive there instead of where:
//
//   options.interface_queue = {.interface = "eth0", .reserve = {5001}};
#ifndef ZCRX_INTERFACE_QUEUE_H_
#define ZCRX_INTERFACE_QUEUE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zcrx::inline v0 {

namespace internal {
class InterfaceQueue;
class QueueShareState;
}  // namespace internal

enum class PoolPages {
  kNormal,
  kTransparentHuge,  // aligned to 2 MiB and advised; the kernel may still use small pages
  kHuge,             // hugetlb pages of 2 MiB, which must have been reserved (vm.nr_hugepages)
};

struct PoolOptions {
  // Size of the region in bytes; rounded up to whole pages of its kind. Several
  // times (NIC ring + page pool) is the least that performs; a region smaller
  // than the traffic in flight makes the NIC drop, and TCP retransmit.
  size_t bytes = 64u << 20;
  PoolPages pages = PoolPages::kNormal;
  // Size of one piece in bytes: a power of two, at least a page. On the zero-copy
  // path anything but a page needs Linux 7.0, a NIC that can, and memory that is
  // contiguous enough (kHuge).
  size_t buffer_bytes = 4096;
  // NUMA node of the memory. Absent: the node of the NIC where it has one, else the kernel's choice.
  std::optional<int> numa_node = std::nullopt;
};

// Where the kernel says which bytes have arrived.
enum class CompletionRing {
  // The rbuf ring where the kernel has it (KernelFeatures::rbuf_ring), else the completion queue.
  kAuto,
  // The io_uring's completion queue, whose entries are then 32 bytes, for requests of all kinds: one
  // for each fragment. Linux 6.15 and later.
  kMainCq,
  // A ring of the interface queue's own with 16 bytes for each fragment, and one completion of 16 bytes
  // for all fragments that a stream gets at a time. Tells which bytes were copied
  // (StreamStats::copied_bytes). In kernel-patches/linux-6.12; elsewhere zero copy is refused (EOPNOTSUPP).
  kRbufRing,
};

// Lets several runtimes, on a thread each, receive from one interface queue, where the traffic of a queue is
// too much for one thread: Linux 6.19 and later, and kernel-patches/linux-6.12. All of them get a copy of it:
//
//   zcrx::RuntimeOptions options;
//   options.interface_queue = {.interface = "eth0", .rx_queue = 1, .share = zcrx::QueueShare(4)};
//   // on each of four threads: zcrx::Runtime::Create(options)
//
// The first that is created registers the queue, the others import it. They may end in any order, the region
// and the queue with the last of them. Region and refill ring are of all together: giving back takes a lock
// per turn, and each has its part of the region to go by (watermarks of PressureOptions, stream_quota).
// Completions come by the main queue. Server does all this: ServerOptions::threads_per_queue.
class QueueShare {
 public:
  // For so many runtimes at a time; one more gets FAILED_PRECONDITION.
  explicit QueueShare(uint32_t runtimes);

 private:
  friend class internal::InterfaceQueue;
  std::shared_ptr<internal::QueueShareState> state_;
};

struct InterfaceQueueOptions {
  // The number of a queue that the process has inherited (zcrx/inherit.h), from 0. Then nothing else of these
  // options counts, nor do RuntimeOptions' sizes of the rings: whoever registered it has chosen.
  std::optional<uint32_t> inherited = std::nullopt;
  // Name of the interface, in the network namespace of the calling thread.
  std::string interface = "";
  // Index of the rx queue.
  uint32_t rx_queue = 0;
  // TCP ports of this host. If there are any, Runtime::Create() reserves a queue of the NIC for them
  // (zcrx/nic_reservation.h): it sets the NIC up, chooses the queue (so `rx_queue` stays 0), and the end of
  // the runtime undoes it, also if it had to wait for the kernel to free the queue. Errors as
  // NicReservation::Make(). A Server reserves by itself: ServerOptions::reserve_queues.
  std::vector<uint16_t> reserve = {};
  PoolOptions pool = {};
  // Entries of the refill ring, rounded up to a power of two,
  // at most 32768. 0: one per piece, up to the most.
  uint32_t refill_entries = 0;
  CompletionRing completion = CompletionRing::kAuto;
  // Entries of the rbuf ring, where it is used: at least the fragments that may arrive in one turn of the
  // loop. Rounded and limited like refill_entries. Too few cost speed, never data
  // (RuntimeStats::rearms_no_space). 0: one per piece, up to the most.
  uint32_t rbuf_entries = 0;
  // A queue whose previous owner has just died is freed by the kernel a little
  // later, and answers EEXIST until then. Registration is retried for so long.
  std::chrono::milliseconds busy_timeout = std::chrono::seconds(10);
  // Other runtimes receive from the queue as well. Of those that come later than the first only `interface`
  // and `rx_queue` count, and must be the same. EOPNOTSUPP on kernels that cannot.
  std::optional<QueueShare> share = std::nullopt;
};

// Counts since registration, but for what is said to be of now. `buffers_...` and `refill_overflow_peak` are
// those of the runtime, all else is of the queue, also if it is shared.
struct InterfaceQueueStats {
  uint64_t pool_bytes = 0;   // size of the region
  uint64_t pool_pieces = 0;  // the same in pieces
  uint64_t buffers_out = 0;  // fragments given to streams and not yet given back; now
  uint64_t buffers_out_peak = 0;
  uint64_t buffers_received = 0;      // fragments
  uint64_t buffers_returned = 0;      // of these, given back
  uint64_t refill_lag = 0;            // entries of the refill ring that the kernel has not taken yet; now
  uint64_t refill_overflow_peak = 0;  // most returns that ever waited because the refill ring was full
  // What the kernel counts as copied into the region (Linux >= 7.2 and kernel-patches/linux-6.12; absent
  // elsewhere). Mainline leaves out bytes that arrived in the linear part of a packet.
  // RuntimeStats::copied_bytes is exact where it can be.
  std::optional<uint64_t> copied_fragments;
  std::optional<uint64_t> copied_bytes;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_INTERFACE_QUEUE_H_
