// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/interface_queue.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/ifq/give_back.h"
#include "lib/ifq/register_error.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/rings.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// Room for the refill ring's head and tail before its entries. Kernels use 64 to
// 128 bytes; where the entries really start is in the offsets they return.
size_t HeaderBytes() { return PageBytes(); }

size_t StatsOffset(uint32_t refill_entries) { return HeaderBytes() + refill_entries * sizeof(uapi::Rqe); }

absl::StatusOr<uint32_t> RefillEntries(const InterfaceQueueOptions& options, const PoolRegion& region) {
  if (options.refill_entries > uapi::kMaxRefillEntries) {
    return absl::InvalidArgumentError(absl::StrCat("InterfaceQueueOptions::refill_entries is ",
                                                   options.refill_entries, "; the kernel takes at most ",
                                                   uapi::kMaxRefillEntries));
  }
  const size_t wanted = options.refill_entries != 0 ? options.refill_entries : region.pieces();
  return std::bit_ceil(static_cast<uint32_t>(std::min<size_t>(wanted, uapi::kMaxRefillEntries)));
}

std::optional<uint64_t> MemlockLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

// What the NIC says of itself now. Best effort: what cannot be read stays absent.
RegisterFacts GatherFacts(const InterfaceQueueOptions& options, const PoolRegion& region,
                          uint32_t refill_entries, const KernelFeatures& features) {
  RegisterFacts facts;
  facts.interface = options.interface;
  facts.rx_queue = options.rx_queue;
  facts.buffer_bytes = region.piece_bytes();
  facts.page_bytes = PageBytes();
  facts.pool_bytes = region.bytes();
  facts.refill_entries = refill_entries;
  facts.kernel_knows_large_buffers = features.large_buffers;
  facts.memlock_limit = MemlockLimit();

  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(options.interface);
  if (!interface.ok()) return facts;
  facts.driver = interface->driver;
  facts.rx_queues = interface->rx_queues;
  facts.xdp_attached = interface->xdp_attached;
  if (const auto rings = netdev::GetRings(*interface); rings.ok()) {
    if (rings->header_split != netdev::HeaderSplit::kUnknown) {
      facts.header_split = rings->header_split == netdev::HeaderSplit::kEnabled;
    }
    facts.header_split_threshold = rings->header_split_threshold;
  }
  return facts;
}

}  // namespace

InterfaceQueue::InterfaceQueue(Ring& ring, PoolRegion region, std::shared_ptr<Waker> waker,
                               const KernelFeatures& features, uint32_t refill_entries)
    : ring_(ring),
      can_flush_(features.flush_refill_ring),
      has_copy_stats_(features.copy_stats),
      knows_large_buffers_(features.large_buffers),
      stats_offset_(StatsOffset(refill_entries)),
      ring_memory_(Mapping::Map(stats_offset_ + sizeof(uapi::Stats))),
      ledger_(BufferLedger::Open(std::move(region), std::move(waker))) {}

