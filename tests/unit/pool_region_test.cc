// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/pool_region.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "zcrx/status.h"

namespace zcrx::internal {
namespace {

TEST(PoolRegionTest, RoundsUpToWholePieces) {
  const auto region = PoolRegion::Map({.bytes = 100'000, .buffer_bytes = 16384}, std::nullopt);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ(region->bytes(), 7u * 16384);
  EXPECT_EQ(region->pieces(), 7u);
  region->base()[region->bytes() - 1] = std::byte{1};  // writable to the end
}

TEST(PoolRegionTest, TransparentHugePagesAreAligned) {
  const auto region = PoolRegion::Map({.bytes = 3 << 20, .pages = PoolPages::kTransparentHuge}, std::nullopt);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region->base()) % (2 << 20), 0u);
  EXPECT_EQ(region->bytes(), 4u << 20);
}

TEST(PoolRegionTest, MissingHugePagesNameTheSysctl) {
  const auto region = PoolRegion::Map({.bytes = size_t{1} << 40, .pages = PoolPages::kHuge}, std::nullopt);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(ErrnoOf(region.status()), ENOMEM);
  EXPECT_NE(region.status().message().find("vm.nr_hugepages=524288"), std::string::npos) << region.status();
}

TEST(PoolRegionTest, ImpossibleSizesNameTheOption) {
  for (const size_t piece : {size_t{0}, size_t{1}, size_t{2048}, size_t{5000}}) {
    const auto region = PoolRegion::Map({.bytes = 1 << 20, .buffer_bytes = piece}, std::nullopt);
    ASSERT_FALSE(region.ok()) << piece;
    EXPECT_NE(region.status().message().find("buffer_bytes"), std::string::npos) << region.status();
  }
  for (const size_t bytes : {size_t{0}, size_t{4095}, (size_t{1} << 40) + 1, SIZE_MAX}) {
    const auto region = PoolRegion::Map({.bytes = bytes}, std::nullopt);
    ASSERT_FALSE(region.ok()) << bytes;
    EXPECT_NE(region.status().message().find("PoolOptions::bytes"), std::string::npos) << region.status();
  }
}

TEST(PoolRegionTest, NodeZeroExistsEverywhereAndWrongNodesAreNamed) {
  EXPECT_TRUE(PoolRegion::Map({.bytes = 1 << 20, .numa_node = 0}, std::nullopt).ok());
  EXPECT_TRUE(PoolRegion::Map({.bytes = 1 << 20}, 0).ok());
  for (const int node : {-1, 1024, 100000}) {
    const auto region = PoolRegion::Map({.bytes = 1 << 20, .numa_node = node}, std::nullopt);
    ASSERT_FALSE(region.ok()) << node;
    EXPECT_NE(region.status().message().find(std::to_string(node)), std::string::npos) << region.status();
  }
}

}  // namespace
}  // namespace zcrx::internal
