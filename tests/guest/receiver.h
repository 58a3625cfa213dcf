// SPDX-License-Identifier: Apache-2.0
//
// A receiver without the library that keeps what it gets until it is told to give
// it back, and knows every piece: what the tests of lifetimes are made of.
#ifndef ZCRX_TESTS_GUEST_RECEIVER_H_
#define ZCRX_TESTS_GUEST_RECEIVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/guest/raw_ring.h"

namespace zcrx {

// How often a test does what it does: tests/guest/run says which variables there are.
uint64_t Parameter(const char* name, uint64_t standard);

// Runs `body` on a thread in the namespace.
void InNamespace(const std::string& name, const std::function<void()>& body);

// Calls `holds` until it does. How long that took; the test fails if it took longer than anything ever
// should.
std::chrono::milliseconds WaitFor(const std::string& what, const std::function<bool()>& holds);

// Whether an io_uring has queue 1 of the interface in namespace `a`.
bool QueueIsBound();

// The page pools in namespace `a` that get their memory from an io_uring.
std::vector<netdev::PagePool> ProviderPools();

// Pages of user memory that the kernel holds for devices and io_uring: a region among them.
int64_t PinnedPages();

// A connection from namespace `b` on which a thread sends Content from 0 on: `bytes` of it, then nothing.
// Resets the connection at its end.
class Sender {
 public:
  static constexpr uint64_t kForever = UINT64_MAX;

  explicit Sender(uint64_t bytes, const char* host = "10.0.0.1");
  ~Sender();

  uint64_t sent() const { return sent_; }

 private:
  void Run(uint64_t bytes, const char* host);

  std::atomic<uint64_t> sent_ = 0;
  std::atomic<bool> stop_ = false;
  std::jthread thread_;
};

// Accepts a connection, if one comes.
Fd AcceptSoon(const Fd& listener);

class Receiver {
 public:
  static constexpr size_t kPages = 2048;
  static constexpr uint32_t kRefillEntries = 4096;

  explicit Receiver(size_t pages = kPages);

  // Registers queue 1. A former owner's end may still be under way: tries again for a while.
  // 0 or a negated errno.
  int Bind();
  // Takes a registration over that `fd` stands for; the refill ring is the other's. 0 or a negated errno.
  int Import(const Receiver& owner, int fd);

  RawRing& ring() { return *ring_; }
  Registration& registration() { return registration_; }

  // Takes over a connected socket; its number. Unless armed, its data stays in the socket.
  size_t Adopt(Fd fd, bool armed = true);
  void Arm(size_t stream);
  int fd(size_t stream) const { return streams_[stream].fd.get(); }
  void CloseSocket(size_t stream);
  void CloseSockets();

  // Takes one completion in, checks its bytes, keeps it. False if none came within `patience`.
  bool TakeOne(std::chrono::milliseconds patience);
  // Until `bytes` in all have come in that stream; false if they did not.
  bool Receive(size_t stream, uint64_t bytes);
  // Until the peer's end; false if it did not come.
  bool ReceiveEnd(size_t stream);
  uint64_t received(size_t stream) const { return streams_[stream].received; }
  // How often the kernel ended a request for want of memory.
  uint64_t starved() const { return starved_; }
  bool ended(size_t stream) const { return streams_[stream].ended; }
  // Whether the kernel ended the stream's request with something other than the want of room or of buffers.
  std::string error(size_t stream) const { return ErrnoName(streams_[stream].error); }

  // Gives back everything that is held, once each; of one stream, or of all.
  void GiveBack();
  void GiveBack(size_t stream);
  // Hands the kernel what is in the refill ring.
  void Flush();
  // The number of buffers of which something is held.
  size_t HeldBuffers() const;
  // Whether the bytes held are still those that came.
  bool HeldIntact() const;

  // Receives, holding everything, until every buffer of the region is held, and the kernel has none left. How
  // many that were: fewer than the region has if the NIC found none before.
  size_t HoldAll();

  // No content to check, and no care whether pieces overlap, while somebody gives back what he should not.
  void set_lenient(bool lenient) { lenient_ = lenient; }
  // Forgets what is held without giving it back.
  void Forget() { held_.clear(); }

  void CloseRing() { ring_.reset(); }

 private:
  struct Stream {
    Fd fd;
    uint64_t received = 0;
    bool ended = false;
    bool armed = false;
    int error = 0;
  };
  struct Piece {
    uint64_t end;    // of the offsets
    uint64_t start;  // in the content
    size_t stream;
  };
  void Keep(const Cqe& cqe, size_t stream);
  // False as well if packets were lost again and again for want of a buffer.
  bool ReceiveUnlessLost(size_t stream, uint64_t bytes);
  void ReturnOne(uint64_t offset);

  std::optional<RawRing> ring_;
  Registration registration_;
  Registration* shared_ = nullptr;  // whose region and refill ring are used
  std::vector<Stream> streams_;
  std::map<uint64_t, Piece> held_;  // by offset in the region
  uint64_t starved_ = 0;
  bool lenient_ = false;
};

}  // namespace zcrx

#endif  // ZCRX_TESTS_GUEST_RECEIVER_H_
