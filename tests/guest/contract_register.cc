// SPDX-License-Identifier: Apache-2.0
//
// Every argument of a registration that can be judged without a NIC, and pairs
// of faults that show which is looked at first.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tests/guest/contract.h"

namespace zcrx {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kTopPage = ~uint64_t{0} - kPage + 1;

std::string Entries(uint32_t entries) {
  return "ok: " + std::to_string(entries) + " entries, buffers of 4096, id 0, token 0";
}

// A ring of so many entries, in a region that is large enough for the most there can be.
Spoil RingOf(uint32_t entries) {
  return [entries](Registration& r) {
    r.refill = internal::Mapping::Map((uint64_t{uapi::kMaxRefillEntries} + 256) * sizeof(uapi::Rqe));
    r.region.user_addr = reinterpret_cast<uint64_t>(r.refill.base());
    r.region.size = r.refill.bytes();
    r.ifq.rq_entries = entries;
  };
}

Observe Clamped(uint32_t entries) {
  return [entries] {
    const RawRing ring(kReceiveRing | IORING_SETUP_CLAMP);
    Registration registration;
    RingOf(entries)(registration);
    return Outcome(ring, registration);
  };
}

std::string UnreadableArgument(uint32_t ring_flags) {
  const RawRing ring(ring_flags);
  return ErrnoName(ring.Register(uapi::kRegisterZcrxIfq, reinterpret_cast<void*>(Unreadable()), 1));
}

// What the kernel fills in cannot be written: it takes the registration back.
std::string ReadOnlyArgument() {
  const RawRing ring;
  Registration registration;
  const uint64_t argument = ReadOnlyCopy(registration.ifq);
  const int result = ring.Register(uapi::kRegisterZcrxIfq, reinterpret_cast<void*>(argument), 1);
  return ErrnoName(result) + ", then " + Outcome(ring, registration);
}

std::string HeaderIsCleared() {
  const RawRing ring;
  Registration registration;
  memset(registration.refill.base(), 0xff, registration.refill.bytes());
  EXPECT_EQ(registration.Register(ring), 0);
  uint32_t head = 0;
  uint32_t tail = 0;
  memcpy(&head, registration.refill.base() + registration.ifq.offsets.head, sizeof(head));
  memcpy(&tail, registration.refill.base() + registration.ifq.offsets.tail, sizeof(tail));
  return "head " + std::to_string(head) + ", tail " + std::to_string(tail);
}

std::string Second(const std::function<void(Registration& first, Registration& second)>& spoil) {
  const RawRing ring;
  Registration first;
  EXPECT_EQ(first.Register(ring), 0);
  Registration second;
  spoil(first, second);
  return Outcome(ring, second);
}

// --- Memory --------------------------------------------------------------------------

void Protect(const internal::Mapping& memory, int protection) {
  EXPECT_EQ(mprotect(memory.base(), memory.bytes(), protection), 0);
}

// An area of 16 pages that maps a file of so many.
Observe FileMemory(size_t file_pages) {
  return [file_pages] {
    const RawRing ring;
    Registration registration;
    const Fd file(memfd_create("area", MFD_CLOEXEC));
    EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(file_pages * kPage)), 0);
    void* memory = mmap(nullptr, 16 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    registration.area.addr = reinterpret_cast<uint64_t>(memory);
    registration.area.len = 16 * kPage;
    const std::string outcome = Outcome(ring, registration);
    munmap(memory, 16 * kPage);
    return outcome;
  };
}

// Registers in a process that may lock 8 MiB; `privileged` keeps the capability to ignore that. After a
// refusal, that what was counted for it is counted no more.
Observe WithLockLimit(bool privileged, Spoil spoil) {
  return [privileged, spoil = std::move(spoil)] {
    return InChild([&] {
      if (!privileged) DropCapability(CAP_IPC_LOCK);
      const rlimit limit = {.rlim_cur = 8 << 20, .rlim_max = 8 << 20};
      EXPECT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
      const RawRing ring;
      Registration registration;
      spoil(registration);
      const std::string outcome = Outcome(ring, registration);
      if (outcome.starts_with("ok")) return outcome;
      Registration fits;
      return outcome + ", then " + Outcome(ring, fits);
    });
  };
}

// A refusal after the ring has been counted: it is counted no more.
std::string LockLimitAfterRefusal() {
  return WithLockLimit(false, [](Registration& r) {
    const RawRing ring;
    Registration refused;
    for (Registration* each : {&refused, &r}) {
      each->UseKernelRegion();
      each->region.size = 6 << 20;
    }
    refused.area.addr = 0;
    EXPECT_EQ(refused.Register(ring), -EFAULT);
  })();
}

