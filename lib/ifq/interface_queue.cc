// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/interface_queue.h"

#include <sys/resource.h>
#include <sys/socket.h>

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
#include "lib/ifq/take.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"
#include "lib/uapi/log.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// Room for the refill ring's head and tail before its entries. Kernels use 64 to
// 128 bytes; where the entries really start is in the offsets they return.
size_t HeaderBytes() { return PageBytes(); }

// The kernel's counts lie behind the rings.
size_t StatsOffset(uint32_t refill_entries, uint32_t rbuf_entries) {
  return HeaderBytes() + refill_entries * sizeof(uapi::Rqe) +
         (rbuf_entries > 0 ? RbufRing::BytesFor(rbuf_entries) : 0);
}

// The size of a ring for which `wanted` entries, the option `name`, are asked; 0: one per piece.
absl::StatusOr<uint32_t> RingEntries(const char* name, uint32_t wanted, uint32_t most,
                                     const PoolRegion& region) {
  if (wanted > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("InterfaceQueueOptions::", name, " is ", wanted, "; the kernel takes at most ", most));
  }
  return std::bit_ceil(static_cast<uint32_t>(std::min<size_t>(wanted != 0 ? wanted : region.pieces(), most)));
}

std::optional<uint64_t> MemlockLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

// What the NIC says of itself now. Best effort: what cannot be read stays absent.
RegisterFacts GatherFacts(const InterfaceQueueOptions& options, const PoolRegion& region, bool rbuf_ring,
                          const KernelFeatures& features) {
  RegisterFacts facts;
  facts.interface = options.interface;
  facts.rx_queue = options.rx_queue;
  facts.buffer_bytes = region.piece_bytes();
  facts.page_bytes = PageBytes();
  facts.pool_bytes = region.bytes();
  facts.rbuf_ring = rbuf_ring;
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
                               const KernelFeatures& features, const Entries& entries)
    : ring_(ring),
      can_flush_(features.flush_refill_ring),
      has_copy_stats_(features.copy_stats),
      knows_large_buffers_(features.large_buffers),
      entries_(entries),
      stats_offset_(StatsOffset(entries.refill, entries.rbuf)),
      ring_memory_(Mapping::Map(stats_offset_ + sizeof(uapi::Stats))),
      ledger_(BufferLedger::Open(std::move(region), std::move(waker))) {}

