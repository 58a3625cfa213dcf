// SPDX-License-Identifier: Apache-2.0
//
// Ways of receiving from a NIC next to each other: a Contender for each, and what
// they have in common, so that they differ in how they receive alone. Each runs on
// one thread, on blocking sockets that are connected, until their ends.
#ifndef ZCRX_TESTS_BENCH_RECEIVE_H_
#define ZCRX_TESTS_BENCH_RECEIVE_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/receive_content.h"

namespace zcrx::bench {

// The most that one call or request of those that copy asks for, as iperf3 does.
inline constexpr size_t kReadBytes = size_t{128} << 10;
// Of those that do not copy: of a piece, and of what they register. At most half of that may be kept; the
// rest is for what is on its way.
inline constexpr size_t kPieceBytes = 4096;
inline constexpr size_t kRegionBytes = size_t{256} << 20;

struct ReceivePlan {
  uint32_t connections = 1;
  bool touch = false;  // whether every byte is read
  // What the application still holds of what came last. More than the caches have
  // makes all that is received come to cold memory. Who copies goes through so much
  // memory again and again; who does not holds so many bytes of pieces back.
  size_t keep_bytes = 0;
  // What the zero-copy contenders register.
  std::string interface;
  uint32_t rx_queue = 0;

  // Whoever copies has at least one buffer for each connection.
  size_t copy_memory_bytes() const;
  // What is registered: less than half of it is ever kept, the rest is for what is on its way.
  size_t region_bytes() const { return (size_t{64} << 20) + 2 * keep_bytes; }
  size_t kept_pieces() const { return keep_bytes / kPieceBytes; }
};

// What has come of all connections. They are numbered in the order of their being accepted.
class Arrivals {
 public:
  // `on_warm` is called once, when so many bytes have come.
  Arrivals(const ReceivePlan& plan, uint64_t warm_up_bytes, std::function<void()> on_warm)
      : touch_(plan.touch),
        open_(plan.connections),
        connections_(plan.connections),
        warm_up_left_(warm_up_bytes),
        on_warm_(std::move(on_warm)) {}

  void Add(uint32_t connection, const void* data, size_t size) {
    if (touch_) connections_[connection].checksum.Add(data, size);
    AddUnread(connection, size);
  }
  // Only if they are not to be touched.
  void AddUnread(uint32_t connection, size_t size) {
    connections_[connection].bytes += size;
    if (warm_up_left_ > 0) WarmUp(size);
  }
  void End(uint32_t connection);

  bool touch() const { return touch_; }
  // Connections that have not ended.
  uint32_t open() const { return open_; }
  // Ends the program if anything is not as receive_load sends it.
  void Check(uint64_t total_bytes) const;

 private:
  struct Connection {
    uint64_t bytes = 0;
    Checksum checksum;
    bool ended = false;
  };

  void WarmUp(size_t size);

  const bool touch_;
  uint32_t open_;
  std::vector<Connection> connections_;
  uint64_t warm_up_left_;
  std::function<void()> on_warm_;
};

// Told by the contenders themselves.
struct ReceiveCounts {
  uint64_t completions = 0;   // entries of the completion queue, or events of epoll
  uint64_t system_calls = 0;  // on the way of the data
};

class Contender {
 public:
  virtual ~Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  // Until all have ended. The sockets become the contender's.
  virtual void Receive(std::span<const int> sockets, Arrivals& arrivals) = 0;
  virtual ReceiveCounts counts() const { return counts_; }

 protected:
  Contender() = default;
  ReceiveCounts counts_;
};

std::unique_ptr<Contender> MakeEpoll(const ReceivePlan& plan);
std::unique_ptr<Contender> MakeMultishot(const ReceivePlan& plan);
std::unique_ptr<Contender> MakeFixed(const ReceivePlan& plan);
std::unique_ptr<Contender> MakeCLoop(const ReceivePlan& plan);
std::unique_ptr<Contender> MakeZcrxMain(const ReceivePlan& plan);
std::unique_ptr<Contender> MakeZcrxRbuf(const ReceivePlan& plan);

// Ends the program with a message; `error` is an errno, negated or not, or 0.
[[noreturn]] void Die(const char* what, int error);
inline void Require(bool fine, const char* what, int error = 0) {
  if (!fine) Die(what, error);
}

// Memory that is there: no page of it has to be faulted in any more.
class Memory {
 public:
  explicit Memory(size_t bytes);
  ~Memory() { munmap(base_, bytes_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  unsigned char* base() const { return base_; }
  size_t bytes() const { return bytes_; }

 private:
  unsigned char* base_;
  size_t bytes_;
};

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_RECEIVE_H_
