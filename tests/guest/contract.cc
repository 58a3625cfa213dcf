// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/contract.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <cstring>
#include <thread>

#include "lib/netdev/interface.h"
#include "lib/netdev/rings.h"
#include "lib/uapi/query.h"

namespace zcrx {
namespace {

// struct io_uring_query_opcode
struct QueryOpcodes {
  uint32_t nr_request_opcodes;
  uint32_t nr_register_opcodes;
  uint64_t feature_flags;
  uint64_t ring_setup_flags;
  uint64_t enter_flags;
  uint64_t sqe_flags;
  uint32_t nr_query_opcodes;
  uint32_t pad;
};
constexpr uint32_t kQueryOpcodes = 0;

KernelAnswers Answers() {
  KernelAnswers kernel;
  QueryOpcodes opcodes = {};
  if (uapi::Query(kQueryOpcodes, opcodes)) kernel.ring_setup_flags = opcodes.ring_setup_flags;
  EXPECT_TRUE(uapi::Query(uapi::kQueryZcrx, kernel.zcrx))
      << "the kernel tells nothing about zero-copy receive";
  uapi::QueryZcrxEvent event = {};
  if (uapi::Query(uapi::kQueryZcrxEvent, event)) kernel.events = event.event_flags;
  const auto interface = netdev::FindInterface(InterfaceA());
  EXPECT_TRUE(interface.ok()) << interface.status();
  if (interface.ok()) {
    const auto rings = netdev::GetRings(*interface);
    EXPECT_TRUE(rings.ok()) << rings.status();
    kernel.split_threshold = rings.ok() && rings->header_split_threshold.has_value();
  }
  return kernel;
}

}  // namespace

const KernelAnswers& AskKernel() {
  static const KernelAnswers kernel = Answers();
  return kernel;
}

const Difference kNoMixedCompletions = {
    "no CQE_MIXED",
    [](const KernelAnswers& kernel) { return (kernel.ring_setup_flags & kSetupCqeMixed) == 0; },
    "Completion queues with entries of both sizes came with Linux 6.18; CQE32 does."};
const Difference kNoEvents = {"no events", [](const KernelAnswers& kernel) { return kernel.events == 0; },
                              "Events came with Linux 7.2; our series has the counters that came with them, "
                              "but no completion that tells of an event."};
const Difference kNoAddArea = {
    "no areas added later",
    [](const KernelAnswers& kernel) { return kernel.zcrx.nr_ctrl_opcodes <= kCtrlAddArea; },
    "ZCRX_CTRL_ADD_AREA came with Linux 7.3; memory is registered once."};
const Difference kNoBufferSizes = {
    "no other buffer sizes",
    [](const KernelAnswers& kernel) { return (kernel.zcrx.features & uapi::kFeatureRxPageSize) == 0; },
    "Drivers of before 7.0 cannot be asked for another buffer size than the page."};
const Difference kNoSplitThreshold = {"no header split threshold",
                                      [](const KernelAnswers& kernel) { return !kernel.split_threshold; },
                                      "ethtool's hds-thresh came with Linux 6.14."};
const Difference kRbufRing = {
    "the rbuf completion ring",
    [](const KernelAnswers& kernel) { return (kernel.zcrx.register_flags & uapi::kRegRbufCq) != 0; },
    "Our series has a completion ring of 16-byte entries that mainline lacks; flag 31 asks for it, and then "
    "`__resv[0]` points to its description."};

const Difference kFlushReadsOn = {
    "flushing reads on",
    [](const KernelAnswers& kernel) { return (kernel.zcrx.register_flags & uapi::kRegRbufCq) != 0; },
    "Mainline's ZCRX_CTRL_FLUSH_RQ stops behind an entry that names no buffer, and has to be called again; "
    "our series reads on."};
const Difference kMappingOutOfMemory = {
    "mmap() of what is not there",
    [](const KernelAnswers& kernel) { return (kernel.ring_setup_flags & kSetupCqeMixed) == 0; },
    "io_uring of 6.12 says ENOMEM for any offset of a ring that there is nothing at; our series leaves it "
    "at that."};

std::string Outcome(const RawRing& ring, Registration& registration) {
  const int result = registration.Register(ring);
  return result == 0 ? registration.Returned() : ErrnoName(result);
}

Observe Nodev(Spoil spoil) {
  return [spoil = std::move(spoil)] {
    const RawRing ring;
    Registration registration;
    spoil(registration);
    const std::string outcome = Outcome(ring, registration);
    if (outcome.starts_with("ok")) return outcome;
    Registration again;
    EXPECT_EQ(Outcome(ring, again), kAccepted) << "something is left of what was refused";
    return outcome;
  };
}

Observe Nic(Spoil spoil) {
  return [spoil = std::move(spoil)] {
    const RawRing ring;
    Registration registration(1024);
    registration.UseNic();
    spoil(registration);
    return Outcome(ring, registration);
  };
}

std::string InThread(const Observe& observe) {
  std::string outcome;
  std::thread([&] { outcome = observe(); }).join();
  return outcome;
}

std::string InChild(const Observe& observe) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string outcome = observe();
    const bool written =
        write(ends[1], outcome.data(), outcome.size()) == static_cast<ssize_t>(outcome.size());
    _exit(written && !testing::Test::HasFailure() ? 0 : 1);
  }
  close(ends[1]);
  std::string outcome(256, 0);
  const ssize_t size = read(ends[0], outcome.data(), outcome.size());
  outcome.resize(size > 0 ? static_cast<size_t>(size) : 0);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the child failed";
  return outcome;
}

uint64_t Unreadable() {
  static void* const page =
      mmap(nullptr, internal::PageBytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return reinterpret_cast<uint64_t>(page);
}

uint64_t ReadOnlyCopy(const void* value, size_t size) {
  void* page =
      mmap(nullptr, internal::PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, value, size);
  mprotect(page, internal::PageBytes(), PROT_READ);
  return reinterpret_cast<uint64_t>(page);
}

}  // namespace zcrx
