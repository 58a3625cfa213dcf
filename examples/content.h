// SPDX-License-Identifier: Apache-2.0
//
// Bytes to send and to verify: a stream of pseudo-random bytes of which any part
// can be had at once, from the seed and the position alone.
#ifndef ZCRX_EXAMPLES_CONTENT_H_
#define ZCRX_EXAMPLES_CONTENT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Word `index` of the sequence `seed`. One 128-bit multiplication: several GB/s on one core.
inline uint64_t RandomWord(uint64_t seed, uint64_t index) {
  const uint64_t state = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{state} * (state ^ 0xd1b54a32d192ed03u);
  return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
}

// The `size` bytes of stream `seed` from `position` on.
inline void FillContent(uint64_t seed, uint64_t position, unsigned char* out, size_t size) {
  const auto part_of_word = [&](size_t count) {
    const uint64_t word = RandomWord(seed, position / 8) >> (8 * (position % 8));
    memcpy(out, &word, count);
    position += count;
    out += count;
    size -= count;
  };
  if (position % 8 != 0) part_of_word(std::min(8 - position % 8, size));
  for (; size >= 8; position += 8, out += 8, size -= 8) {
    const uint64_t word = RandomWord(seed, position / 8);
    memcpy(out, &word, 8);
  }
  if (size > 0) part_of_word(size);
}

#endif  // ZCRX_EXAMPLES_CONTENT_H_
