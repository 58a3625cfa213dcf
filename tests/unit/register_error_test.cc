// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/register_error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "zcrx/status.h"

namespace zcrx::internal {
namespace {

RegisterFacts Facts() {
  RegisterFacts facts;
  facts.interface = "eth7";
  facts.driver = "bnxt";
  facts.rx_queue = 3;
  facts.buffer_bytes = facts.page_bytes = 4096;
  facts.pool_bytes = 64 << 20;
  return facts;
}

// Every status names the interface and the queue, carries the errno, and says these words.
void ExpectSays(int error, const RegisterFacts& facts, const std::string& words) {
  const absl::Status status = RegisterError(error, facts);
  const std::string message(status.message());
  EXPECT_EQ(ErrnoOf(status), error);
  EXPECT_NE(message.find("eth7 rx queue 3"), std::string::npos) << message;
  EXPECT_NE(message.find(words), std::string::npos) << message;
}

void ExpectNotSaid(int error, const RegisterFacts& facts, const std::string& words) {
  const std::string message(RegisterError(error, facts).message());
  EXPECT_EQ(message.find(words), std::string::npos) << message;
}

TEST(RegisterErrorTest, CausesWithOneErrno) {
  ExpectSays(EPERM, Facts(), "CAP_NET_ADMIN");
  ExpectSays(EBUSY, Facts(), "AF_XDP");
  ExpectSays(ENODEV, Facts(), "network namespace");
  ExpectSays(ENODATA, Facts(), "did not use the memory");
  ExpectSays(EFAULT, Facts(), "pinned");
  ExpectSays(E2BIG, Facts(), "refill_entries");
  ExpectSays(EOVERFLOW, Facts(), "refill_entries");
  ExpectSays(ENETDOWN, Facts(), "ip link set eth7 up");
  ExpectSays(EPROTO, Facts(), "newer zcrx");
  ExpectSays(ENOSYS, Facts(), "seccomp");
  ExpectSays(EIO, Facts(), "dmesg");
  ExpectSays(EOPNOTSUPP, Facts(), "DMA device");
}

TEST(RegisterErrorTest, InvalidArgumentIsToldApart) {
  RegisterFacts facts = Facts();
  ExpectSays(EINVAL, facts, "ethtool -G eth7 tcp-data-split on");
  facts.header_split = false;
  ExpectSays(EINVAL, facts, "not switched on");
  facts.header_split = true;
  facts.header_split_threshold = 256;
  ExpectSays(EINVAL, facts, "hds-thresh 0");
  facts.header_split_threshold = 0;
  facts.buffer_bytes = 65536;
  ExpectSays(EINVAL, facts, "Linux 7.0");
  facts.kernel_knows_large_buffers = true;
  ExpectSays(EINVAL, facts, "eth7 (driver bnxt)");
}

TEST(RegisterErrorTest, RbufRingIsNamedWhereItMayBeTheCause) {
  RegisterFacts facts = Facts();
  facts.header_split = true;
  ExpectNotSaid(EINVAL, facts, "rbuf");
  facts.rbuf_ring = true;
  ExpectSays(EINVAL, facts, "CompletionRing::kMainCq");
  ExpectSays(EOVERFLOW, facts, "rbuf_entries");
  ExpectSays(EPROTO, facts, "rbuf ring");
  facts.header_split = false;
  ExpectNotSaid(EINVAL, facts, "rbuf");
}

TEST(RegisterErrorTest, ExistsIsToldApart) {
  RegisterFacts facts = Facts();
  ExpectSays(EEXIST, facts, "busy_timeout");
  EXPECT_TRUE(WorthRetrying(EEXIST, facts));
  facts.xdp_attached = true;
  ExpectSays(EEXIST, facts, "xdp off");
  EXPECT_FALSE(WorthRetrying(EEXIST, facts));
  EXPECT_FALSE(WorthRetrying(EBUSY, Facts()));
}

TEST(RegisterErrorTest, OutOfRangeIsToldApart) {
  RegisterFacts facts = Facts();
  facts.rx_queues = 3;
  ExpectSays(ERANGE, facts, "has 3 rx queues");
  facts.rx_queues = 4;
  facts.buffer_bytes = 65536;
  ExpectSays(ERANGE, facts, "PoolPages::kHuge");
}

TEST(RegisterErrorTest, NoMemoryIsToldApart) {
  RegisterFacts facts = Facts();
  ExpectSays(ENOMEM, facts, "smaller PoolOptions::bytes");
  facts.memlock_limit = 8 << 20;
  ExpectSays(ENOMEM, facts, "ulimit -l");
}

TEST(RegisterErrorTest, LargeBuffersThatADriverLacks) {
  RegisterFacts facts = Facts();
  facts.buffer_bytes = 65536;
  facts.header_split = true;
  ExpectSays(EOPNOTSUPP, facts, "buffer_bytes = 4096");
}

}  // namespace
}  // namespace zcrx::internal
