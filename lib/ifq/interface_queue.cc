// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/interface_queue.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/ifq/register_error.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"
#include "lib/ring/refill_ring.h"
#include "lib/uapi/log.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/examination.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// The size of a ring for which `wanted` entries, the option `name`, are asked; 0: one per piece.
absl::StatusOr<uint32_t> RoundEntries(const char* name, uint32_t wanted, uint32_t most,
                                      const PoolRegion& region) {
  if (wanted > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("InterfaceQueueOptions::", name, " is ", wanted, "; the kernel takes at most ", most));
  }
  return std::bit_ceil(static_cast<uint32_t>(std::min<size_t>(wanted != 0 ? wanted : region.pieces(), most)));
}

absl::StatusOr<RingEntries> FindEntries(const InterfaceQueueOptions& options, const PoolRegion& region,
                                        bool rbuf_ring) {
  const absl::StatusOr<uint32_t> refill =
      RoundEntries("refill_entries", options.refill_entries, uapi::kMaxRefillEntries, region);
  if (!refill.ok()) return refill.status();
  const absl::StatusOr<uint32_t> rbuf =
      RoundEntries("rbuf_entries", options.rbuf_entries, uapi::kMaxRbufEntries, region);
  if (!rbuf.ok()) return rbuf.status();
  return RingEntries{.refill = *refill, .rbuf = rbuf_ring ? *rbuf : 0};
}

std::optional<uint64_t> MemlockLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

// What the NIC says of itself now, and what the doctor would say of it. Best effort: what cannot be read
// stays absent.
RegisterFacts GatherFacts(const InterfaceQueueOptions& options, const PoolRegion* region, bool rbuf_ring,
                          const KernelFeatures& features) {
  RegisterFacts facts;
  facts.interface = options.interface;
  facts.rx_queue = options.rx_queue;
  facts.page_bytes = PageBytes();
  facts.buffer_bytes = region != nullptr ? region->piece_bytes() : options.pool.buffer_bytes;
  facts.pool_bytes = region != nullptr ? region->bytes() : options.pool.bytes;
  facts.rbuf_ring = rbuf_ring;
  facts.kernel_knows_large_buffers = features.large_buffers;
  facts.memlock_limit = MemlockLimit();
  auto examination = netdev::Examine({.interface = options.interface, .queue = options.rx_queue});
  if (!examination.ok()) return facts;
  if (examination->nic.has_value()) facts.driver = examination->nic->interface.driver;
  facts.findings = std::move(examination->findings);
  return facts;
}

// Whether -EEXIST may pass by waiting: another owner of the queue may be dying. An XDP program stays.
bool WorthRetrying(int error, const std::string& interface) {
  if (error != EEXIST) return false;
  const absl::StatusOr<netdev::Interface> now = netdev::FindInterface(interface);
  return !now.ok() || !now->xdp_attached;
}

// Null: a piece that comes back after the end is of use to nobody.
BufferLedger::LateReturn LateReturnTo(const std::shared_ptr<QueueMemory>& memory) {
  if (!memory->refill.shared()) return nullptr;
  return [memory](uint64_t token) { memory->refill.GiveBackLate(token); };
}

// Empty if the file is not that long: to touch what is not there would end the process.
Mapping MapWhole(int fd, size_t bytes, const MappingOptions& options) {
  struct stat file = {};
  if (fstat(fd, &file) != 0) return {};
  if (static_cast<uint64_t>(file.st_size) < bytes || bytes == 0) {
    errno = EINVAL;
    return {};
  }
  return Mapping::MapShared(fd, bytes, options);
}

std::string NameOf(const InterfaceQueueOptions& options) {
  return absl::StrCat("rx queue ", options.rx_queue, " of ", options.interface);
}

}  // namespace

InterfaceQueue::InterfaceQueue(Ring& ring, std::shared_ptr<QueueMemory> memory, std::shared_ptr<Waker> waker,
                               const KernelFeatures& features)
    : ring_(ring),
      can_flush_(features.flush_refill_ring),
      has_copy_stats_(features.copy_stats),
      knows_large_buffers_(features.large_buffers),
      memory_(std::move(memory)),
      // The region is a part of what the ledger has to keep.
      ledger_(BufferLedger::Open(std::shared_ptr<GuardedRegion>(memory_, &memory_->region), std::move(waker),
                                 LateReturnTo(memory_))) {}

