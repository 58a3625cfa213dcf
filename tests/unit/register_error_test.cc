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
  ExpectSays(ENODEV, Facts(), "is not there");
  ExpectSays(ENODATA, Facts(), "did not use the memory");
  ExpectSays(EFAULT, Facts(), "pinned");
  ExpectSays(E2BIG, Facts(), "refill_entries");
  ExpectSays(EOVERFLOW, Facts(), "refill_entries");
  ExpectSays(ENETDOWN, Facts(), "is down");
  ExpectSays(EPROTO, Facts(), "newer zcrx");
  ExpectSays(ENOSYS, Facts(), "seccomp");
  ExpectSays(EIO, Facts(), "dmesg");
  ExpectSays(EOPNOTSUPP, Facts(), "DMA device");
}

TEST(RegisterErrorTest, FindingsAreCarriedWithTheirCommands) {
  RegisterFacts facts = Facts();
  ExpectNotSaid(ENETDOWN, facts, "found");
  facts.findings = {{"interface-down", "eth7 is down", "ip link set eth7 up"},
                    {"no-flow-rules", "it has none", ""}};
  ExpectSays(ENETDOWN, facts, "; found: eth7 is down; fix: ip link set eth7 up; it has none");
}

TEST(RegisterErrorTest, InvalidArgumentIsToldApart) {
  RegisterFacts facts = Facts();
  ExpectSays(EINVAL, facts, "ethtool -G eth7 tcp-data-split on");
  for (const char* id : {"header-split-off", "header-split-unknown", "header-split-threshold"}) {
    facts.findings = {{id, "it is not as it should be", "mend it"}};
    ExpectSays(EINVAL, facts, "wants header/data split, of every packet; found: it is not");
    ExpectNotSaid(EINVAL, facts, "ethtool");
  }
  facts.findings.clear();
  facts.buffer_bytes = 65536;
  ExpectSays(EINVAL, facts, "Linux 7.0");
  facts.kernel_knows_large_buffers = true;
  ExpectSays(EINVAL, facts, "eth7 (driver bnxt)");
}

TEST(RegisterErrorTest, RbufRingIsNamedWhereItMayBeTheCause) {
  RegisterFacts facts = Facts();
  ExpectNotSaid(EINVAL, facts, "rbuf");
  facts.rbuf_ring = true;
  ExpectSays(EINVAL, facts, "CompletionRing::kMainCq");
  ExpectSays(EOVERFLOW, facts, "rbuf_entries");
  ExpectSays(EPROTO, facts, "rbuf ring");
  facts.findings = {{"header-split-off", "it is off", "mend it"}};
  ExpectNotSaid(EINVAL, facts, "rbuf");
}

TEST(RegisterErrorTest, ExistsIsToldApart) {
  RegisterFacts facts = Facts();
  ExpectSays(EEXIST, facts, "busy_timeout");
  facts.findings = {{"xdp-attached", "eth7 has an XDP program", "ip link set eth7 xdp off"}};
  ExpectSays(EEXIST, facts, "xdp off");
  ExpectNotSaid(EEXIST, facts, "busy_timeout");
}

TEST(RegisterErrorTest, OutOfRangeIsToldApart) {
  RegisterFacts facts = Facts();
  facts.buffer_bytes = 65536;
  ExpectSays(ERANGE, facts, "PoolPages::kHuge");
  facts.findings = {{"no-such-queue", "eth7 has 3 receive queues", "ethtool -L eth7 combined 4"}};
  ExpectSays(ERANGE, facts, "has 3 receive queues; fix: ethtool -L eth7 combined 4");
  ExpectNotSaid(ERANGE, facts, "kHuge");
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
  ExpectSays(EOPNOTSUPP, facts, "buffer_bytes = 4096");
  facts.findings = {{"no-dma-device", "eth7 is virtual", ""}};
  ExpectNotSaid(EOPNOTSUPP, facts, "buffer_bytes");
}

}  // namespace
}  // namespace zcrx::internal