void LargePool(Registration& r) {
  r.pool = internal::Mapping::Map(16 << 20);
  r.area.addr = reinterpret_cast<uint64_t>(r.pool.base());
  r.area.len = r.pool.bytes();
}

void LargeKernelRegion(Registration& r) {
  r.UseKernelRegion();
  r.region.size = 16 << 20;
}

void LargeUserRegion(Registration& r) {
  r.refill = internal::Mapping::Map(16 << 20);
  r.region.user_addr = reinterpret_cast<uint64_t>(r.refill.base());
  r.region.size = r.refill.bytes();
}

// --- The lists -------------------------------------------------------------------------

std::vector<Case> IfqCases() {
  return {
      {"ifq_unreadable", "EFAULT", [] { return UnreadableArgument(kReceiveRing); }},
      {"ifq_ring_flags_before_reading", "EINVAL", [] { return UnreadableArgument(kDeferred); }},
      {"ifq_read_only", std::string("EFAULT, then ") + kAccepted, ReadOnlyArgument},
      {"ifq_resv_0", "EINVAL", Nodev([](Registration& r) { r.ifq.rbuf_cq_ptr = 1; })},
      {"ifq_resv_1", "EINVAL", Nodev([](Registration& r) { r.ifq.resv = 1; })},
      {"ifq_zcrx_id", "EINVAL", Nodev([](Registration& r) { r.ifq.zcrx_id = 1; })},
      {"ifq_flag_2", "EINVAL", Nodev([](Registration& r) { r.ifq.flags |= 1u << 2; })},
      {"ifq_flag_30", "EINVAL", Nodev([](Registration& r) { r.ifq.flags |= 1u << 30; })},
      {"ifq_flag_31", "EINVAL", Nodev([](Registration& r) { r.ifq.flags |= uapi::kRegRbufCq; }), &kRbufRing,
       "EFAULT"},
      {"ifq_offsets_are_output", kAccepted,
       Nodev([](Registration& r) { memset(&r.ifq.offsets, 0xff, sizeof(r.ifq.offsets)); })},
      {"ifq_no_queue", "EINVAL", Nodev([](Registration& r) { r.ifq.if_rxq = ~0u; })},
      {"ifq_nodev_with_interface", "EINVAL", Nodev([](Registration& r) { r.ifq.if_idx = 1; })},
      {"ifq_nodev_with_queue", "EINVAL", Nodev([](Registration& r) { r.ifq.if_rxq = 1; })},
      {"ifq_entries_0", "EINVAL", Nodev([](Registration& r) { r.ifq.rq_entries = 0; })},
      {"ifq_entries_1", Entries(1), Nodev(RingOf(1))},
      {"ifq_entries_3", Entries(4), Nodev(RingOf(3))},
      {"ifq_entries_32768", Entries(32768), Nodev(RingOf(32768))},
      {"ifq_entries_32769", "EINVAL", Nodev(RingOf(32769))},
      {"ifq_entries_32769_clamped", Entries(32768), Clamped(32769)},
      {"ifq_entries_most_clamped", Entries(32768), Clamped(~0u)},
      {"ifq_entries_0_clamped", "EINVAL", Clamped(0)},
      {"ifq_buffers_of_a_page", kAccepted, Nodev([](Registration& r) { r.ifq.rx_buf_len = 4096; })},
      {"ifq_buffers_of_1", "EINVAL", Nodev([](Registration& r) { r.ifq.rx_buf_len = 1; })},
      {"ifq_buffers_of_2048", "EINVAL", Nodev([](Registration& r) { r.ifq.rx_buf_len = 2048; })},
      {"ifq_buffers_of_6144", "EINVAL", Nodev([](Registration& r) { r.ifq.rx_buf_len = 6144; })},
      {"ifq_buffers_of_8192_nodev", "EOPNOTSUPP", Nodev([](Registration& r) { r.ifq.rx_buf_len = 8192; })},
      {"ifq_second_of_a_ring", "ok: 64 entries, buffers of 4096, id 1, token 0",
       [] { return Second([](Registration&, Registration&) {}); }},
      {"ifq_second_in_the_same_memory", "ok: 64 entries, buffers of 4096, id 1, token 0",
       [] {
         return Second([](Registration& first, Registration& second) { second.area.addr = first.area.addr; });
       }},
      {"ifq_area_unreadable", "EFAULT", Nodev([](Registration& r) { r.ifq.area_ptr = Unreadable(); })},
      {"ifq_area_null", "EFAULT", Nodev([](Registration& r) { r.ifq.area_ptr = 0; })},
      {"ifq_area_read_only", "EFAULT", Nodev([](Registration& r) { r.ifq.area_ptr = ReadOnlyCopy(r.area); })},
      {"ifq_region_unreadable", "EFAULT", Nodev([](Registration& r) { r.ifq.region_ptr = Unreadable(); })},
      {"ifq_region_null", "EFAULT", Nodev([](Registration& r) { r.ifq.region_ptr = 0; })},
      {"ifq_region_read_only", "EFAULT",
       Nodev([](Registration& r) { r.ifq.region_ptr = ReadOnlyCopy(r.region); })},
  };
}