InterfaceQueue::~InterfaceQueue() {
  if (share_ == nullptr) return;
  // What has been returned is of use to the others.
  ledger_.reset();
  share_->Leave();
}

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::Register(Ring& ring,
                                                                         const InterfaceQueueOptions& options,
                                                                         const KernelFeatures& features,
                                                                         std::shared_ptr<Waker> waker) {
  if (options.completion == CompletionRing::kRbufRing && options.share.has_value()) {
    return absl::InvalidArgumentError(
        "the rbuf completion ring of a queue is for one runtime; fix: InterfaceQueueOptions::completion = "
        "CompletionRing::kAuto where there is a share");
  }
  if (options.completion == CompletionRing::kRbufRing && !features.rbuf_ring) {
    return ErrnoStatus(
        EOPNOTSUPP,
        "this kernel has no rbuf completion ring (IORING_REGISTER_QUERY does not report ZCRX_REG_RBUF_CQ), "
        "which only kernel-patches/linux-6.12 has; fix: InterfaceQueueOptions::completion = "
        "CompletionRing::kAuto");
  }
  return options.share.has_value()
             ? RegisterShared(ring, options, features, std::move(waker))
             : RegisterNew(ring, options, features, std::move(waker), /*shareable=*/false);
}

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::Prepare(Ring& ring,
                                                                        const InterfaceQueueOptions& options,
                                                                        const KernelFeatures& features,
                                                                        std::shared_ptr<Waker> waker) {
  if (options.share.has_value()) {
    return absl::InvalidArgumentError(
        "a queue for another process cannot be shared; fix: no InterfaceQueueOptions::share");
  }
  if (!options.reserve.empty()) {
    return absl::InvalidArgumentError(
        "who prepares a queue for another process keeps the reservation; fix: a NicReservation of its own "
        "instead of InterfaceQueueOptions::reserve");
  }
  return RegisterNew(ring, options, features, std::move(waker), /*shareable=*/true);
}

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::Adopt(Ring& ring, const TakenQueue& taken,
                                                                      const KernelFeatures& features,
                                                                      std::shared_ptr<Waker> waker) {
  const QueueDescription& description = taken.description;
  Mapping rings = MapWhole(taken.fds.rings, description.rings_bytes, {});
  Mapping region = MapWhole(taken.fds.region, description.region_bytes, {.alignment = kHugePageBytes});
  const int error = errno;
  for (const int fd : {taken.fds.description, taken.fds.rings, taken.fds.region}) close(fd);
  if (rings.empty() || region.empty()) return ErrnoStatus(error, "mapping the memory of an inherited queue");
  std::unique_ptr<InterfaceQueue> queue(
      new InterfaceQueue(ring,
                         std::make_shared<QueueMemory>(PoolRegion(std::move(region), description.piece_bytes),
                                                       std::move(rings), description.stats_offset),
                         std::move(waker), features));
  queue->registration_ = description.registration;
  queue->rbuf_registration_ = description.rbuf;
  queue->memory_->area_token = description.area_token;
  if (description.stats_offset + sizeof(uapi::Stats) > description.rings_bytes ||
      description.piece_bytes == 0 || !queue->FindRings()) {
    return absl::DataLossError("the description of an inherited queue makes no sense");
  }
  queue->id_ = description.registration.zcrx_id;
  // Not there if the server is in another network namespace. Then nothing is known of where packets arrive.
  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(description.interface.data());
  if (interface.ok()) queue->Locate(*interface, description.rx_queue);
  return queue;
}