InterfaceQueue::~InterfaceQueue() = default;

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::Register(Ring& ring,
                                                                         const InterfaceQueueOptions& options,
                                                                         const KernelFeatures& features,
                                                                         std::shared_ptr<Waker> waker) {
  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(options.interface);
  if (!interface.ok()) return interface.status();
  absl::StatusOr<PoolRegion> region = PoolRegion::Map(options.pool, interface->numa_node);
  if (!region.ok()) return region.status();
  const absl::StatusOr<uint32_t> refill_entries = RefillEntries(options, *region);
  if (!refill_entries.ok()) return refill_entries.status();

  std::unique_ptr<InterfaceQueue> queue(
      new InterfaceQueue(ring, *std::move(region), std::move(waker), features, *refill_entries));
  if (queue->ring_memory_.empty()) return ErrnoStatus(ENOMEM, "mapping the refill ring");

  const auto deadline = std::chrono::steady_clock::now() + options.busy_timeout;
  auto pause = std::chrono::milliseconds(2);
  while (true) {
    const int error = queue->TryRegister(interface->index, options.rx_queue, *refill_entries);
    if (error == 0) return queue;
    const RegisterFacts facts = GatherFacts(options, queue->ledger_->region(), *refill_entries, features);
    if (!WorthRetrying(error, facts) || std::chrono::steady_clock::now() + pause > deadline) {
      return RegisterError(error, facts);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

int InterfaceQueue::TryRegister(uint32_t interface_index, uint32_t rx_queue, uint32_t refill_entries) {
  const PoolRegion& region = ledger_->region();
  // A page is what 0 means, and kernels before 7.0 must find 0 in what was a reserved field.
  const bool large = region.piece_bytes() != PageBytes();
  if (large && !knows_large_buffers_) return EINVAL;

  uapi::AreaReg area = {};
  area.addr = reinterpret_cast<uint64_t>(region.base());
  area.len = region.bytes();

  uapi::RegionDesc memory = {};
  memory.user_addr = reinterpret_cast<uint64_t>(ring_memory_.base());
  memory.size = ring_memory_.bytes();
  memory.flags = uapi::kRegionTypeUser;

  uapi::EventDesc events = {};
  events.flags = uapi::kEventDescStats;
  events.stats_offset = stats_offset_;

  uapi::IfqReg request = {};
  request.if_idx = interface_index;
  request.if_rxq = rx_queue;
  request.rq_entries = refill_entries;
  request.area_ptr = reinterpret_cast<uint64_t>(&area);
  request.region_ptr = reinterpret_cast<uint64_t>(&memory);
  request.rx_buf_len = large ? static_cast<uint32_t>(region.piece_bytes()) : 0;
  request.event_desc = has_copy_stats_ ? reinterpret_cast<uint64_t>(&events) : 0;

  const int result = ring_.Register(uapi::kRegisterZcrxIfq, &request, 1);
  if (result < 0) return -result;

  std::byte* base = ring_memory_.base();
  const uapi::Offsets& offsets = request.offsets;
  const size_t end = offsets.rqes + request.rq_entries * sizeof(uapi::Rqe);
  if (!std::has_single_bit(request.rq_entries) || end > stats_offset_ || offsets.head + 4 > end ||
      offsets.tail + 4 > end) {
    return EPROTO;  // not the contract we know; writing there would corrupt memory
  }
  id_ = request.zcrx_id;
  area_token_ = area.rq_area_token;
  refill_ = RefillRing({.head = reinterpret_cast<uint32_t*>(base + offsets.head),
                        .tail = reinterpret_cast<uint32_t*>(base + offsets.tail),
                        .entries = reinterpret_cast<uapi::Rqe*>(base + offsets.rqes),
                        .size = request.rq_entries});
  return 0;
}

BufferRecord* InterfaceQueue::Receive(uint64_t offset, uint32_t length) {
  const uint64_t position = offset & ~uapi::kAreaMask;
  const size_t bytes = ledger_->region().bytes();
  if (position > bytes || length > bytes - position) return nullptr;
  return ledger_->Issue(position, length, position | area_token_);
}

uint32_t InterfaceQueue::GiveBack() {
  const uint32_t given = internal::GiveBack(*ledger_, refill_);
  overflow_peak_ = std::max(overflow_peak_, ledger_->returned());
  return given;
}

bool InterfaceQueue::FlushRefillRing() {
  if (!can_flush_ || refill_.lag() == 0) return false;
  uapi::Ctrl control = {};
  control.zcrx_id = id_;
  control.op = uapi::kCtrlFlushRq;
  return ring_.Register(uapi::kRegisterZcrxCtrl, &control, 0) >= 0;
}

InterfaceQueueStats InterfaceQueue::stats() const {
  InterfaceQueueStats stats;
  stats.pool_bytes = ledger_->region().bytes();
  stats.pool_pieces = ledger_->region().pieces();
  stats.buffers_out = ledger_->out();
  stats.buffers_out_peak = ledger_->out_peak();
  stats.buffers_received = ledger_->issued();
  stats.buffers_returned = ledger_->settled();
  stats.refill_lag = refill_.lag();
  stats.refill_overflow_peak = overflow_peak_;
  if (has_copy_stats_) {
    auto* copied = reinterpret_cast<uapi::Stats*>(ring_memory_.base() + stats_offset_);
    // Relaxed: the kernel counts while we look, and each count stands for itself.
    stats.copied_fragments = std::atomic_ref(copied->copy_count).load(std::memory_order_relaxed);
    stats.copied_bytes = std::atomic_ref(copied->copy_bytes).load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace zcrx::inline v0::internal
