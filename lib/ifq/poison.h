// SPDX-License-Identifier: Apache-2.0
//
// Memory that nobody may touch until further notice, as AddressSanitizer sees it.
// In builds without it all of this is nothing.
#ifndef ZCRX_LIB_IFQ_POISON_H_
#define ZCRX_LIB_IFQ_POISON_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ZCRX_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZCRX_ASAN 1
#endif
#endif
#ifdef ZCRX_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace zcrx::inline v0::internal {

inline void Poison([[maybe_unused]] const void* storage, [[maybe_unused]] size_t bytes) {
#ifdef ZCRX_ASAN
  ASAN_POISON_MEMORY_REGION(storage, bytes);
#endif
}
inline void Unpoison([[maybe_unused]] const void* storage, [[maybe_unused]] size_t bytes) {
#ifdef ZCRX_ASAN
  ASAN_UNPOISON_MEMORY_REGION(storage, bytes);
#endif
}

#ifdef ZCRX_ASAN

// Of a pool region only the bytes of fragments that are out may be touched: a span
// that was kept longer than its Buffer, or that goes beyond its fragment, is then
// reported where it is used, and the report begins with the number of the stream (not
// with clang: see __asan_on_error() of ours).
// The kernel and the NIC write whenever they like: they do not ask.
class RegionPoison {
 public:
  RegionPoison(std::span<const std::byte> region, size_t piece_bytes);
  ~RegionPoison();
  RegionPoison(const RegionPoison&) = delete;
  RegionPoison& operator=(const RegionPoison&) = delete;

  // A fragment has arrived. Owner's thread.
  void Allow(std::span<const std::byte> bytes);
  // It is this stream's. Owner's thread.
  void Name(std::span<const std::byte> bytes, uint64_t stream);
  // It goes back. Any thread.
  void Forbid(std::span<const std::byte> bytes);

  // Says on stderr what is known of `address`, if it is in a region.
  static void Explain(const void* address);

 private:
  uint64_t& StreamOf(const std::byte* address);

  const std::span<const std::byte> region_;
  const size_t piece_bytes_;
  std::vector<uint64_t> streams_;  // that got the latest fragment of each piece; atomic
  RegionPoison* next_ = nullptr;   // in the list of all
};

#else

class RegionPoison {
 public:
  RegionPoison(std::span<const std::byte>, size_t) {}
  void Allow(std::span<const std::byte>) {}
  void Name(std::span<const std::byte>, uint64_t) {}
  void Forbid(std::span<const std::byte>) {}
};

#endif

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_POISON_H_
