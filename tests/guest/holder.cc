// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/holder.h"

#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

struct OrderMessage {
  Order order;
  uint64_t value;
};
struct AnswerMessage {
  uint64_t value;
  bool failed;
};

// The process itself.
class Servant {
 public:
  Servant(int control, double regions) : control_(control), regions_(regions) {}

  [[noreturn]] void Run() {
    EnterNamespace("a");
    LimitLockedMemory();
    receiver_.emplace();
    EXPECT_EQ(ErrnoName(receiver_->Bind()), "ok");
    listener_ = Listen(ZeroCopyPort());
    OrderMessage message;
    while (recv(control_, &message, sizeof(message), 0) == sizeof(message)) {
      const AnswerMessage answer = {.value = Obey(message.order, message.value),
                                    .failed = testing::Test::HasFailure()};
      fflush(stdout);
      send(control_, &answer, sizeof(answer), MSG_NOSIGNAL);
      // What cannot be answered before it is done.
      if (message.order == Order::kReceiveForever) ReceiveForever();
      if (message.order == Order::kExit) break;
    }
    fflush(stdout);
    _exit(0);
  }

 private:
  void LimitLockedMemory() const {
    DropCapability(CAP_IPC_LOCK);
    const auto bytes = static_cast<rlim_t>(regions_ * Receiver::kPages * internal::PageBytes());
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  }

  uint64_t Obey(Order order, uint64_t value) {
    switch (order) {
      case Order::kAccept:
        stream_ = receiver_->Adopt(AcceptSoon(listener_));
        break;
      case Order::kAcceptOnly:
        stream_ = receiver_->Adopt(AcceptSoon(listener_), false);
        WaitQueued(receiver_->fd(stream_), static_cast<int>(value));
        break;
      case Order::kArm:
        receiver_->Arm(stream_);
        break;
      case Order::kReceive:
        EXPECT_TRUE(receiver_->Receive(stream_, value))
            << receiver_->received(stream_) << " of " << value << " bytes, " << receiver_->error(stream_);
        return receiver_->received(stream_);
      case Order::kGiveBack:
        receiver_->GiveBack();
        break;
      case Order::kHeldIntact:
        EXPECT_TRUE(receiver_->HeldIntact());
        return receiver_->HeldBuffers();
      case Order::kCloseRing:
        receiver_->CloseRing();
        break;
      case Order::kCloseSockets:
        receiver_->CloseSockets();
        listener_.Close();
        break;
      case Order::kLeaveNamespace: {
        const Fd initial(open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(setns(initial.get(), CLONE_NEWNET), 0) << strerror(errno);
        break;
      }
      case Order::kReady:
      case Order::kReceiveForever:
      case Order::kExit:
        break;
    }
    return 0;
  }

  void ReceiveForever() {
    pollfd order = {.fd = control_, .events = POLLIN, .revents = 0};
    while (poll(&order, 1, 0) == 0 && !testing::Test::HasFailure()) {
      if (receiver_->TakeOne(std::chrono::milliseconds(5))) receiver_->GiveBack();
    }
  }

  const int control_;
  const double regions_;
  std::optional<Receiver> receiver_;
  Fd listener_;
  size_t stream_ = 0;
};

}  // namespace

bool Holder::Start(double regions) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  control_ = Fd(ends[0]);
  Fd servant_end(ends[1]);
  fflush(stdout);
  process_ = fork();
  if (process_ == 0) {
    control_.Close();
    Servant(servant_end.get(), regions).Run();
  }
  Do(Order::kReady);
  return !testing::Test::HasFailure();
}

Holder::~Holder() {
  if (process_ >= 0) Kill();
}

uint64_t Holder::Do(Order order, uint64_t value) {
  // Something is wrong already: not another time-out for each order.
  if (testing::Test::HasFailure()) return 0;
  const OrderMessage message = {.order = order, .value = value};
  AnswerMessage answer = {};
  const bool sent = send(control_.get(), &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message);
  if (!sent || recv(control_.get(), &answer, sizeof(answer), 0) != sizeof(answer)) {
    ADD_FAILURE() << "the holder is gone, at order " << static_cast<uint32_t>(order);
  } else {
    EXPECT_FALSE(answer.failed) << "in the holder, at order " << static_cast<uint32_t>(order);
  }
  return answer.value;
}

void Holder::Exit() {
  Do(Order::kExit);
  if (testing::Test::HasFailure()) {
    Kill();
  } else {
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }
}

void Holder::Kill() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace zcrx
