// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/guest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

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
