// SPDX-License-Identifier: Apache-2.0
//
// A process that may do nothing receives without a copy from a queue that another
// has registered for it.
#include "zcrx/inherit.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "tests/guest/guest.h"
#include "zcrx/status.h"

namespace zcrx {
namespace {

constexpr uint64_t kBytes = 32 << 20;
constexpr uid_t kNobody = 65534;

class InheritTest : public NicTest {};

// Ends the child with a number that tells where it failed.
void Require(bool holds, int where) {
  if (!holds) _exit(where);
}

bool HasNoCapability() {
  std::ifstream status("/proc/thread-self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("CapEff:") || line.starts_with("CapPrm:")) {
      if (line.find_first_not_of("0", line.find_first_of("0")) != std::string::npos) return false;
    }
  }
  return true;
}

Task<void> ReceiveAll(Listener& listener, uint64_t& received) {
  absl::StatusOr<Stream> peer = co_await listener.Accept();
  if (!peer.ok()) co_return;
  ContentChecker checker;
  while (checker.count() < kBytes) {
    absl::StatusOr<Buffer> data = co_await peer->Receive();
    if (!data.ok() || data->empty()) co_return;
    checker.Check(data->bytes());
  }
  received = checker.count();
}

// The server. Writes to `listening` once it is.
[[noreturn]] void Serve(const PreparedQueue& queue, CompletionRing completion, int listening) {
  Require(setgroups(0, nullptr) == 0 && setgid(kNobody) == 0 && setuid(kNobody) == 0, 10);
  Require(HasNoCapability(), 11);
  Require(PassOn({&queue, 1}).ok(), 12);
  const auto inherited = InheritedQueues();
  Require(inherited.ok() && inherited->size() == 1 && inherited->front().interface == InterfaceA() &&
              inherited->front().rx_queue == kZeroCopyQueue,
          13);
  // What it would have to be allowed to.
  Require(ErrnoOf(Runtime::Create(ZeroCopyOptions()).status()) == EPERM, 14);

  RuntimeOptions options;
  options.mode = ReceiveMode::kZeroCopy;
  options.interface_queue = {.inherited = 0};
  absl::StatusOr<Runtime> runtime = Runtime::Create(options);
  if (!runtime.ok()) fprintf(stderr, "%s\n", std::string(runtime.status().message()).c_str());
  Require(runtime.ok(), 15);
  Require(runtime->receive_path().completion == completion, 16);
  Require(Runtime::Create(options).status().code() == absl::StatusCode::kFailedPrecondition, 17);
  options.interface_queue->inherited = 1;
  Require(Runtime::Create(options).status().code() == absl::StatusCode::kOutOfRange, 18);

  absl::StatusOr<SocketAddress> address = SocketAddress::Parse("10.0.0.1:" + std::to_string(ZeroCopyPort()));
  Require(address.ok(), 19);
  absl::StatusOr<Listener> listener = Listener::Create(*runtime, *address);
  Require(listener.ok(), 20);
  Require(write(listening, "", 1) == 1, 25);
  uint64_t received = 0;
  runtime->Spawn(ReceiveAll(*listener, received));
  Require(runtime->Run().ok(), 21);
  Require(received == kBytes, 22);
  const InterfaceQueueStats stats = *runtime->stats().interface_queue;
  Require(stats.buffers_received > 0 && stats.buffers_out == 0, 23);
  _exit(testing::Test::HasFailure() ? 24 : 0);
}

void ReceiveInAnotherProcess(CompletionRing completion) {
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->completion = completion;
  absl::StatusOr<PreparedQueue> queue = PreparedQueue::Create(options);
  ASSERT_TRUE(queue.ok()) << queue.status();
  int listening[2];
  ASSERT_EQ(pipe(listening), 0);
  const pid_t server = fork();
  if (server == 0) Serve(*queue, completion, listening[1]);
  *queue = PreparedQueue();
  close(listening[1]);
  char byte;
  // 0: it has ended.
  if (read(listening[0], &byte, 1) == 1) {
    const Peer peer(ZeroCopyPort(), [](int fd) { SendContent(fd, 0, kBytes); });
    siginfo_t ended;
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(server), &ended, WEXITED | WNOWAIT), 0);
  }
  close(listening[0]);
  int status = 0;
  ASSERT_EQ(waitpid(server, &status, 0), server);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  WaitUntilQueueIsFree();
}

class InheritByTest : public InheritTest, public testing::WithParamInterface<CompletionRing> {};

TEST_P(InheritByTest, AServerWithoutCapabilities) {
  if (GetParam() == CompletionRing::kRbufRing && !ProbeKernel().rbuf_ring)
    GTEST_SKIP() << "this kernel has no rbuf ring: only kernel-patches/linux-6.12 has it";
  ReceiveInAnotherProcess(GetParam());
  EXPECT_GE(SplitBytes(), kBytes * 9 / 10) << "written by the NIC";
}

INSTANTIATE_TEST_SUITE_P(By, InheritByTest,
                         testing::Values(CompletionRing::kMainCq, CompletionRing::kRbufRing),
                         [](const auto& test) {
                           return test.param == CompletionRing::kRbufRing ? "rbuf" : "main_cq";
                         });

// The queue is held by whoever has inherited it, and by nobody else.
TEST_F(InheritTest, TheQueueIsFreeOnceTheServerIsKilled) {
  absl::StatusOr<PreparedQueue> queue = PreparedQueue::Create(ZeroCopyOptions());
  ASSERT_TRUE(queue.ok()) << queue.status();
  const pid_t server = fork();
  if (server == 0) {
    pause();
    _exit(0);
  }
  *queue = PreparedQueue();
  RuntimeOptions options = ZeroCopyOptions();
  options.interface_queue->busy_timeout = {};
  EXPECT_EQ(ErrnoOf(Runtime::Create(options).status()), EEXIST);
  kill(server, SIGKILL);
  EXPECT_EQ(waitpid(server, nullptr, 0), server);
  WaitUntilQueueIsFree();
}

}  // namespace
}  // namespace zcrx
