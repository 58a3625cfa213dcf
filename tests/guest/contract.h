// SPDX-License-Identifier: Apache-2.0
//
// The list of raw kernel calls of zero-copy receive, right and wrong, each with
// the outcome that mainline gives. contract_test.cc runs it.
#ifndef ZCRX_TESTS_GUEST_CONTRACT_H_
#define ZCRX_TESTS_GUEST_CONTRACT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/uapi/zcrx.h"
#include "tests/guest/raw_ring.h"

namespace zcrx {

// What the running kernel says that it can do.
struct KernelAnswers {
  uint64_t ring_setup_flags = 0;  // 0 if it does not say
  uapi::QueryZcrx zcrx = {};
  uint32_t events = 0;           // a bit for each kind
  bool split_threshold = false;  // of the test NIC, by netlink
};
const KernelAnswers& AskKernel();

// A way in which a kernel may differ by intent.
struct Difference {
  const char* name;
  bool (*applies)(const KernelAnswers& kernel);
  const char* reason;  // one sentence
};
extern const Difference kNoMixedCompletions;
extern const Difference kNoEvents;
extern const Difference kNoAddArea;
extern const Difference kNoBufferSizes;
extern const Difference kNoSplitThreshold;
extern const Difference kRbufRing;
extern const Difference kFlushReadsOn;
extern const Difference kMappingOutOfMemory;

struct Case {
  const char* name;  // group_words
  std::string expected;
  std::function<std::string()> observe;
  // Where the difference applies, this and nothing else is expected.
  const Difference* difference = nullptr;
  std::string otherwise = {};
};

std::vector<Case> SetupCases();     // rings, capability, query
std::vector<Case> RegisterCases();  // arguments that need no NIC
std::vector<Case> NicCases();       // queues, devices, memory that only a device takes
std::vector<Case> ControlCases();   // ZCRX_CTRL, export and import, mmap
std::vector<Case> ReceiveCases();   // RECV_ZC

// --- What the lists are written with ---------------------------------------------

inline constexpr char kAccepted[] = "ok: 64 entries, buffers of 4096, id 0, token 0";
// An outcome that begins so is a skip; the reason follows.
inline constexpr char kSkip[] = "skip: ";

using Observe = std::function<std::string()>;
using Spoil = std::function<void(Registration& registration)>;

// Registers on `ring`; the errno or what the kernel returned.
std::string Outcome(const RawRing& ring, Registration& registration);
// Registration without a NIC, spoiled. After a refusal, that nothing is left of it.
Observe Nodev(Spoil spoil);
// Registration of the NIC's queue 1, spoiled.
Observe Nic(Spoil spoil);

std::string InThread(const Observe& observe);
// In a child process.
std::string InChild(const Observe& observe);

// Addresses of a page that cannot be accessed.
uint64_t Unreadable();
// A copy of `value` in memory that cannot be written. Stays for ever.
uint64_t ReadOnlyCopy(const void* value, size_t size);
template <typename T>
uint64_t ReadOnlyCopy(const T& value) {
  return ReadOnlyCopy(&value, sizeof(value));
}

}  // namespace zcrx

#endif  // ZCRX_TESTS_GUEST_CONTRACT_H_
