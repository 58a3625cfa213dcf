// SPDX-License-Identifier: Apache-2.0
//
// Before any argument is looked at: which ring, whose thread, which capability;
// and what the kernel tells about itself.
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/guest/contract.h"

namespace zcrx {
namespace {

std::string Hex(uint64_t value) {
  std::array<char, 19> text;
  snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

// Sets a ring up; if that works, registers with it.
Observe Ring(uint32_t flags) {
  return [flags] {
    const RawRing ring(flags);
    if (ring.error() != 0) return "setup: " + ErrnoName(ring.error());
    Registration registration;
    return Outcome(ring, registration);
  };
}

// --- Threads -----------------------------------------------------------------------

std::string RegisterOnAnotherThread() {
  const RawRing ring;
  Registration registration;
  return InThread([&] { return Outcome(ring, registration); });
}

std::string ControlOnAnotherThread() {
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  return InThread([&] { return ErrnoName(Flush(ring, registration)); });
}

std::string NothingOnAnotherThread() {
  const RawRing ring;
  return InThread([&] { return ErrnoName(ring.Register(uapi::kRegisterZcrxIfq, nullptr, 1)); });
}

// Nobody owns a disabled ring yet.
std::string DisabledRing(bool on_another_thread) {
  const RawRing ring(kReceiveRing | IORING_SETUP_R_DISABLED);
  Registration registration;
  const Observe observe = [&] { return Outcome(ring, registration); };
  const std::string outcome = on_another_thread ? InThread(observe) : observe();
  EXPECT_EQ(ring.Register(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), 0);
  return outcome + ", then flush " + ErrnoName(Flush(ring, registration));
}

// --- Restrictions ------------------------------------------------------------------

// A ring that is restricted to what `allowed` says, besides enabling it.
std::unique_ptr<RawRing> RestrictedRing(std::vector<io_uring_restriction> allowed) {
  auto ring = std::make_unique<RawRing>(kReceiveRing | IORING_SETUP_R_DISABLED);
  io_uring_restriction enable = {};
  enable.opcode = IORING_RESTRICTION_REGISTER_OP;
  enable.register_op = IORING_REGISTER_ENABLE_RINGS;
  allowed.push_back(enable);
  EXPECT_EQ(
      ring->Register(IORING_REGISTER_RESTRICTIONS, allowed.data(), static_cast<unsigned>(allowed.size())), 0);
  EXPECT_EQ(ring->Register(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), 0);
  return ring;
}

io_uring_restriction AllowRegister(unsigned opcode) {
  io_uring_restriction restriction = {};
  restriction.opcode = IORING_RESTRICTION_REGISTER_OP;
  restriction.register_op = static_cast<uint8_t>(opcode);
  return restriction;
}

io_uring_restriction AllowRequest(unsigned opcode) {
  io_uring_restriction restriction = {};
  restriction.opcode = IORING_RESTRICTION_SQE_OP;
  restriction.sqe_op = static_cast<uint8_t>(opcode);
  return restriction;
}

// Registers on a ring that allows one registration opcode.
std::string RestrictedRegister(unsigned opcode) {
  const auto ring = RestrictedRing({AllowRegister(opcode)});
  Registration registration;
  return Outcome(*ring, registration);
}

std::string RestrictedControl() {
  const auto ring = RestrictedRing({AllowRegister(uapi::kRegisterZcrxIfq)});
  Registration registration;
  EXPECT_EQ(registration.Register(*ring), 0);
  return ErrnoName(Flush(*ring, registration));
}

// RECV_ZC on a ring that allows one request opcode.
std::string RestrictedRequest(unsigned opcode) {
  const auto ring = RestrictedRing({AllowRegister(uapi::kRegisterZcrxIfq), AllowRequest(opcode)});
  Registration registration;
  EXPECT_EQ(registration.Register(*ring), 0);
  Connection connection = ConnectByLoopback();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 1000));
  connection.client.Close();
  ZeroCopyReceive receive(*ring, registration);
  return receive.Receive(connection.server.get());
}

std::string ProbeOpcode() {
  const RawRing ring;
  constexpr unsigned kOpcodes = 64;
  std::vector<uint64_t> storage((sizeof(io_uring_probe) + kOpcodes * sizeof(io_uring_probe_op)) / 8 + 1);
  auto* probe = reinterpret_cast<io_uring_probe*>(storage.data());
  EXPECT_EQ(ring.Register(IORING_REGISTER_PROBE, probe, kOpcodes), 0);
  if (probe->last_op < uapi::kOpRecvZc) return "beyond the last";
  return (probe->ops[uapi::kOpRecvZc].flags & IO_URING_OP_SUPPORTED) != 0 ? "supported" : "not supported";
}

// --- The call itself ---------------------------------------------------------------

Observe RegisterCall(bool with_argument, unsigned count) {
  return [=] {
    const RawRing ring;
    Registration registration;
    return ErrnoName(
        ring.Register(uapi::kRegisterZcrxIfq, with_argument ? &registration.ifq : nullptr, count));
  };
}

std::string RegisterOnNoRing() {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  Registration registration;
  const auto result = syscall(__NR_io_uring_register, ends[0], uapi::kRegisterZcrxIfq, &registration.ifq, 1);
  return ErrnoName(result < 0 ? -errno : 0);
}

// --- Capability --------------------------------------------------------------------

// Registers on a thread without CAP_NET_ADMIN.
Observe Unprivileged(uint32_t ring_flags, Spoil spoil) {
  return [ring_flags, spoil = std::move(spoil)] {
    return InThread([&] {
      DropCapability(CAP_NET_ADMIN);
      const RawRing ring(ring_flags);
      Registration registration;
      spoil(registration);
      return Outcome(ring, registration);
    });
  };
}

std::string UnprivilegedUnreadable() {
  return InThread([] {
    DropCapability(CAP_NET_ADMIN);
    const RawRing ring;
    return ErrnoName(ring.Register(uapi::kRegisterZcrxIfq, reinterpret_cast<void*>(Unreadable()), 1));
  });
}

std::string UnprivilegedWrongCount() {
  return InThread([] {
    DropCapability(CAP_NET_ADMIN);
    const RawRing ring;
    return ErrnoName(ring.Register(uapi::kRegisterZcrxIfq, nullptr, 2));
  });
}

// Root of a user namespace of its own has every capability there, which is not enough.
std::string RootOfAUserNamespace() {
  return InChild([] {
    if (unshare(CLONE_NEWUSER) != 0) return std::string(kSkip) + "user namespaces: " + strerror(errno);
    const RawRing ring;
    Registration registration;
    return Outcome(ring, registration);
  });
}

std::string UnprivilegedControl() {
  return InThread([] {
    const RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    DropCapability(CAP_NET_ADMIN);
    return ErrnoName(Flush(ring, registration));
  });
}

// --- QUERY -------------------------------------------------------------------------

uapi::QueryHeader Question(uint32_t topic, void* answer, size_t size) {
  uapi::QueryHeader header = {};
  header.query_data = reinterpret_cast<uint64_t>(answer);
  header.query_op = topic;
  header.size = static_cast<uint32_t>(size);
  return header;
}

int Query(uapi::QueryHeader& header, unsigned count = 0) {
  const auto result = syscall(__NR_io_uring_register, -1, uapi::kRegisterQuery, &header, count);
  return result < 0 ? -errno : 0;
}

// A well-formed question about zero-copy receive, spoiled: the call's result, or that of the entry and the
// size.
Observe Ask(std::function<void(uapi::QueryHeader&)> spoil) {
  return [spoil = std::move(spoil)] {
    std::array<std::byte, 8192> answer = {};
    uapi::QueryHeader header = Question(uapi::kQueryZcrx, answer.data(), sizeof(uapi::QueryZcrx));
    spoil(header);
    const int result = Query(header);
    if (result < 0) return ErrnoName(result);
    return "entry " + ErrnoName(header.result) + ", " + std::to_string(header.size) + " bytes";
  };
}

uapi::QueryZcrx QueryAnswer() {
  uapi::QueryZcrx answer = {};
  uapi::QueryHeader header = Question(uapi::kQueryZcrx, &answer, sizeof(answer));
  EXPECT_EQ(Query(header), 0);
  EXPECT_EQ(answer.resv2, 0u);
  return answer;
}

// What it says of the ring's header holds for what a registration returns.
std::string QueryHeaderOfTheRing() {
  const uapi::QueryZcrx& answer = AskKernel().zcrx;
  const RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  const uapi::Offsets& offsets = registration.ifq.offsets;
  const bool inside = offsets.head + 4 <= answer.rq_hdr_size && offsets.tail + 4 <= answer.rq_hdr_size;
  const bool after = offsets.rqes >= answer.rq_hdr_size && offsets.rqes % answer.rq_hdr_alignment == 0;
  return std::string("head and tail ") + (inside ? "inside" : "outside") + ", entries " +
         (after ? "aligned behind" : "elsewhere");
}

std::string QueryEvents() {
  uapi::QueryZcrxEvent answer = {};
  uapi::QueryHeader header = Question(uapi::kQueryZcrxEvent, &answer, sizeof(answer));
  EXPECT_EQ(Query(header), 0);
  if (header.result != 0) return "entry " + ErrnoName(header.result);
  return "events " + Hex(answer.event_flags) + ", counters of " + std::to_string(answer.stats_size) +
         " bytes, aligned to " + std::to_string(answer.stats_off_alignment);
}

// `count` questions in a chain, and then `next`.
std::string Chain(size_t count, bool cycle) {
  std::vector<uapi::QueryHeader> chain(count);
  std::vector<uapi::QueryZcrx> answers(count);
  for (size_t i = 0; i < count; ++i) {
    chain[i] = Question(uapi::kQueryZcrx, &answers[i], sizeof(answers[i]));
    if (i + 1 < count) chain[i].next_entry = reinterpret_cast<uint64_t>(&chain[i + 1]);
  }
  if (cycle) {
    // The second look at an entry finds the same question.
    chain.back().next_entry = reinterpret_cast<uint64_t>(&chain.front());
  }
  const int result = Query(chain.front());
  if (result < 0) return ErrnoName(result);
  size_t answered = 0;
  for (const uapi::QueryZcrx& answer : answers) answered += answer.register_flags != 0 ? 1 : 0;
  return std::to_string(answered) + " answers";
}

std::string ChainGoesOnAfterAnError() {
  uapi::QueryZcrx answer = {};
  uapi::QueryHeader second = Question(uapi::kQueryZcrx, &answer, sizeof(answer));
  uapi::QueryHeader first = {};
  first.next_entry = reinterpret_cast<uint64_t>(&second);
  first.query_op = 1000;
  EXPECT_EQ(Query(first), 0);
  return "entry " + ErrnoName(first.result) + ", entry " + ErrnoName(second.result);
}

std::string QueryOnARing() {
  const RawRing ring;
  uapi::QueryZcrx answer = {};
  uapi::QueryHeader header = Question(uapi::kQueryZcrx, &answer, sizeof(answer));
  const int result = ring.Register(uapi::kRegisterQuery, &header, 0);
  return ErrnoName(result) + ", entry " + ErrnoName(header.result);
}

std::string UnprivilegedQuery() {
  return InThread([] {
    DropCapability(CAP_NET_ADMIN);
    return QueryOnARing();
  });
}

}  // namespace

