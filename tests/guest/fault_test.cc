// SPDX-License-Identifier: Apache-2.0
//
// Every allocation that a registration or a receive makes fails once: the error
// is clean, nothing is left behind, and the next attempt works. Needs a kernel
// with fault injection; tools/vm looks for leaks at the end of such a one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;

constexpr char kFailNth[] = "/proc/thread-self/fail-nth";

class LifetimeFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
    if (access(kFailNth, W_OK) != 0) GTEST_SKIP() << "this kernel has no fault injection: tools/vm --debug";
    for (const char* kind : {"failslab", "fail_page_alloc"}) {
      const std::string directory = std::string("/sys/kernel/debug/") + kind + "/";
      // Those that may sleep as well, which are nearly all.
      Write(directory + "ignore-gfp-wait", "N");
      Write(directory + "verbose", "0");
    }
    Write("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
    Write("/sys/kernel/debug/fail_page_alloc/min-order", "0");
  }

 private:
  static void Write(const std::string& file, const std::string& value) {
    std::ofstream out(file);
    out << value << std::flush;
    ASSERT_TRUE(out.good()) << file;
  }
};

// Lets the n-th allocation of this thread fail, until its end.
class Fault {
 public:
  explicit Fault(unsigned n) : fd_(open(kFailNth, O_RDWR | O_CLOEXEC)) { Set(n); }
  ~Fault() { Set(0); }
  // Allocations between these two do not count.
  void Pause() {
    left_ = Left();
    Set(0);
  }
  void Resume() { Set(left_); }
  // False if there were not as many.
  bool Happened() const { return Left() == 0; }

 private:
  void Set(unsigned n) const {
    const std::string text = std::to_string(n);
    EXPECT_EQ(pwrite(fd_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  unsigned Left() const {
    char text[16] = {};
    EXPECT_GT(pread(fd_.get(), text, sizeof(text) - 1, 0), 0);
    return static_cast<unsigned>(std::stoul(text));
  }

  Fd fd_;
  unsigned left_ = 0;
};

// "ENOMEM: 12, ok: 3".
std::string Text(const std::map<std::string, int>& results) {
  std::string text;
  for (const auto& [name, count] : results) {
    text += (text.empty() ? "" : ", ") + name + ": " + std::to_string(count);
  }
  return text;
}

// What a failed attempt left locked would be missing soon.
void LimitLockedMemory() {
  DropCapability(CAP_IPC_LOCK);
  const rlim_t bytes = 5 * Receiver::kPages * internal::PageBytes();
  const rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

void ReceiveHonestly(Receiver& receiver) {
  constexpr uint64_t kBytes = 100'000;
  const Fd listener = Listen(ZeroCopyPort());
  const Sender sender(kBytes);
  const size_t stream = receiver.Adopt(AcceptSoon(listener));
  EXPECT_TRUE(receiver.Receive(stream, kBytes));
  receiver.CloseSocket(stream);
  receiver.GiveBack();
}

TEST_F(LifetimeFaultTest, Registration) {
  InNamespace("a", [] {
    LimitLockedMemory();
    std::map<std::string, int> results;
    unsigned sites = 0;
    for (bool more = true; more && !testing::Test::HasFailure();) {
      SCOPED_TRACE("allocation " + std::to_string(sites + 1));
      Receiver receiver;
      WaitFor("the queue is free", [] { return !QueueIsBound(); });
      receiver.registration().UseNicNow();
      int result;
      {
        const Fault fault(sites + 1);
        result = receiver.registration().Register(receiver.ring());
        more = fault.Happened();
      }
      if (more) ++results[ErrnoName(result)];
      if (!more) {
        EXPECT_EQ(ErrnoName(result), "ok");
      }
      sites += more;
      if (result != 0) {
        EXPECT_FALSE(QueueIsBound());
        EXPECT_EQ(ErrnoName(receiver.Bind()), "ok");
      }
      ReceiveHonestly(receiver);
    }
    WaitFor("no page pool", [] { return ProviderPools().empty(); });
    EXPECT_GT(sites, 10u);
    printf("registration: %u allocations failed; %s\n", sites, Text(results).c_str());
  });
}

// A request is armed and takes what has come, or what comes later, with a fault on the way. Then all the rest
// comes.
void ReceiveWithFaults(bool data_first) {
  constexpr int kBytes = 30'000;
  Receiver receiver;
  ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
  std::map<std::string, int> results;
  unsigned sites = 0;
  for (bool more = true; more && !testing::Test::HasFailure();) {
    SCOPED_TRACE("allocation " + std::to_string(sites + 1));
    Connection connection = ConnectByNic();
    const size_t stream = receiver.Adopt(std::move(connection.server), false);
    const auto send = [&] {
      EXPECT_TRUE(SendContent(connection.client.get(), 0, kBytes));
      WaitQueued(receiver.fd(stream), kBytes);
    };
    const uint64_t starved = receiver.starved();
    if (data_first) send();
    {
      Fault fault(sites + 1);
      receiver.Arm(stream);
      const int submitted = receiver.ring().TrySubmit();
      fault.Pause();
      if (submitted < 0) ++results["submission " + ErrnoName(submitted)];
      if (!data_first) send();
      fault.Resume();
      while (receiver.TakeOne(milliseconds(0))) continue;
      more = fault.Happened();
    }
    ++results[receiver.starved() > starved ? "ENOMEM" : receiver.error(stream)];
    if (receiver.ended(stream)) receiver.Arm(stream);
    EXPECT_TRUE(receiver.Receive(stream, kBytes)) << receiver.received(stream);
    receiver.CloseSocket(stream);
    receiver.GiveBack();
    sites += more;
  }
  EXPECT_EQ(receiver.HoldAll(), Receiver::kPages);
  EXPECT_GT(sites, 0u);
  printf("receive: %u allocations failed; %s\n", sites, Text(results).c_str());
}

TEST_F(LifetimeFaultTest, ReceiveOfWhatHasCome) {
  InNamespace("a", [] { ReceiveWithFaults(true); });
}

TEST_F(LifetimeFaultTest, ReceiveOfWhatComesLater) {
  InNamespace("a", [] { ReceiveWithFaults(false); });
}

}  // namespace
}  // namespace zcrx