QueueDescription InterfaceQueue::Describe() const {
  QueueDescription description;
  description.ring = ring_.params();
  description.registration = registration_;
  description.rbuf = rbuf_registration_;
  description.area_token = memory_->area_token;
  description.rings_bytes = memory_->rings.bytes();
  description.stats_offset = memory_->stats_offset;
  description.region_bytes = ledger_->region().bytes();
  description.piece_bytes = ledger_->region().piece_bytes();
  description.rx_queue = rx_queue_;
  interface_.name.copy(description.interface.data(), description.interface.size() - 1);
  return description;
}

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::RegisterShared(
    Ring& ring, const InterfaceQueueOptions& options, const KernelFeatures& features,
    std::shared_ptr<Waker> waker) {
  if (!features.shared_queues) {
    return ErrnoStatus(EOPNOTSUPP,
                       "this kernel cannot share an interface queue between rings (IORING_REGISTER_QUERY "
                       "does not report ZCRX_REG_IMPORT; Linux 6.19 and kernel-patches/linux-6.12 can); fix: "
                       "one runtime for each queue, without InterfaceQueueOptions::share");
  }
  QueueShareState& share = *options.share->state_;
  const std::lock_guard lock(share.mutex());
  if (share.full()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the QueueShare is for ", share.runtimes(), " runtimes, which it has"));
  }
  std::unique_ptr<InterfaceQueue> queue;
  if (share.memory() == nullptr) {
    auto registered = RegisterNew(ring, options, features, std::move(waker), /*shareable=*/false);
    if (!registered.ok()) return registered.status();
    queue = *std::move(registered);
    const absl::StatusOr<int> fd = queue->Export();
    if (!fd.ok()) return fd.status();
    share.Offer(queue->memory_, NameOf(options), *fd);
  } else {
    if (NameOf(options) != share.name()) {
      return absl::InvalidArgumentError(absl::StrCat("the QueueShare is of ", share.name(), ", not of ",
                                                     NameOf(options), "; fix: a QueueShare for each queue"));
    }
    const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(options.interface);
    if (!interface.ok()) return interface.status();
    queue.reset(new InterfaceQueue(ring, share.memory(), std::move(waker), features));
    if (absl::Status imported = queue->Import(share.fd()); !imported.ok()) return imported;
    queue->Locate(*interface, options.rx_queue);
  }
  share.Join();
  queue->share_ = options.share->state_;
  return queue;
}