std::vector<Case> SetupCases() {
  const auto nothing = [](Registration&) {};
  return {
      {"ring_deferred_cqe32", kAccepted, Ring(kReceiveRing)},
      {"ring_deferred_mixed", kAccepted, Ring(kDeferred | kSetupCqeMixed), &kNoMixedCompletions,
       "setup: EINVAL"},
      {"ring_cqe32_and_mixed", "setup: EINVAL", Ring(kReceiveRing | kSetupCqeMixed)},
      {"ring_not_deferred", "EINVAL", Ring(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQE32)},
      {"ring_narrow_completions", "EINVAL", Ring(kDeferred)},
      {"ring_neither", "EINVAL", Ring(0)},
      {"ring_deferred_without_single_issuer", "setup: EINVAL",
       Ring(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQE32)},
      {"ring_deferred_with_sqpoll", "setup: EINVAL", Ring(kReceiveRing | IORING_SETUP_SQPOLL)},
      {"ring_iopoll", kAccepted, Ring(kReceiveRing | IORING_SETUP_IOPOLL)},
      {"ring_disabled", std::string(kAccepted) + ", then flush ok", [] { return DisabledRing(false); }},
      {"ring_disabled_other_thread", std::string(kAccepted) + ", then flush ok",
       [] { return DisabledRing(true); }},
      {"thread_wrong_for_register", "EEXIST", RegisterOnAnotherThread},
      {"thread_wrong_for_control", "EEXIST", ControlOnAnotherThread},
      {"thread_before_argument", "EEXIST", NothingOnAnotherThread},
      {"restricted_register", "EACCES", [] { return RestrictedRegister(IORING_REGISTER_FILES); }},
      {"restricted_register_allowed", kAccepted, [] { return RestrictedRegister(uapi::kRegisterZcrxIfq); }},
      {"restricted_control", "EACCES", RestrictedControl},
      {"restricted_request", "EACCES", [] { return RestrictedRequest(IORING_OP_NOP); }},
      {"restricted_request_allowed", "data 1000, end 0", [] { return RestrictedRequest(uapi::kOpRecvZc); }},
      {"call_without_argument", "EINVAL", RegisterCall(false, 1)},
      {"call_count_0", "EINVAL", RegisterCall(true, 0)},
      {"call_count_2", "EINVAL", RegisterCall(true, 2)},
      {"call_not_a_ring", "EOPNOTSUPP", RegisterOnNoRing},

      {"capability_none", "EPERM", Unprivileged(kReceiveRing, nothing)},
      {"capability_before_ring_flags", "EPERM", Unprivileged(kDeferred, nothing)},
      {"capability_before_reading", "EPERM", UnprivilegedUnreadable},
      {"capability_after_count", "EINVAL", UnprivilegedWrongCount},
      {"capability_before_fields", "EPERM",
       Unprivileged(kReceiveRing, [](Registration& r) { r.ifq.rbuf_cq_ptr = 1; })},
      {"capability_for_import", "EPERM",
       Unprivileged(kReceiveRing, [](Registration& r) { r.ifq = {}, r.ifq.flags = uapi::kRegImport; })},
      {"capability_for_a_queue", "EPERM",
       Unprivileged(kReceiveRing, [](Registration& r) { r.ifq.flags = 0, r.ifq.if_idx = 1; })},
      {"capability_in_user_namespace", "EPERM", RootOfAUserNamespace},
      {"capability_not_for_control", "ok", UnprivilegedControl},
      {"capability_not_for_query", "ok, entry ok", UnprivilegedQuery},

      {"query_register_flags", "0x3", [] { return Hex(QueryAnswer().register_flags); }, &kRbufRing,
       "0x80000003"},
      {"query_area_flags", "0x1", [] { return Hex(QueryAnswer().area_flags); }},
      {"query_controls", "4", [] { return std::to_string(QueryAnswer().nr_ctrl_opcodes); }, &kNoAddArea, "2"},
      {"query_features", "0x3", [] { return Hex(QueryAnswer().features); }, &kNoBufferSizes, "0x0"},
      {"probe_opcode", "supported", ProbeOpcode},
      {"query_events", "events 0x3, counters of 16 bytes, aligned to 8", QueryEvents, &kNoEvents,
       "events 0x0, counters of 16 bytes, aligned to 8"},
      {"query_ring_header", "head and tail inside, entries aligned behind", QueryHeaderOfTheRing},
      {"query_by_ring", "ok, entry ok", QueryOnARing},
      {"query_count_1", "EINVAL",
       [] {
         uapi::QueryHeader header = {};
         return ErrnoName(Query(header, 1));
       }},
      {"query_nothing", "ok",
       [] {
         return ErrnoName(syscall(__NR_io_uring_register, -1, uapi::kRegisterQuery, nullptr, 0) < 0 ? -errno
                                                                                                    : 0);
       }},
      {"query_unreadable", "EFAULT",
       [] {
         const auto result = syscall(__NR_io_uring_register, -1, uapi::kRegisterQuery, Unreadable(), 0);
         return ErrnoName(result < 0 ? -errno : 0);
       }},
      {"query_valid", "entry ok, 40 bytes", Ask([](uapi::QueryHeader&) {})},
      {"query_unknown", "entry EOPNOTSUPP, 0 bytes", Ask([](uapi::QueryHeader& h) { h.query_op = 1000; })},
      {"query_reserved", "entry EINVAL, 0 bytes", Ask([](uapi::QueryHeader& h) { h.resv[2] = 1; })},
      {"query_result_set", "entry EINVAL, 0 bytes", Ask([](uapi::QueryHeader& h) { h.result = 1; })},
      {"query_size_0", "entry EINVAL, 0 bytes", Ask([](uapi::QueryHeader& h) { h.size = 0; })},
      {"query_size_short", "entry ok, 8 bytes", Ask([](uapi::QueryHeader& h) { h.size = 8; })},
      {"query_size_long", "entry ok, 40 bytes", Ask([](uapi::QueryHeader& h) { h.size = 4096; })},
      {"query_size_too_long", "E2BIG", Ask([](uapi::QueryHeader& h) { h.size = 4097; })},
      {"query_size_before_topic", "E2BIG",
       Ask([](uapi::QueryHeader& h) { h.size = 4097, h.query_op = 1000; })},
      {"query_topic_before_reserved", "entry EOPNOTSUPP, 0 bytes",
       Ask([](uapi::QueryHeader& h) { h.query_op = 1000, h.resv[0] = 1; })},
      {"query_unwritable_answer", "EFAULT", Ask([](uapi::QueryHeader& h) { h.query_data = Unreadable(); })},
      {"query_next_unreadable", "EFAULT", Ask([](uapi::QueryHeader& h) { h.next_entry = Unreadable(); })},
      {"query_chain_of_2", "2 answers", [] { return Chain(2, false); }},
      {"query_chain_of_999", "999 answers", [] { return Chain(999, false); }},
      {"query_chain_of_1000", "ERANGE", [] { return Chain(1000, false); }},
      {"query_chain_in_a_circle", "ERANGE", [] { return Chain(3, true); }},
      {"query_chain_after_an_error", "entry EOPNOTSUPP, entry ok", ChainGoesOnAfterAnError},
  };
}

}  // namespace zcrx
