// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/guest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"

namespace zcrx {
namespace {

const char* const kNicDirectory = "/sys/kernel/debug/netdevsim/netdevsim1/ports/0/";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string InterfaceA() { return Environment("ZCRX_IF_A"); }
uint16_t ZeroCopyPort() { return static_cast<uint16_t>(std::stoi(Environment("ZCRX_PORT"))); }

void EnterNamespace(const std::string& name) {
  const int fd = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0) << "namespace " << name;
  ASSERT_EQ(setns(fd, CLONE_NEWNET), 0) << "namespace " << name;
  close(fd);
}

void WriteKnob(const std::string& file, const std::string& value) {
  std::ofstream knob(kNicDirectory + file);
  knob << value << std::flush;
  ASSERT_TRUE(knob.good()) << "writing " << value << " to " << file;
}

uint64_t QueueCounter(uint32_t queue, const std::string& counter) {
  std::ifstream file(std::string(kNicDirectory) + "rx/queues");
  const std::string wanted = "q" + std::to_string(queue);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word != wanted) continue;
    for (uint64_t value; words >> word >> value;) {
      if (word == counter) return value;
    }
  }
  ADD_FAILURE() << "the test NIC has no counter " << counter << " of queue " << queue;
  return 0;
}

void Shell(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

std::string NicTool() { return Environment("ZCRX_NIC"); }

// In this process, because starting a program takes User Mode Linux a long time.
void WaitUntilQueueIsFree(uint32_t queue) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < deadline) {
    const auto interface = netdev::FindInterface(InterfaceA());
    ASSERT_TRUE(interface.ok()) << interface.status();
    const auto queues = netdev::GetRxQueues(*interface);
    ASSERT_TRUE(queues.ok()) << queues.status();
    ASSERT_GT(queues->size(), queue);
    if (!(*queues)[queue].owned()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ADD_FAILURE() << "queue " << queue << " of " << InterfaceA() << " is still in use after 10 s";
}

void DropCapability(int capability) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data.data()), 0);
  data[static_cast<size_t>(capability) / 32].effective &= ~(1u << (capability % 32));
  ASSERT_EQ(syscall(SYS_capset, &header, data.data()), 0);
}

int LoadXdp() {
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
  int program = -1;
  do {
    // The verifier gives up with EAGAIN if task work arrives, such as that of an io_uring that ends.
    program = static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)));
  } while (program < 0 && errno == EAGAIN);
  return program < 0 ? -errno : program;
}

int AttachXdp(const std::string& interface) {
  const int program = LoadXdp();
  if (program < 0) {
    ADD_FAILURE() << "loading an XDP program: " << strerror(-program);
    return program;
  }
  bpf_attr link = {};
  link.link_create.prog_fd = static_cast<uint32_t>(program);
  link.link_create.target_ifindex = if_nametoindex(interface.c_str());
  link.link_create.attach_type = BPF_XDP;
  link.link_create.flags = XDP_FLAGS_SKB_MODE;
  const int attached = static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link)));
  const int error = errno;
  close(program);
  return attached < 0 ? -error : attached;
}

RuntimeOptions ZeroCopyOptions(size_t pool_bytes) {
  RuntimeOptions options;
  options.mode = ReceiveMode::kZeroCopy;
  options.interface_queue = InterfaceQueueOptions{
      .interface = InterfaceA(), .rx_queue = kZeroCopyQueue, .pool = {.bytes = pool_bytes}};
  return options;
}

void GuestTest::SetUp() {
  if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
  EnterNamespace("a");
}

void GuestTest::TearDown() {
  if (InterfaceA().empty()) return;
  WriteKnob("rx/unsplit_every", "0");
  WriteKnob("rx/alloc_fail_every", "0");
}

// Not a power of two for a period, so that pieces mixed up do not look right.
void NicTest::SetUp() {
  GuestTest::SetUp();
  if (IsSkipped()) return;
  // The test before may have had it.
  WaitUntilQueueIsFree();
  split_before_ = QueueCounter(kZeroCopyQueue, "split_bytes");
}

Runtime NicTest::NewRuntime(const RuntimeOptions& options) {
  absl::StatusOr<Runtime> runtime = Runtime::Create(options);
  if (!runtime.ok()) {
    ADD_FAILURE() << runtime.status();
    std::abort();
  }
  return *std::move(runtime);
}

Listener NicTest::Listen(Runtime& runtime, uint16_t port) {
  absl::StatusOr<Listener> listener =
      Listener::Create(runtime, *SocketAddress::Parse("10.0.0.1:" + std::to_string(port)));
  if (!listener.ok()) {
    ADD_FAILURE() << listener.status();
    std::abort();
  }
  return *std::move(listener);
}

std::byte ContentAt(uint64_t index) { return static_cast<std::byte>((index % 65521) * 31 >> 3); }

Peer::Peer(uint16_t port, std::function<void(int)> act)
    : thread_([port, act = std::move(act)] {
        EnterNamespace("b");
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        inet_pton(AF_INET, "10.0.0.1", &address.sin_addr);
        if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
          act(fd);
        } else {
          ADD_FAILURE() << "the peer could not connect: " << strerror(errno);
        }
        close(fd);
      }) {}

bool SendContent(int fd, uint64_t start, size_t count) {
  std::vector<std::byte> block(64 << 10);
  while (count > 0) {
    const size_t size = std::min(block.size(), count);
    for (size_t i = 0; i < size; ++i) block[i] = ContentAt(start + i);
    for (size_t sent = 0; sent < size;) {
      const ssize_t result = send(fd, block.data() + sent, size - sent, MSG_NOSIGNAL);
      if (result < 0) return false;
      sent += static_cast<size_t>(result);
    }
    start += size;
    count -= size;
  }
  return true;
}

int64_t ReceiveContent(int fd) {
  ContentChecker checker;
  std::vector<std::byte> block(64 << 10);
  while (true) {
    const ssize_t result = recv(fd, block.data(), block.size(), 0);
    if (result < 0) return -1;
    if (result == 0) return static_cast<int64_t>(checker.count());
    checker.Check(std::span(block).first(static_cast<size_t>(result)));
  }
}

void ContentChecker::Check(std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    if (byte != ContentAt(count_)) {
      ADD_FAILURE() << "wrong byte at " << count_;
      std::abort();  // everything after it would be wrong as well
    }
    ++count_;
  }
}

}  // namespace zcrx