std::vector<Case> EventCases() {
  const auto events = [](const std::function<void(Registration&)>& spoil) {
    return Nodev([spoil](Registration& r) {
      r.UseEvents();
      spoil(r);
    });
  };
  return {
      {"event_none", kAccepted, events([](Registration&) {})},
      {"event_unreadable", "EFAULT", Nodev([](Registration& r) { r.ifq.event_desc = Unreadable(); })},
      {"event_both", kAccepted, events([](Registration& r) { r.event.type_mask = 3; }), &kNoEvents, "EINVAL"},
      {"event_unknown", "EINVAL", events([](Registration& r) { r.event.type_mask = 4; })},
      {"event_unknown_flag", "EINVAL", events([](Registration& r) { r.event.flags = 2; })},
      {"event_resv", "EINVAL", events([](Registration& r) { r.event.resv2[8] = 1; })},
      {"event_counters_unasked", "EINVAL", events([](Registration& r) { r.event.stats_offset = 4096; })},
      {"event_counters", kAccepted,
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 4096; })},
      {"event_counters_at_the_end", kAccepted,
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 8176; })},
      {"event_counters_misaligned", "EINVAL",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 4100; })},
      {"event_counters_in_the_ring", "ERANGE",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 64; })},
      {"event_counters_beyond", "ERANGE",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 8184; })},
      {"event_counters_overflow", "ERANGE",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = ~uint64_t{7}; })},
      {"order_event_reading_before_region", "EFAULT",
       Nodev([](Registration& r) { r.ifq.event_desc = Unreadable(), r.region.resv[0] = 1; })},
      {"order_region_reading_before_event", "EFAULT",
       Nodev([](Registration& r) { r.ifq.region_ptr = Unreadable(), r.ifq.event_desc = Unreadable(); })},
      {"order_entries_before_event_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.rq_entries = 0, r.ifq.event_desc = Unreadable(); })},
      {"order_region_before_counters", "EINVAL",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 64, r.region.resv[0] = 1; })},
      {"order_counters_before_memory", "ERANGE",
       events([](Registration& r) { r.event.flags = 1, r.event.stats_offset = 64, r.area.addr = 0; })},
  };
}

std::vector<Case> RegionCases() {
  return {
      {"region_by_kernel", kAccepted, Nodev([](Registration& r) { r.UseKernelRegion(); })},
      {"region_larger_than_needed", kAccepted, Nodev([](Registration& r) { LargeUserRegion(r); })},
      {"region_too_small", "EINVAL", Nodev([](Registration& r) { RingOf(256)(r), r.region.size = 4096; })},
      {"region_size_0", "EINVAL", Nodev([](Registration& r) { r.region.size = 0; })},
      {"region_resv_0", "EINVAL", Nodev([](Registration& r) { r.region.resv[0] = 1; })},
      {"region_resv_3", "EINVAL", Nodev([](Registration& r) { r.region.resv[3] = 1; })},
      {"region_unknown_flag", "EINVAL", Nodev([](Registration& r) { r.region.flags |= 2; })},
      {"region_id", "EINVAL", Nodev([](Registration& r) { r.region.id = 1; })},
      {"region_mmap_offset", "EINVAL", Nodev([](Registration& r) { r.region.mmap_offset = 4096; })},
      {"region_user_without_address", "EFAULT", Nodev([](Registration& r) { r.region.user_addr = 0; })},
      {"region_kernel_with_address", "EFAULT", Nodev([](Registration& r) { r.region.flags = 0; })},
      {"region_address_misaligned", "EINVAL", Nodev([](Registration& r) { r.region.user_addr += 64; })},
      {"region_size_misaligned", "EINVAL", Nodev([](Registration& r) { r.region.size -= 64; })},
      {"region_size_too_large", "E2BIG", Nodev([](Registration& r) { r.region.size = uint64_t{1} << 43; })},
      {"region_overflow", "EOVERFLOW", Nodev([](Registration& r) { r.region.user_addr = kTopPage; })},
      {"region_inaccessible", "EFAULT", Nodev([](Registration& r) { Protect(r.refill, PROT_NONE); })},
      {"region_memory_read_only", "EFAULT", Nodev([](Registration& r) { Protect(r.refill, PROT_READ); })},
      {"region_header_is_cleared", "head 0, tail 0", HeaderIsCleared},
      {"region_kernel_lock_limit", std::string("ENOMEM, then ") + kAccepted,
       WithLockLimit(false, LargeKernelRegion)},
      {"region_user_lock_limit", std::string("ENOMEM, then ") + kAccepted,
       WithLockLimit(false, LargeUserRegion)},
      {"region_lock_limit_privileged", kAccepted, WithLockLimit(true, LargeKernelRegion)},
  };
}

