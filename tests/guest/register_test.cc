// SPDX-License-Identifier: Apache-2.0
//
// Every refusal of a registration that the test NIC can be made to give: the
// errno is the kernel's, the words are ours, and afterwards it works again.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>

#include "tests/guest/guest.h"
#include "tests/log_capture.h"

namespace zcrx {
namespace {

class RegisterTest : public GuestTest {
 protected:
  void TearDown() override {
    GuestTest::TearDown();
    if (IsSkipped()) return;
    // Whatever was refused before: nothing of it is left.
    const absl::StatusOr<Runtime> again = Runtime::Create(ZeroCopyOptions());
    EXPECT_TRUE(again.ok()) << again.status();
  }

  static void ExpectRefused(const RuntimeOptions& options, int error, const std::string& words) {
    const absl::Status status = Runtime::Create(options).status();
    EXPECT_EQ(ErrnoOf(status), error) << status;
    EXPECT_NE(status.message().find(words), std::string::npos) << status;
  }
};

// Runs `body` in a child process, which fails the test by its exit status.
void InChild(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RegisterTest, WithoutTheCapability) {
  InChild([] {
    DropCapability(CAP_NET_ADMIN);
    ExpectRefused(ZeroCopyOptions(), EPERM, "CAP_NET_ADMIN");
  });
}

TEST_F(RegisterTest, AsAnotherUserAutoCopies) {
  InChild([] {
    ASSERT_EQ(setuid(65534), 0);
    ExpectRefused(ZeroCopyOptions(1 << 20), EPERM, "CAP_NET_ADMIN");
    RuntimeOptions options = ZeroCopyOptions(1 << 20);
    options.mode = ReceiveMode::kAuto;
    const absl::StatusOr<Runtime> runtime = Runtime::Create(options);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    EXPECT_EQ(runtime->receive_path().kind, ReceivePathInfo::Kind::kCopy);
    EXPECT_NE(runtime->receive_path().reason.find("CAP_NET_ADMIN"), std::string::npos)
        << runtime->receive_path().reason;
  });
}

TEST_F(RegisterTest, LockedMemoryLimit) {
  InChild([] {
    DropCapability(CAP_IPC_LOCK);
    const rlimit limit = {.rlim_cur = 4 << 20, .rlim_max = 4 << 20};
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ExpectRefused(ZeroCopyOptions(64 << 20), ENOMEM, "RLIMIT_MEMLOCK");
  });
}

TEST_F(RegisterTest, NoSuchInterface) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->interface = "nosuchif0";
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_NE(status.message().find("nosuchif0"), std::string::npos) << status;
}

TEST_F(RegisterTest, NoSuchQueue) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->rx_queue = 4;
  ExpectRefused(options, ERANGE, "has 4 receive queues");
}

TEST_F(RegisterTest, HeaderSplitOff) {
  WaitUntilQueueIsFree();  // else the NIC refuses to switch it off
  Shell(NicTool() + " split " + InterfaceA() + " off");
  ExpectRefused(ZeroCopyOptions(), EINVAL, "set-split");
  Shell(NicTool() + " split " + InterfaceA() + " on");
}

TEST_F(RegisterTest, InterfaceThatCannot) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->interface = "lo";
  options.interface_queue->rx_queue = 0;
  ExpectRefused(options, EOPNOTSUPP, "DMA device");
  options.mode = ReceiveMode::kAuto;
  const absl::StatusOr<Runtime> runtime = Runtime::Create(options);
  ASSERT_TRUE(runtime.ok()) << runtime.status();
  EXPECT_EQ(runtime->receive_path().kind, ReceivePathInfo::Kind::kCopy);
  EXPECT_NE(runtime->receive_path().reason.find("DMA device"), std::string::npos);
}

TEST_F(RegisterTest, QueueInUse) {
  const absl::StatusOr<Runtime> owner = Runtime::Create(ZeroCopyOptions());
  ASSERT_TRUE(owner.ok()) << owner.status();
  RuntimeOptions options = ZeroCopyOptions();
  // Long enough for a second try, however slow the machine is.
  options.interface_queue->busy_timeout = std::chrono::milliseconds(3000);
  const LogCapture heard;
  ExpectRefused(options, EEXIST, "another process uses it");
  ASSERT_EQ(heard.Of("queue.busy").size(), 1u) << "once for all tries";
  EXPECT_NE(heard.Of("queue.busy")[0].text.find("3000 ms"), std::string::npos)
      << heard.Of("queue.busy")[0].text;
}

TEST_F(RegisterTest, TwoQueuesOfOneInterface) {
  const absl::StatusOr<Runtime> first = Runtime::Create(ZeroCopyOptions());
  ASSERT_TRUE(first.ok()) << first.status();
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->rx_queue = 2;
  const absl::StatusOr<Runtime> second = Runtime::Create(options);
  EXPECT_TRUE(second.ok()) << second.status();
}

TEST_F(RegisterTest, XdpProgramAttached) {
  WaitUntilQueueIsFree();  // else the kernel refuses to attach it
  const int attached = AttachXdp(InterfaceA());
  ASSERT_GE(attached, 0) << "attaching an XDP program: " << strerror(-attached);
  ExpectRefused(ZeroCopyOptions(), EEXIST, "xdp off");
  close(attached);
}

TEST_F(RegisterTest, LargePiecesInScatteredMemory) {
  RuntimeOptions options = ZeroCopyOptions(8 << 20);
  options.interface_queue->pool.buffer_bytes = 1 << 20;
  if (ProbeKernel().large_buffers) {
    ExpectRefused(options, ERANGE, "PoolPages::kHuge");
  } else {
    ExpectRefused(options, EINVAL, "Linux 7.0");
  }
}

TEST_F(RegisterTest, TooManyRefillEntries) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->refill_entries = 32769;
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find("32768"), std::string::npos) << status;
}

TEST_F(RegisterTest, TooManyRbufEntries) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->rbuf_entries = 32769;
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find("rbuf_entries"), std::string::npos) << status;
}

TEST_F(RegisterTest, MostRefillAndRbufEntries) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->refill_entries = 32768;
  options.interface_queue->rbuf_entries = 32768;
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(RegisterTest, CompletionRingThatTheKernelHas) {
  const bool has_rbuf = ProbeKernel().rbuf_ring;
  RuntimeOptions options = ZeroCopyOptions();
  EXPECT_EQ(options.interface_queue->completion, CompletionRing::kAuto);
  {
    const absl::StatusOr<Runtime> runtime = Runtime::Create(options);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    EXPECT_EQ(runtime->receive_path().completion,
              has_rbuf ? CompletionRing::kRbufRing : CompletionRing::kMainCq);
  }
  options.interface_queue->completion = CompletionRing::kRbufRing;
  if (has_rbuf) {
    const absl::Status status = Runtime::Create(options).status();
    EXPECT_TRUE(status.ok()) << status;
  } else {
    ExpectRefused(options, EOPNOTSUPP, "kernel-patches/linux-6.12");
  }
}

TEST_F(RegisterTest, QueueIsFreeSoonAfterTheEnd) {
  for (int i = 0; i < 10; ++i) {
    const absl::StatusOr<Runtime> runtime = Runtime::Create(ZeroCopyOptions());
    ASSERT_TRUE(runtime.ok()) << "round " << i << ": " << runtime.status();
  }
}

}  // namespace
}  // namespace zcrx
