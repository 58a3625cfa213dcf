// SPDX-License-Identifier: Apache-2.0
//
// What the tests in the guest share: the two linked test NICs, the receiver's in
// namespace "a" and its peer in namespace "b", and the test NIC's knobs.
#ifndef ZCRX_TESTS_GUEST_GUEST_H_
#define ZCRX_TESTS_GUEST_GUEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "zcrx/zcrx.h"

namespace zcrx {

// The interface of namespace `a` ("a0"); empty outside the guest.
std::string InterfaceA();
// The port that the flow rules steer to queue 1 of it.
uint16_t ZeroCopyPort();
constexpr uint32_t kZeroCopyQueue = 1;

// Moves the calling thread into the network namespace.
void EnterNamespace(const std::string& name);

// A debugfs file of the test NIC of namespace `a`, such as "rx/unsplit_every".
void WriteKnob(const std::string& file, const std::string& value);
// A counter of one of its queues, such as "split_bytes".
uint64_t QueueCounter(uint32_t queue, const std::string& counter);

// Runs a shell command; the test fails if it does.
void Shell(const std::string& command);

// tools/zcrx_nic, as tests/guest/run found it.
std::string NicTool();

// An io_uring that has ended lets go of its queue a little later.
void WaitUntilQueueIsFree(uint32_t queue = kZeroCopyQueue);

// Takes a capability from the calling thread.
void DropCapability(int capability);

// Loads an XDP program that passes everything. Its file descriptor, or a negated errno.
int LoadXdp();

// Attaches an XDP program that passes everything to an interface of the calling thread's namespace. The file
// descriptor that keeps it there, or a negated errno.
int AttachXdp(const std::string& interface);

// Options for zero copy from the reserved queue.
RuntimeOptions ZeroCopyOptions(size_t pool_bytes = 32 << 20);

// Skips outside the guest; enters namespace `a`; restores all knobs afterwards.
class GuestTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

// For tests that receive from the test NIC.
class NicTest : public GuestTest {
 protected:
  void SetUp() override;

  // Both end the program if it cannot be had.
  static Runtime NewRuntime(const RuntimeOptions& options);
  static Listener Listen(Runtime& runtime, uint16_t port = ZeroCopyPort());

  // Payload bytes that the NIC wrote into the region of queue 1 during this test.
  uint64_t SplitBytes() const { return QueueCounter(kZeroCopyQueue, "split_bytes") - split_before_; }

 private:
  uint64_t split_before_ = 0;
};

// Byte `index` of the stream that a peer sends.
std::byte ContentAt(uint64_t index);

// A peer in namespace `b` that does what `act` does with a socket connected to
// the server, on a thread of its own. Joins at its end.
class Peer {
 public:
  Peer(uint16_t port, std::function<void(int fd)> act);

 private:
  std::jthread thread_;
};

// Sends `count` bytes of the content from `start` on; false if the connection failed.
bool SendContent(int fd, uint64_t start, size_t count);
// Receives until the end; how many bytes, all of them checked against the content. -1 on an error.
int64_t ReceiveContent(int fd);

// Checks that bytes of a stream are the content, in order.
class ContentChecker {
 public:
  void Check(std::span<const std::byte> bytes);
  uint64_t count() const { return count_; }

 private:
  uint64_t count_ = 0;
};

}  // namespace zcrx

#endif  // ZCRX_TESTS_GUEST_GUEST_H_