std::vector<Case> AreaCases() {
  return {
      {"area_token", "EINVAL", Nodev([](Registration& r) { r.area.rq_area_token = 1; })},
      {"area_unknown_flag", "EINVAL", Nodev([](Registration& r) { r.area.flags = 2; })},
      {"area_resv_0", "EINVAL", Nodev([](Registration& r) { r.area.resv2[0] = 1; })},
      {"area_resv_1", "EINVAL", Nodev([](Registration& r) { r.area.resv2[1] = 1; })},
      {"area_length_0", "EFAULT", Nodev([](Registration& r) { r.area.len = 0; })},
      {"area_length_above_1_tib", "EINVAL",
       Nodev([](Registration& r) { r.area.len = (uint64_t{1} << 40) + kPage; })},
      {"area_overflow", "EOVERFLOW", Nodev([](Registration& r) { r.area.addr = kTopPage; })},
      {"area_address_0", "EFAULT", Nodev([](Registration& r) { r.area.addr = 0; })},
      {"area_address_misaligned", "EINVAL", Nodev([](Registration& r) { r.area.addr += 64; })},
      {"area_length_misaligned", "EINVAL", Nodev([](Registration& r) { r.area.len -= 64; })},
      {"area_descriptor_without_flag", "EINVAL", Nodev([](Registration& r) { r.area.dmabuf_fd = 1; })},
      {"area_inaccessible", "EFAULT", Nodev([](Registration& r) { Protect(r.pool, PROT_NONE); })},
      {"area_memory_read_only", "EFAULT", Nodev([](Registration& r) { Protect(r.pool, PROT_READ); })},
      {"area_partly_inaccessible", "EFAULT",
       Nodev([](Registration& r) { mprotect(r.pool.base() + r.pool.bytes() / 2, kPage, PROT_NONE); })},
      {"area_beyond_the_file", "EFAULT", FileMemory(8)},
      {"area_shared_memory", kAccepted, FileMemory(16)},
      {"area_one_page", kAccepted, Nodev([](Registration& r) { r.area.len = kPage; })},
      {"area_dmabuf_without_device", "EINVAL",
       Nodev([](Registration& r) { r.area.flags = kAreaDmabuf, r.area.addr = 0, r.area.dmabuf_fd = ~0u; })},
      {"area_lock_limit", std::string("ENOMEM, then ") + kAccepted, WithLockLimit(false, LargePool)},
      {"area_lock_limit_privileged", kAccepted, WithLockLimit(true, LargePool)},
      {"region_lock_limit_after_refusal", kAccepted, LockLimitAfterRefusal},
      {"area_within_lock_limit", kAccepted, WithLockLimit(false, [](Registration&) {})},
  };
}

