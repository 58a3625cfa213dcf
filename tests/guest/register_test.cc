// SPDX-License-Identifier: Apache-2.0
//
// Every refusal of a registration that the test NIC can be made to give: the
// errno is the kernel's, the words are ours, and afterwards it works again.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>

#include "tests/guest/guest.h"

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

std::string NicTool() { return std::string(getenv("ZCRX_NIC")); }

// A runtime that has ended lets go of its queue a little later.
void WaitUntilQueueIsFree() {
  Shell(NicTool() + " wait " + InterfaceA() + " " + std::to_string(kZeroCopyQueue) + " free 10");
}

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

void DropCapability(int capability) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data.data()), 0);
  data[static_cast<size_t>(capability) / 32].effective &= ~(1u << (capability % 32));
  ASSERT_EQ(syscall(SYS_capset, &header, data.data()), 0);
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
  ExpectRefused(options, ERANGE, "has 4 rx queues");
}

TEST_F(RegisterTest, HeaderSplitOff) {
  WaitUntilQueueIsFree();  // else the NIC refuses to switch it off
  Shell(NicTool() + " split " + InterfaceA() + " off");
  ExpectRefused(ZeroCopyOptions(), EINVAL, "tcp-data-split on");
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
  options.interface_queue->busy_timeout = std::chrono::milliseconds(50);
  ExpectRefused(options, EEXIST, "another process uses it");
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
  const std::array<bpf_insn, 2> pass = {{
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  }};
  bpf_attr load = {};
  load.prog_type = BPF_PROG_TYPE_XDP;
  load.insns = reinterpret_cast<uint64_t>(pass.data());
  load.insn_cnt = pass.size();
  // The kernel attaches nothing else to an interface with header split.
  load.prog_flags = BPF_F_XDP_HAS_FRAGS;
  load.license = reinterpret_cast<uint64_t>("Apache-2.0");
  const int program = static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)));
  ASSERT_GE(program, 0) << "loading an XDP program: " << strerror(errno);
  WaitUntilQueueIsFree();  // else the kernel refuses to attach it
  bpf_attr link = {};
  link.link_create.prog_fd = static_cast<uint32_t>(program);
  link.link_create.target_ifindex = if_nametoindex(InterfaceA().c_str());
  link.link_create.attach_type = BPF_XDP;
  link.link_create.flags = XDP_FLAGS_SKB_MODE;
  const int attached = static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link)));
  ASSERT_GE(attached, 0) << "attaching an XDP program: " << strerror(errno);
  ExpectRefused(ZeroCopyOptions(), EEXIST, "XDP program is attached");
  close(attached);
  close(program);
}

TEST_F(RegisterTest, LargePiecesInScatteredMemory) {
  RuntimeOptions options = ZeroCopyOptions(8 << 20);
  options.interface_queue->pool.buffer_bytes = 1 << 20;
  ExpectRefused(options, ERANGE, "PoolPages::kHuge");
}

TEST_F(RegisterTest, TooManyRefillEntries) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->refill_entries = 32769;
  const absl::Status status = Runtime::Create(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find("32768"), std::string::npos) << status;
}

TEST_F(RegisterTest, QueueIsFreeSoonAfterTheEnd) {
  for (int i = 0; i < 10; ++i) {
    const absl::StatusOr<Runtime> runtime = Runtime::Create(ZeroCopyOptions());
    ASSERT_TRUE(runtime.ok()) << "round " << i << ": " << runtime.status();
  }
}

}  // namespace
}  // namespace zcrx
