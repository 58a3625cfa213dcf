// SPDX-License-Identifier: Apache-2.0
//
// What is done with a registration: ZCRX_CTRL, export and import, mmap(2) of a
// ring that the kernel allocated.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tests/guest/contract.h"

namespace zcrx {
namespace {

using SpoilControl = std::function<void(uapi::Ctrl& control)>;

// A control call about a registration without a NIC; FLUSH_RQ before it is spoiled.
Observe Ctrl(SpoilControl spoil, unsigned count = 0) {
  return [spoil = std::move(spoil), count] {
    const RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    uapi::Ctrl control = {};
    spoil(control);
    return ErrnoName(ring.Register(uapi::kRegisterZcrxCtrl, &control, count));
  };
}

Observe CtrlArgument(uint64_t argument, unsigned count) {
  return [=] {
    const RawRing ring;
    return ErrnoName(ring.Register(uapi::kRegisterZcrxCtrl, reinterpret_cast<void*>(argument), count));
  };
}

std::string CtrlWithoutRegistration() {
  const RawRing ring;
  return ErrnoName(Control(ring, 0, uapi::kCtrlFlushRq));
}

// --- FLUSH_RQ --------------------------------------------------------------------------

// Puts entries into the refill ring; where its head stands after each of two flushes.
Observe Flushed(std::function<void(Registration&)> put) {
  return [put = std::move(put)] {
    const RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    put(registration);
    std::string outcome;
    for (int i = 0; i < 2; ++i) {
      outcome += (i == 0 ? "" : ", ") + ErrnoName(Flush(ring, registration));
      outcome += " head " + std::to_string(registration.head());
    }
    return outcome;
  };
}

void PutValid(Registration& registration, int count) {
  for (int i = 0; i < count; ++i) registration.PutEntry(static_cast<uint64_t>(i) * 4096);
}

// Valid, `offset` and `pad`, valid.
Observe FlushedAround(uint64_t offset, uint32_t pad) {
  return Flushed([=](Registration& r) {
    PutValid(r, 1);
    r.PutEntry(offset, pad);
    PutValid(r, 1);
  });
}

// --- ADD_AREA, ARM_EVENT -----------------------------------------------------------------

// Adds an area of 16 pages, spoiled.
Observe AddArea(std::function<void(uapi::Ctrl&, uapi::AreaReg&)> spoil) {
  return [spoil = std::move(spoil)] {
    const RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    const internal::Mapping memory = internal::Mapping::Map(16 * internal::PageBytes());
    uapi::AreaReg area = {};
    area.addr = reinterpret_cast<uint64_t>(memory.base());
    area.len = memory.bytes();
    uapi::Ctrl control = {.zcrx_id = 0, .op = kCtrlAddArea, .resv = {}, .payload = {}};
    control.payload[0] = reinterpret_cast<uint64_t>(&area);
    spoil(control, area);
    const int result = ring.Register(uapi::kRegisterZcrxCtrl, &control, 0);
    return result == 0 ? "ok: token " + std::to_string(area.rq_area_token >> uapi::kAreaShift) + " << 48"
                       : ErrnoName(result);
  };
}

Observe ArmEvent(SpoilControl spoil) {
  return Ctrl([spoil = std::move(spoil)](uapi::Ctrl& c) {
    c.op = kCtrlArmEvent;
    spoil(c);
  });
}

// --- Export and import ---------------------------------------------------------------------

std::string Exported() {
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  const Fd exported(Export(ring, 0));
  if (exported.get() < 0) return ErrnoName(exported.get());
  const bool closes = (fcntl(exported.get(), F_GETFD) & FD_CLOEXEC) != 0;
  return std::string("ok") + (closes ? ", close-on-exec" : "");
}

std::string ExportToReadOnly() {
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  uapi::Ctrl control = {.zcrx_id = 0, .op = uapi::kCtrlExport, .resv = {}, .payload = {}};
  return ErrnoName(ring.Register(uapi::kRegisterZcrxCtrl, reinterpret_cast<void*>(ReadOnlyCopy(control)), 0));
}

// Imports a registration of one ring into another, spoiled: the errno or what came back.
Observe Import(std::function<void(uapi::IfqReg&)> spoil, uint32_t ring_flags = kReceiveRing) {
  return [=] {
    const RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    const Fd exported(Export(ring, 0));
    EXPECT_GE(exported.get(), 0);
    const RawRing other(ring_flags);
    uapi::IfqReg import = ImportOf(exported.get());
    spoil(import);
    const int result = other.Register(uapi::kRegisterZcrxIfq, &import, 1);
    if (result < 0) return ErrnoName(result);
    const bool same = memcmp(&import.offsets, &registration.ifq.offsets, sizeof(import.offsets)) == 0;
    return "ok: id " + std::to_string(import.zcrx_id) + (same ? ", same offsets" : ", other offsets");
  };
}

std::string ImportIntoItsOwnRing() {
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  const Fd exported(Export(ring, 0));
  uapi::IfqReg import = ImportOf(exported.get());
  const int result = ring.Register(uapi::kRegisterZcrxIfq, &import, 1);
  return result < 0 ? ErrnoName(result) : "ok: id " + std::to_string(import.zcrx_id);
}

Observe ImportDescriptor(bool pipe_end) {
  return Import([=](uapi::IfqReg& import) {
    // A pipe that nobody closes; a number that no file has.
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    import.if_idx = pipe_end ? static_cast<uint32_t>(ends[0]) : ~0u;
  });
}

// The ring that registered is gone; the one that imported receives.
std::string ImportOutlivesItsRing() {
  RawRing importer;
  Registration registration;
  {
    const RawRing ring;
    EXPECT_EQ(registration.Register(ring), 0);
    const Fd exported(Export(ring, 0));
    uapi::IfqReg import = ImportOf(exported.get());
    EXPECT_EQ(importer.Register(uapi::kRegisterZcrxIfq, &import, 1), 0);
    EXPECT_EQ(import.zcrx_id, registration.ifq.zcrx_id);
  }
  Connection connection = ConnectByLoopback();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 20'000));
  connection.client.Close();
  ZeroCopyReceive receive(importer, registration);
  const std::string outcome = receive.Receive(connection.server.get());
  receive.GiveBack();
  return outcome + ", flush " + ErrnoName(Flush(importer, registration));
}

// --- mmap ------------------------------------------------------------------------------------

std::string Map(const RawRing& ring, uint64_t offset, size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd(),
                      static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return ErrnoName(-errno);
  munmap(memory, bytes);
  return "ok";
}

// Maps a ring of two pages that the kernel allocated.
Observe Mapped(uint64_t more_offset, size_t pages) {
  return [=] {
    const RawRing ring;
    Registration registration;
    registration.UseKernelRegion();
    EXPECT_EQ(registration.Register(ring), 0);
    return Map(ring, registration.region.mmap_offset + more_offset, pages * internal::PageBytes());
  };
}

std::string OffsetsOfTwoRings() {
  const RawRing ring;
  std::string outcome;
  Registration first;
  Registration second;
  for (Registration* each : {&first, &second}) {
    each->UseKernelRegion();
    EXPECT_EQ(each->Register(ring), 0);
    outcome += (outcome.empty() ? "" : ", ") + std::to_string(each->region.mmap_offset);
  }
  return outcome;
}

std::string MapUserRegion() {
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  return Map(ring, 0x30000000, 2 * internal::PageBytes());
}

std::string MapByTheImporter() {
  const RawRing ring;
  Registration registration;
  registration.UseKernelRegion();
  EXPECT_EQ(registration.Register(ring), 0);
  const Fd exported(Export(ring, 0));
  const RawRing importer;
  uapi::IfqReg import = ImportOf(exported.get());
  EXPECT_EQ(importer.Register(uapi::kRegisterZcrxIfq, &import, 1), 0);
  return Map(importer, registration.region.mmap_offset, 2 * internal::PageBytes());
}

// The kernel reads what is written through the mapping.
std::string FlushThroughMapping() {
  const RawRing ring;
  Registration registration;
  registration.UseKernelRegion();
  EXPECT_EQ(registration.Register(ring), 0);
  auto* memory = static_cast<std::byte*>(mmap(nullptr, registration.region.size, PROT_READ | PROT_WRITE,
                                              MAP_SHARED | MAP_POPULATE, ring.fd(),
                                              static_cast<off_t>(registration.region.mmap_offset)));
  if (memory == MAP_FAILED) return ErrnoName(-errno);
  uint32_t value = 3;
  memcpy(memory + registration.ifq.offsets.tail, &value, sizeof(value));
  EXPECT_EQ(Flush(ring, registration), 0);
  memcpy(&value, memory + registration.ifq.offsets.head, sizeof(value));
  munmap(memory, registration.region.size);
  return "head " + std::to_string(value);
}

}  // namespace

std::vector<Case> ControlCases() {
  const auto valid = [](uapi::Ctrl&) {};
  const auto same = [](uapi::IfqReg&) {};
  return {
      {"control_flush", "ok", Ctrl(valid)},
      {"control_count_1", "EINVAL", Ctrl(valid, 1)},
      {"control_null", "EFAULT", CtrlArgument(0, 0)},
      {"control_unreadable", "EFAULT", [] { return CtrlArgument(Unreadable(), 0)(); }},
      {"control_count_before_reading", "EINVAL", [] { return CtrlArgument(Unreadable(), 1)(); }},
      {"control_resv_0", "EFAULT", Ctrl([](uapi::Ctrl& c) { c.resv[0] = 1; })},
      {"control_resv_1", "EFAULT", Ctrl([](uapi::Ctrl& c) { c.resv[1] = 1; })},
      {"control_unknown_id", "ENXIO", Ctrl([](uapi::Ctrl& c) { c.zcrx_id = 1; })},
      {"control_nothing_registered", "ENXIO", CtrlWithoutRegistration},
      {"control_unknown_operation", "EOPNOTSUPP", Ctrl([](uapi::Ctrl& c) { c.op = 4; })},
      {"control_last_operation", "EOPNOTSUPP", Ctrl([](uapi::Ctrl& c) { c.op = ~0u; })},
      {"control_resv_before_id", "EFAULT", Ctrl([](uapi::Ctrl& c) { c.resv[0] = 1, c.zcrx_id = 1; })},
      {"control_id_before_operation", "ENXIO", Ctrl([](uapi::Ctrl& c) { c.zcrx_id = 1, c.op = 4; })},
      {"control_operation_before_payload", "EOPNOTSUPP",
       Ctrl([](uapi::Ctrl& c) { c.op = 4, c.payload[0] = 1; })},

      {"flush_payload_first", "EINVAL", Ctrl([](uapi::Ctrl& c) { c.payload[0] = 1; })},
      {"flush_payload_last", "EINVAL", Ctrl([](uapi::Ctrl& c) { c.payload[5] = 1; })},
      {"flush_empty", "ok head 0, ok head 0", Flushed([](Registration&) {})},
      {"flush_3", "ok head 3, ok head 3", Flushed([](Registration& r) { PutValid(r, 3); })},
      {"flush_more_than_a_batch", "ok head 40, ok head 40",
       Flushed([](Registration& r) { PutValid(r, 40); })},
      {"flush_full_ring", "ok head 64, ok head 64", Flushed([](Registration& r) { PutValid(r, 64); })},
      {"flush_low_bits_are_ignored", "ok head 1, ok head 1",
       Flushed([](Registration& r) { r.PutEntry(4095); })},
      {"flush_stops_at_pad", "ok head 2, ok head 3", FlushedAround(0, 1), &kFlushReadsOn,
       "ok head 3, ok head 3"},
      {"flush_stops_at_area", "ok head 2, ok head 3", FlushedAround(uint64_t{1} << uapi::kAreaShift, 0),
       &kFlushReadsOn, "ok head 3, ok head 3"},
      {"flush_stops_behind_the_area", "ok head 2, ok head 3", FlushedAround(64 * 4096, 0), &kFlushReadsOn,
       "ok head 3, ok head 3"},
      {"flush_last_of_the_area", "ok head 3, ok head 3", FlushedAround(64 * 4096 - 1, 0)},
      {"flush_wild_tail", "ok head 64, ok head 128", Flushed([](Registration& r) { r.MoveTail(1000); })},

      {"add_area", "ok: token 1 << 48", AddArea([](uapi::Ctrl&, uapi::AreaReg&) {}), &kNoAddArea,
       "EOPNOTSUPP"},
      {"add_area_unreadable", "EFAULT",
       AddArea([](uapi::Ctrl& c, uapi::AreaReg&) { c.payload[0] = Unreadable(); }), &kNoAddArea,
       "EOPNOTSUPP"},
      {"add_area_read_only", "EFAULT",
       AddArea([](uapi::Ctrl& c, uapi::AreaReg& a) { c.payload[0] = ReadOnlyCopy(a); }), &kNoAddArea,
       "EOPNOTSUPP"},
      {"add_area_payload", "EINVAL", AddArea([](uapi::Ctrl& c, uapi::AreaReg&) { c.payload[5] = 1; }),
       &kNoAddArea, "EOPNOTSUPP"},
      {"add_area_token", "EINVAL", AddArea([](uapi::Ctrl&, uapi::AreaReg& a) { a.rq_area_token = 1; }),
       &kNoAddArea, "EOPNOTSUPP"},
      {"add_area_length_0", "EFAULT", AddArea([](uapi::Ctrl&, uapi::AreaReg& a) { a.len = 0; }), &kNoAddArea,
       "EOPNOTSUPP"},
      {"add_area_reading_before_payload", "EFAULT",
       AddArea([](uapi::Ctrl& c, uapi::AreaReg&) { c.payload[0] = Unreadable(), c.payload[5] = 1; }),
       &kNoAddArea, "EOPNOTSUPP"},
      {"arm_event_not_fired", "EINVAL", ArmEvent(valid), &kNoEvents, "EOPNOTSUPP"},
      {"arm_event_unknown", "EINVAL", ArmEvent([](uapi::Ctrl& c) { c.payload[0] = 2; }), &kNoEvents,
       "EOPNOTSUPP"},
      {"arm_event_payload", "EINVAL", ArmEvent([](uapi::Ctrl& c) { c.payload[5] = 1; }), &kNoEvents,
       "EOPNOTSUPP"},

      {"export", "ok, close-on-exec", Exported},
      {"export_payload_first", "EINVAL",
       Ctrl([](uapi::Ctrl& c) { c.op = uapi::kCtrlExport, c.payload[0] = 1; })},
      {"export_payload_last", "EINVAL",
       Ctrl([](uapi::Ctrl& c) { c.op = uapi::kCtrlExport, c.payload[5] = uint64_t{1} << 32; })},
      {"export_read_only", "EFAULT", ExportToReadOnly},
      {"import", "ok: id 0, same offsets", Import(same)},
      {"import_into_its_own_ring", "ok: id 1", ImportIntoItsOwnRing},
      {"import_into_narrow_ring", "EINVAL", Import(same, kDeferred)},
      {"import_bad_descriptor", "EBADF", ImportDescriptor(false)},
      {"import_of_a_pipe", "EBADF", ImportDescriptor(true)},
      {"import_with_nodev", "EINVAL", Import([](uapi::IfqReg& i) { i.flags |= kRegisterNodev; })},
      {"import_with_unknown_flag", "EINVAL", Import([](uapi::IfqReg& i) { i.flags |= 4; })},
      {"import_with_queue", "EINVAL", Import([](uapi::IfqReg& i) { i.if_rxq = 1; })},
      {"import_with_entries", "EINVAL", Import([](uapi::IfqReg& i) { i.rq_entries = 1; })},
      {"import_with_area", "EINVAL", Import([](uapi::IfqReg& i) { i.area_ptr = Unreadable(); })},
      {"import_with_region", "EINVAL", Import([](uapi::IfqReg& i) { i.region_ptr = Unreadable(); })},
      {"import_with_events", "EINVAL", Import([](uapi::IfqReg& i) { i.event_desc = Unreadable(); })},
      {"import_with_resv", "EINVAL", Import([](uapi::IfqReg& i) { i.resv = 1; })},
      {"import_with_id", "EINVAL", Import([](uapi::IfqReg& i) { i.zcrx_id = 1; })},
      {"import_buffer_size_is_ignored", "ok: id 0, same offsets",
       Import([](uapi::IfqReg& i) { i.rx_buf_len = 1; })},
      {"import_fields_before_descriptor", "EINVAL",
       Import([](uapi::IfqReg& i) { i.rq_entries = 1, i.if_idx = ~0u; })},
      {"import_outlives_its_ring", "data 20000, end 0, flush ok", ImportOutlivesItsRing},

      {"mmap_offsets", "805306368, 805371904", OffsetsOfTwoRings},
      {"mmap", "ok", Mapped(0, 2)},
      {"mmap_larger", "ok", Mapped(0, 4)},
      {"mmap_smaller", "EFAULT", Mapped(0, 1)},
      {"mmap_another_id", "EINVAL", Mapped(uint64_t{1} << 16, 2), &kMappingOutOfMemory, "ENOMEM"},
      {"mmap_another_kind", "EINVAL", Mapped(0x08000000, 2), &kMappingOutOfMemory, "ENOMEM"},
      {"mmap_user_region", "EINVAL", MapUserRegion, &kMappingOutOfMemory, "ENOMEM"},
      {"mmap_by_the_importer", "ok", MapByTheImporter},
      {"mmap_flush_through_it", "head 3", FlushThroughMapping},
  };
}

}  // namespace zcrx