// Two faults each; the one that wins is in the name first.
std::vector<Case> OrderCases() {
  return {
      {"order_resv_before_region_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.rbuf_cq_ptr = 1, r.ifq.region_ptr = Unreadable(); })},
      {"order_id_before_region_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.zcrx_id = 1, r.ifq.region_ptr = Unreadable(); })},
      {"order_flags_before_region_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.flags |= 4, r.ifq.region_ptr = Unreadable(); })},
      {"order_region_reading_before_entries", "EFAULT",
       Nodev([](Registration& r) { r.ifq.region_ptr = Unreadable(), r.ifq.rq_entries = 0; })},
      {"order_region_reading_before_queue", "EFAULT",
       Nodev([](Registration& r) { r.ifq.region_ptr = Unreadable(), r.ifq.if_rxq = ~0u; })},
      {"order_region_reading_before_interface", "EFAULT",
       Nodev([](Registration& r) { r.ifq.region_ptr = Unreadable(), r.ifq.if_idx = 1; })},
      {"order_entries_before_area_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.rq_entries = 0, r.ifq.area_ptr = Unreadable(); })},
      {"order_queue_before_area_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.if_rxq = ~0u, r.ifq.area_ptr = Unreadable(); })},
      {"order_interface_before_area_reading", "EINVAL",
       Nodev([](Registration& r) { r.ifq.if_idx = 1, r.ifq.area_ptr = Unreadable(); })},
      {"order_most_entries_before_area_reading", "EINVAL",
       Nodev([](Registration& r) { RingOf(32769)(r), r.ifq.area_ptr = Unreadable(); })},
      {"order_area_reading_before_region", "EFAULT",
       Nodev([](Registration& r) { r.ifq.area_ptr = Unreadable(), r.region.resv[0] = 1; })},
      {"order_token_before_region", "EINVAL",
       Nodev([](Registration& r) { r.area.rq_area_token = 1, r.region.user_addr = 0; })},
      {"order_region_size_before_address", "EINVAL",
       Nodev([](Registration& r) { RingOf(256)(r), r.region.size = 4096, r.region.user_addr = 0; })},
      {"order_region_resv_before_address", "EINVAL",
       Nodev([](Registration& r) { r.region.resv[0] = 1, r.region.user_addr = 0; })},
      {"order_region_flag_before_address", "EINVAL",
       Nodev([](Registration& r) { r.region.flags |= 2, r.region.user_addr = 0; })},
      {"order_region_address_before_id", "EFAULT",
       Nodev([](Registration& r) { r.region.user_addr = 0, r.region.id = 1; })},
      {"order_region_id_before_size", "EINVAL",
       Nodev([](Registration& r) { r.region.id = 1, r.region.size = uint64_t{1} << 43; })},
      {"order_region_size_before_alignment", "E2BIG",
       Nodev([](Registration& r) { r.region.size = uint64_t{1} << 43, r.region.user_addr += 64; })},
      {"order_region_alignment_before_overflow", "EINVAL",
       Nodev([](Registration& r) { r.region.user_addr = kTopPage + 64; })},
      {"order_region_overflow_before_memory", "EOVERFLOW",
       Nodev([](Registration& r) { r.region.user_addr = kTopPage, r.area.addr += 64; })},
      {"order_region_before_buffer_size", "EINVAL",
       Nodev([](Registration& r) { r.region.resv[0] = 1, r.ifq.rx_buf_len = 8192; })},
      {"order_region_memory_before_area", "EFAULT",
       Nodev([](Registration& r) { Protect(r.refill, PROT_READ), r.area.flags = 2; })},
      {"order_buffer_size_before_area", "EOPNOTSUPP",
       Nodev([](Registration& r) { r.ifq.rx_buf_len = 8192, r.area.flags = 2; })},
      {"order_area_flag_before_length", "EINVAL",
       Nodev([](Registration& r) { r.area.flags = 2, r.area.len = 0; })},
      {"order_area_resv_before_length", "EINVAL",
       Nodev([](Registration& r) { r.area.resv2[0] = 1, r.area.len = 0; })},
      {"order_area_length_before_alignment", "EFAULT",
       Nodev([](Registration& r) { r.area.len = 0, r.area.addr += 64; })},
      {"order_area_limit_before_overflow", "EINVAL",
       Nodev([](Registration& r) { r.area.len = (uint64_t{1} << 40) + kPage, r.area.addr = kTopPage; })},
      {"order_area_overflow_before_alignment", "EOVERFLOW",
       Nodev([](Registration& r) { r.area.addr = kTopPage + 64; })},
      {"order_area_alignment_before_memory", "EINVAL",
       Nodev([](Registration& r) { Protect(r.pool, PROT_READ), r.area.addr += 64; })},
      {"order_area_descriptor_before_address", "EINVAL",
       Nodev([](Registration& r) { r.area.dmabuf_fd = 1, r.area.addr = 0; })},
  };
}

}  // namespace

std::vector<Case> RegisterCases() {
  std::vector<Case> all;
  for (auto* list : {IfqCases, EventCases, RegionCases, AreaCases, OrderCases}) {
    for (Case& each : list()) all.push_back(std::move(each));
  }
  return all;
}

}  // namespace zcrx
