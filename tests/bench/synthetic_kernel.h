// SPDX-License-Identifier: Apache-2.0
//
// Kernel and NIC in plain memory, for benchmarks: posts fragments as the real one
// would, and takes back what the refill ring brings. What it does itself is neither
// counted nor timed.
#ifndef ZCRX_TESTS_BENCH_SYNTHETIC_KERNEL_H_
#define ZCRX_TESTS_BENCH_SYNTHETIC_KERNEL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/ifq/pool_region.h"
#include "lib/ring/completion_queue.h"
#include "lib/ring/rbuf_ring.h"
#include "lib/ring/refill_ring.h"
#include "lib/uapi/zcrx.h"

namespace zcrx::bench {

// What arrives, and how it is told.
struct Traffic {
  bool rbuf;         // by the rbuf ring, else by a main completion queue of wide entries
  uint32_t streams;  // that take turns
  uint32_t pass;     // fragments of a stream one after the other; by the rbuf ring they share a completion
  uint32_t batch;    // fragments per turn of the loop
  uint32_t pieces;   // of the region; a power of two
};

// What a consumer makes of its bytes: it looks at the first of each fragment.
struct Tally {
  void Add(const std::byte* data, size_t size) {
    bytes += size;
    sum += std::to_integer<uint64_t>(*data);
  }

  uint64_t bytes = 0;
  uint64_t sum = 0;
};

class SyntheticKernel {
 public:
  static constexpr uint32_t kPieceBytes = 4096;

  explicit SyntheticKernel(const Traffic& traffic);

  const Traffic& traffic() const { return traffic_; }
  // Memory to receive into. Not yet used.
  internal::PoolRegion MapRegion() const;
  internal::CompletionQueue::Memory completions();
  internal::RbufRing::Memory rbufs();
  // Has room for all pieces there are.
  internal::RefillRing::Memory refills();

  // A request: its completions carry `user_data`.
  void AddStream(uint64_t user_data) { streams_.push_back(user_data); }

  // Takes the refill ring, and posts the next batch.
  void Turn();

  // What the consumers must have come to.
  const Tally& posted() const { return posted_; }
  // Turns in which the refill ring brought something.
  uint64_t refilled_turns() const { return refilled_turns_; }
  // Time spent in Turn().
  std::chrono::nanoseconds time() const { return time_; }

 private:
  io_uring_cqe& NextCompletion(uint64_t user_data, uint32_t count_or_length);
  void PostPass(uint64_t user_data, uint32_t fragments);
  uint64_t TakePiece();

  const Traffic traffic_;
  const uint32_t ring_entries_;  // of each ring: room for all pieces
  std::vector<uint64_t> streams_;
  uint32_t next_stream_ = 0;
  std::vector<uint64_t> cqes_;  // raw: an entry is two or four words
  std::vector<uapi::RbufCqe> rbufs_;
  std::vector<uapi::Rqe> rqes_;
  uint32_t cq_head_ = 0;
  uint32_t cq_tail_ = 0;
  uint32_t rbuf_head_ = 0;
  uint32_t rbuf_tail_ = 0;
  uint32_t rq_head_ = 0;
  uint32_t rq_tail_ = 0;
  std::vector<uint64_t> free_;  // offsets of free pieces, in a circle: the oldest is used first
  uint32_t free_begin_ = 0;
  uint32_t free_end_;
  Tally posted_;
  uint64_t refilled_turns_ = 0;
  std::chrono::nanoseconds time_ = {};
};

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_SYNTHETIC_KERNEL_H_
