// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/poison.h"

#ifdef ZCRX_ASAN

#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <mutex>

namespace zcrx::inline v0::internal {
namespace {

// What AddressSanitizer can poison at the least.
constexpr size_t kGranule = 8;

std::mutex regions_mutex;
RegionPoison* regions = nullptr;  // guarded by regions_mutex

}  // namespace

RegionPoison::RegionPoison(std::span<const std::byte> region, size_t piece_bytes)
    : region_(region), piece_bytes_(piece_bytes), streams_(region.size() / piece_bytes) {
  Poison(region_.data(), region_.size());
  const std::lock_guard lock(regions_mutex);
  next_ = regions;
  regions = this;
}

RegionPoison::~RegionPoison() {
  {
    const std::lock_guard lock(regions_mutex);
    RegionPoison** place = &regions;
    while (*place != this) place = &(*place)->next_;
    *place = next_;
  }
  // Whatever is mapped there next is none of ours.
  Unpoison(region_.data(), region_.size());
}

void RegionPoison::Allow(std::span<const std::byte> bytes) {
  Unpoison(bytes.data(), bytes.size());
  Name(bytes, 0);
}

void RegionPoison::Name(std::span<const std::byte> bytes, uint64_t stream) {
  // Relaxed: for people.
  std::atomic_ref(StreamOf(bytes.data())).store(stream, std::memory_order_relaxed);
}

void RegionPoison::Forbid(std::span<const std::byte> bytes) {
  // Whole granules only: one at the border may be shared with the next fragment, which the owner may be
  // allowing at this very moment.
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + kGranule - 1) / kGranule * kGranule;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / kGranule * kGranule;
  if (begin < end) Poison(reinterpret_cast<const void*>(begin), end - begin);
}

uint64_t& RegionPoison::StreamOf(const std::byte* address) {
  return streams_[static_cast<size_t>(address - region_.data()) / piece_bytes_];
}

void RegionPoison::Explain(const void* address) {
  // Not to wait for: the thread that is in trouble may be the one that has it.
  const std::unique_lock lock(regions_mutex, std::try_to_lock);
  if (!lock) return;
  const auto* byte = static_cast<const std::byte*>(address);
  for (RegionPoison* region = regions; region != nullptr; region = region->next_) {
    if (byte < region->region_.data() || byte >= region->region_.data() + region->region_.size()) continue;
    char text[200];
    const uint64_t stream = std::atomic_ref(region->StreamOf(byte)).load(std::memory_order_relaxed);
    const int length =
        snprintf(text, sizeof(text),
                 "zcrx: %p is in a pool region, and in no buffer that is held; its piece was last "
                 "received by stream %" PRIu64 "\n",
                 address, stream);
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, static_cast<size_t>(length));
    return;
  }
}

}  // namespace zcrx::inline v0::internal

// AddressSanitizer calls it before it reports; that of clang, which links its runtime first, has a weak one
// of its own. Weak: a program may have one, too, and then that counts.
extern "C" __attribute__((weak)) void __asan_on_error() {
  zcrx::internal::RegionPoison::Explain(__asan_get_report_address());
}

#endif
