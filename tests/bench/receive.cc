// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/receive.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace zcrx::bench {

void Die(const char* what, int error) {
  (void)fprintf(stderr, "receive_bench: %s%s%s\n", what, error == 0 ? "" : ": ",
                error == 0 ? "" : strerror(abs(error)));
  exit(1);
}

size_t ReceivePlan::copy_memory_bytes() const { return std::max(keep_bytes, connections * kReadBytes); }

void Arrivals::End(uint32_t connection) {
  Require(!connections_[connection].ended, "a connection has ended twice");
  connections_[connection].ended = true;
  --open_;
}

void Arrivals::WarmUp(size_t size) {
  warm_up_left_ -= std::min<uint64_t>(warm_up_left_, size);
  if (warm_up_left_ == 0) on_warm_();
}

void Arrivals::Check(uint64_t total_bytes) const {
  const uint64_t share = ShareOf(total_bytes, static_cast<uint32_t>(connections_.size()));
  for (uint32_t number = 0; number < connections_.size(); ++number) {
    Require(connections_[number].ended, "a connection has not ended");
    Require(connections_[number].bytes == share, "bytes are missing, or too many");
    if (!touch_) continue;
    Checksum expected;
    size_t index = FirstWord(number);
    for (uint64_t left = share; left > 0; left -= 8) {
      expected.AddWord(ContentWord(index));
      if (++index == kContentWords) index = 0;
    }
    Require(connections_[number].checksum == expected, "what came is not what was sent");
  }
}

Memory::Memory(size_t bytes)
    : base_(static_cast<unsigned char*>(
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))),
      bytes_(bytes) {
  Require(base_ != MAP_FAILED, "mmap", errno);
}

}  // namespace zcrx::bench