absl::StatusOr<std::unique_ptr<InterfaceQueue>> InterfaceQueue::RegisterNew(
    Ring& ring, const InterfaceQueueOptions& options, const KernelFeatures& features,
    std::shared_ptr<Waker> waker, bool shareable) {
  const bool rbuf_ring = UsesRbufRing(options, features);
  const absl::StatusOr<netdev::Interface> interface = netdev::FindInterface(options.interface);
  if (ErrnoOf(interface.status()) == ENODEV)
    return RegisterError(ENODEV, GatherFacts(options, /*region=*/nullptr, rbuf_ring, features));
  if (!interface.ok()) return interface.status();
  absl::StatusOr<PoolRegion> region = PoolRegion::Map(options.pool, interface->numa_node, shareable);
  if (!region.ok()) return region.status();
  const absl::StatusOr<RingEntries> entries = FindEntries(options, *region, rbuf_ring);
  if (!entries.ok()) return entries.status();
  auto memory = std::make_shared<QueueMemory>(*std::move(region), *entries, options.share.has_value());
  if (memory->rings.empty()) return ErrnoStatus(ENOMEM, "mapping the rings of the interface queue");
  std::unique_ptr<InterfaceQueue> queue(
      new InterfaceQueue(ring, std::move(memory), std::move(waker), features));

  const auto deadline = std::chrono::steady_clock::now() + options.busy_timeout;
  auto pause = std::chrono::milliseconds(2);
  bool told = false;
  while (true) {
    const int error = queue->TryRegister(interface->index, options.rx_queue, *entries);
    if (error == 0) {
      queue->Locate(*interface, options.rx_queue);
      return queue;
    }
    if (!WorthRetrying(error, options.interface) || std::chrono::steady_clock::now() + pause > deadline)
      return RegisterError(error, GatherFacts(options, &queue->ledger_->region(), rbuf_ring, features));
    if (!told) {
      told = true;
      Log(LogSeverity::kWarning, "queue.busy", NameOf(options),
          " has another owner, or is being cleaned up after one: registration is tried again for up to ",
          options.busy_timeout.count(), " ms");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

void InterfaceQueue::Locate(const netdev::Interface& interface, uint32_t rx_queue) {
  interface_ = interface;
  rx_queue_ = rx_queue;
  napi_id_ = ReadNapiId();
}

absl::StatusOr<int> InterfaceQueue::Export() const {
  uapi::Ctrl control = {};
  control.zcrx_id = id_;
  control.op = uapi::kCtrlExport;
  const int result = ring_.Register(uapi::kRegisterZcrxCtrl, &control, 0);
  if (result < 0) return ErrnoStatus(-result, "exporting the interface queue");
  return static_cast<int>(control.payload[0]);
}

// EPERM: asks for CAP_NET_ADMIN as registration does.
absl::Status InterfaceQueue::Import(int fd) {
  uapi::IfqReg request = {};
  request.flags = uapi::kRegImport;
  request.if_idx = static_cast<uint32_t>(fd);
  const int result = ring_.Register(uapi::kRegisterZcrxIfq, &request, 1);
  if (result < 0) return ErrnoStatus(-result, "importing the interface queue");
  id_ = request.zcrx_id;
  return absl::OkStatus();
}

int InterfaceQueue::TryRegister(uint32_t interface_index, uint32_t rx_queue, const RingEntries& entries) {
  const PoolRegion& region = ledger_->region();
  // A page is what 0 means, and kernels before 7.0 must find 0 in what was a reserved field.
  const bool large = region.piece_bytes() != PageBytes();
  if (large && !knows_large_buffers_) return EINVAL;

  uapi::AreaReg area = {};
  area.addr = reinterpret_cast<uint64_t>(region.base());
  area.len = region.bytes();

  uapi::RegionDesc memory = {};
  memory.user_addr = reinterpret_cast<uint64_t>(memory_->rings.base());
  memory.size = memory_->rings.bytes();
  memory.flags = uapi::kRegionTypeUser;

  uapi::EventDesc events = {};
  events.flags = uapi::kEventDescStats;
  events.stats_offset = memory_->stats_offset;

  uapi::RbufCqReg rbuf = {};
  rbuf.cq_entries = entries.rbuf;

  uapi::IfqReg request = {};
  request.if_idx = interface_index;
  request.if_rxq = rx_queue;
  request.rq_entries = entries.refill;
  request.area_ptr = reinterpret_cast<uint64_t>(&area);
  request.region_ptr = reinterpret_cast<uint64_t>(&memory);
  request.rx_buf_len = large ? static_cast<uint32_t>(region.piece_bytes()) : 0;
  request.event_desc = has_copy_stats_ ? reinterpret_cast<uint64_t>(&events) : 0;
  if (entries.rbuf > 0) {
    request.flags = uapi::kRegRbufCq;
    request.rbuf_cq_ptr = reinterpret_cast<uint64_t>(&rbuf);
  }

  const int result = ring_.Register(uapi::kRegisterZcrxIfq, &request, 1);
  if (result < 0) return -result;

  registration_ = request;
  rbuf_registration_ = rbuf;
  // Not the contract we know; writing there would corrupt memory.
  if (!FindRings()) return EPROTO;
  id_ = request.zcrx_id;
  memory_->area_token = area.rq_area_token;
  return 0;
}

bool InterfaceQueue::FindRings() {
  const uapi::IfqReg& request = registration_;
  const uapi::RbufCqReg& rbuf = rbuf_registration_;
  std::byte* base = memory_->rings.base();
  const uapi::Offsets& offsets = request.offsets;
  const size_t end = offsets.rqes + request.rq_entries * sizeof(uapi::Rqe);
  if (!std::has_single_bit(request.rq_entries) || end > memory_->stats_offset || offsets.head + 4 > end ||
      offsets.tail + 4 > end) {
    return false;
  }
  memory_->refill.Use(RefillRing({.head = reinterpret_cast<uint32_t*>(base + offsets.head),
                                  .tail = reinterpret_cast<uint32_t*>(base + offsets.tail),
                                  .entries = reinterpret_cast<uapi::Rqe*>(base + offsets.rqes),
                                  .size = request.rq_entries}));
  if (rbuf.cq_entries == 0) return true;
  const std::optional<RbufRing::Memory> memory = RbufRing::Locate(base, end, memory_->stats_offset, rbuf);
  if (memory.has_value()) rbuf_.emplace(*memory);
  return memory.has_value();
}

bool InterfaceQueue::TakeFromRbufRing(uint32_t count, Account* account, RecordQueue& fragments) {
  return TakeFragments(*ledger_, memory_->area_token, *rbuf_, count, fragments, account);
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
  const uint32_t given = memory_->refill.GiveBack(*ledger_);
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
  if (!can_flush_ || memory_->refill.lag() == 0) return false;
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
  stats.refill_lag = memory_->refill.lag();
  stats.refill_overflow_peak = overflow_peak_;
  if (has_copy_stats_) {
    auto* copied = reinterpret_cast<uapi::Stats*>(memory_->rings.base() + memory_->stats_offset);
    // Relaxed: the kernel counts while we look, and each count stands for itself.
    stats.copied_fragments = std::atomic_ref(copied->copy_count).load(std::memory_order_relaxed);
    stats.copied_bytes = std::atomic_ref(copied->copy_bytes).load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace zcrx::inline v0::internal
