// SPDX-License-Identifier: Apache-2.0
//
// What the sender and the receiver of the benchmark agree on: which bytes there
// are, and a checksum of them that costs little more than to read them.
#ifndef ZCRX_TESTS_BENCH_RECEIVE_CONTENT_H_
#define ZCRX_TESTS_BENCH_RECEIVE_CONTENT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "examples/content.h"

namespace zcrx::bench {

// Every connection carries the same words, which repeat after about 1 MiB; the first one is another in each.
// The number is prime, so that the repetition meets no size of messages, segments or buffers.
inline constexpr size_t kContentWords = 131'101;

inline uint64_t ContentWord(size_t index) { return RandomWord(1, index); }
inline size_t FirstWord(uint32_t connection) { return size_t{connection} * 997 % kContentWords; }

// Bytes of one of `connections`: whole words.
inline uint64_t ShareOf(uint64_t total_bytes, uint32_t connections) {
  return total_bytes / connections / 8 * 8;
}

// Of a stream of words (the last may be cut short), however it is cut into pieces.
// A word that is missing, doubled or at another place changes it.
class Checksum {
 public:
  void Add(const void* data, size_t size) {
    const auto* in = static_cast<const unsigned char*>(data);
    if (cut_ > 0) {
      const size_t part = std::min(sizeof(word_) - cut_, size);
      memcpy(reinterpret_cast<unsigned char*>(&word_) + cut_, in, part);
      cut_ += part;
      if (cut_ < sizeof(word_)) return;
      in += part;
      size -= part;
      AddWord(word_);
    }
    // In registers: the compiler cannot know that `in` is none of ours.
    uint64_t sum = sum_;
    uint64_t sum_of_sums = sum_of_sums_;
    for (; size >= sizeof(word_); in += sizeof(word_), size -= sizeof(word_)) {
      uint64_t word;
      memcpy(&word, in, sizeof(word));
      sum += word;
      sum_of_sums += sum;
    }
    sum_ = sum;
    sum_of_sums_ = sum_of_sums;
    cut_ = size;
    if (cut_ > 0) memcpy(&word_, in, cut_);
  }
  void AddWord(uint64_t word) {
    sum_ += word;
    sum_of_sums_ += sum_;
  }

  friend bool operator==(const Checksum& a, const Checksum& b) {
    return a.sum_ == b.sum_ && a.sum_of_sums_ == b.sum_of_sums_;
  }

 private:
  uint64_t sum_ = 0;
  uint64_t sum_of_sums_ = 0;
  uint64_t word_ = 0;  // of which this many bytes are there
  size_t cut_ = 0;
};

}  // namespace zcrx::bench

#endif  // ZCRX_TESTS_BENCH_RECEIVE_CONTENT_H_
