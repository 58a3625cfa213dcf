// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/synthetic_kernel.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

namespace zcrx::bench {

SyntheticKernel::SyntheticKernel(const Traffic& traffic)
    : traffic_(traffic),
      ring_entries_(traffic.pieces),
      cqes_(size_t{ring_entries_} * (traffic.rbuf ? 2 : 4)),
      rbufs_(ring_entries_),
      rqes_(ring_entries_),
      free_(traffic.pieces),
      free_end_(traffic.pieces) {
  for (uint64_t piece = 0; piece < free_.size(); ++piece) free_[piece] = piece * kPieceBytes;
}

internal::PoolRegion SyntheticKernel::MapRegion() const {
  internal::PoolRegion region =
      *internal::PoolRegion::Map({.bytes = size_t{traffic_.pieces} * kPieceBytes}, std::nullopt);
  for (size_t piece = 0; piece < traffic_.pieces; ++piece)
    region.base()[piece * kPieceBytes] = std::byte(piece);
  return region;
}

internal::CompletionQueue::Memory SyntheticKernel::completions() {
  return {.head = &cq_head_,
          .tail = &cq_tail_,
          .entries = reinterpret_cast<io_uring_cqe*>(cqes_.data()),
          .size = ring_entries_,
          .wide = !traffic_.rbuf};
}

internal::RbufRing::Memory SyntheticKernel::rbufs() {
  return {.head = &rbuf_head_, .tail = &rbuf_tail_, .entries = rbufs_.data(), .size = ring_entries_};
}

internal::RefillRing::Memory SyntheticKernel::refills() {
  return {.head = &rq_head_, .tail = &rq_tail_, .entries = rqes_.data(), .size = ring_entries_};
}

void SyntheticKernel::Turn() {
  const auto start = std::chrono::steady_clock::now();
  if (rq_head_ != rq_tail_) ++refilled_turns_;
  for (; rq_head_ != rq_tail_; ++rq_head_)
    free_[free_end_++ % traffic_.pieces] = rqes_[rq_head_ % ring_entries_].off;
  for (uint32_t left = traffic_.batch; left > 0;) {
    const uint32_t pass = std::min(left, traffic_.pass);
    PostPass(streams_[next_stream_++ % streams_.size()], pass);
    left -= pass;
  }
  time_ += std::chrono::steady_clock::now() - start;
}

void SyntheticKernel::PostPass(uint64_t user_data, uint32_t fragments) {
  for (uint32_t i = 0; i < fragments; ++i) {
    const uint64_t offset = TakePiece();
    posted_.bytes += kPieceBytes;
    posted_.sum += offset / kPieceBytes % 256;
    if (traffic_.rbuf) {
      rbufs_[rbuf_tail_++ % ring_entries_] = {.off = offset, .len = kPieceBytes, .flags = 0};
    } else {
      NextCompletion(user_data, kPieceBytes).big_cqe[0] = offset;
    }
  }
  if (traffic_.rbuf) NextCompletion(user_data, fragments);
}

uint64_t SyntheticKernel::TakePiece() {
  if (free_begin_ == free_end_) {
    (void)fputs("the receiver does not give back what it has received\n", stderr);
    abort();
  }
  return free_[free_begin_++ % traffic_.pieces];
}

io_uring_cqe& SyntheticKernel::NextCompletion(uint64_t user_data, uint32_t count_or_length) {
  const size_t words = traffic_.rbuf ? 2 : 4;
  auto* cqe = reinterpret_cast<io_uring_cqe*>(&cqes_[cq_tail_++ % ring_entries_ * words]);
  cqe->user_data = user_data;
  cqe->res = static_cast<int32_t>(count_or_length);
  cqe->flags = IORING_CQE_F_MORE;
  return *cqe;
}

}  // namespace zcrx::bench