InterfaceQueue::~InterfaceQueue() = default;

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::Register(Ring& ring,
                                                                         const InterfaceQueueOptions& options,
                                                                         const KernelFeatures& features,
                                                                         std::shared_ptr<Waker> waker) {
  const bool rbuf_ring = UsesRbufRing(options, features);
  if (options.completion == CompletionRing::kRbufRing && !rbuf_ring) {
    return ErrnoStatus(
        EOPNOTSUPP,
        "this kernel has no rbuf completion ring (IORING_REGISTER_QUERY does not report ZCRX_REG_RBUF_CQ), "
        "which only kernel-patches/linux-6.12 has; fix: InterfaceQueueOptions::completion = "
        "CompletionRing::kAuto");
  }
  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(options.interface);
  if (!interface.ok()) return interface.status();
  absl::StatusOr<PoolRegion> region = PoolRegion::Map(options.pool, interface->numa_node);
  if (!region.ok()) return region.status();
  const absl::StatusOr<uint32_t> refill_entries =
      RingEntries("refill_entries", options.refill_entries, uapi::kMaxRefillEntries, *region);
  if (!refill_entries.ok()) return refill_entries.status();
  const absl::StatusOr<uint32_t> rbuf_entries =
      RingEntries("rbuf_entries", options.rbuf_entries, uapi::kMaxRbufEntries, *region);
  if (!rbuf_entries.ok()) return rbuf_entries.status();

  std::unique_ptr<InterfaceQueue> queue(
      new InterfaceQueue(ring, *std::move(region), std::move(waker), features,
                         {.refill = *refill_entries, .rbuf = rbuf_ring ? *rbuf_entries : 0}));
  if (queue->ring_memory_.empty()) return ErrnoStatus(ENOMEM, "mapping the rings of the interface queue");

  const auto deadline = std::chrono::steady_clock::now() + options.busy_timeout;
  auto pause = std::chrono::milliseconds(2);
  bool told = false;
  while (true) {
    const int error = queue->TryRegister(interface->index, options.rx_queue);
    if (error == 0) {
      queue->interface_ = *interface;
      queue->rx_queue_ = options.rx_queue;
      queue->napi_id_ = queue->ReadNapiId();
      return queue;
    }
    const RegisterFacts facts = GatherFacts(options, queue->ledger_->region(), rbuf_ring, features);
    if (!WorthRetrying(error, facts) || std::chrono::steady_clock::now() + pause > deadline) {
      return RegisterError(error, facts);
    }
    if (!told) {
      told = true;
      Log(LogSeverity::kWarning, "queue.busy", "rx queue ", options.rx_queue, " of ", options.interface,
          " has another owner, or is being cleaned up after one: registration is tried again for up to ",
          options.busy_timeout.count(), " ms");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

int InterfaceQueue::TryRegister(uint32_t interface_index, uint32_t rx_queue) {
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

  uapi::RbufCqReg rbuf = {};
  rbuf.cq_entries = entries_.rbuf;

  uapi::IfqReg request = {};
  request.if_idx = interface_index;
  request.if_rxq = rx_queue;
  request.rq_entries = entries_.refill;
  request.area_ptr = reinterpret_cast<uint64_t>(&area);
  request.region_ptr = reinterpret_cast<uint64_t>(&memory);
  request.rx_buf_len = large ? static_cast<uint32_t>(region.piece_bytes()) : 0;
  request.event_desc = has_copy_stats_ ? reinterpret_cast<uint64_t>(&events) : 0;
  if (entries_.rbuf > 0) {
    request.flags = uapi::kRegRbufCq;
    request.rbuf_cq_ptr = reinterpret_cast<uint64_t>(&rbuf);
  }

  const int result = ring_.Register(uapi::kRegisterZcrxIfq, &request, 1);
  if (result < 0) return -result;

  // Not the contract we know; writing there would corrupt memory.
  if (!FindRings(request, rbuf)) return EPROTO;
  id_ = request.zcrx_id;
  area_token_ = area.rq_area_token;
  return 0;
}

bool InterfaceQueue::FindRings(const uapi::IfqReg& request, const uapi::RbufCqReg& rbuf) {
  std::byte* base = ring_memory_.base();
  const uapi::Offsets& offsets = request.offsets;
  const size_t end = offsets.rqes + request.rq_entries * sizeof(uapi::Rqe);
  if (!std::has_single_bit(request.rq_entries) || end > stats_offset_ || offsets.head + 4 > end ||
      offsets.tail + 4 > end) {
    return false;
  }
  refill_ = RefillRing({.head = reinterpret_cast<uint32_t*>(base + offsets.head),
                        .tail = reinterpret_cast<uint32_t*>(base + offsets.tail),
                        .entries = reinterpret_cast<uapi::Rqe*>(base + offsets.rqes),
                        .size = request.rq_entries});
  if (entries_.rbuf == 0) return true;
  const std::optional<RbufRing::Memory> memory = RbufRing::Locate(base, end, stats_offset_, rbuf);
  if (memory.has_value()) rbuf_.emplace(*memory);
  return memory.has_value();
}

bool InterfaceQueue::Take(const Completion& completion, RecordQueue& fragments) {
  const auto count_or_length = static_cast<uint32_t>(completion.res);
  if (rbuf_.has_value()) return TakeFragments(*ledger_, area_token_, *rbuf_, count_or_length, fragments);
  // Copied or not: these completions do not tell.
  return TakeFragment(*ledger_, area_token_, completion.zc_offset, count_or_length, /*copied=*/false,
                      fragments);
}

uint32_t InterfaceQueue::ReadNapiId() const {
  const auto queues = netdev::GetRxQueues(interface_);
  if (!queues.ok()) return 0;
  for (const netdev::RxQueue& queue : *queues) {
    if (queue.id == rx_queue_) return queue.napi.value_or(netdev::Napi()).id;
  }
  return 0;
}

bool InterfaceQueue::ArrivesHere(int fd) {
  uint32_t napi_id = 0;
  socklen_t length = sizeof(napi_id);
  // Fails where the kernel has no CONFIG_NET_RX_BUSY_POLL; 0 if the packets came by no NAPI instance.
  if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi_id, &length) != 0 || napi_id == 0) return true;
  if (napi_id == napi_id_) return true;
  // The interface may have been down meanwhile, and have others now.
  napi_id_ = ReadNapiId();
  return napi_id_ == 0 || napi_id == napi_id_;
}

uint32_t InterfaceQueue::GiveBack() {
  const uint32_t given = internal::GiveBack(*ledger_, refill_);
  if (overflow_peak_ == 0 && ledger_->returned() > 0) {
    Log(LogSeverity::kWarning, "queue.refill_full",
        "the refill ring was full for the first time, so that pieces wait before the NIC gets them back; "
        "fix: "
        "more InterfaceQueueOptions::refill_entries");
  }
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
