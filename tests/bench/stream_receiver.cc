// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/stream_receiver.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/refill.h"
#include "lib/ifq/take.h"
#include "lib/receive/receive_path.h"
#include "lib/runtime/runtime_core.h"
#include "tests/bench/counted.h"
#include "zcrx/zcrx.h"

namespace zcrx::bench {
namespace {

using internal::Completion;
using internal::RecordQueue;

[[noreturn]] void Fail(const absl::Status& status) {
  (void)fprintf(stderr, "%s\n", status.ToString().c_str());
  exit(1);
}

// As ZeroCopyPath, and what that has behind it, but for the kernel.
class SyntheticPath final : public internal::ReceivePath {
 public:
  SyntheticPath(internal::Ring& ring, SyntheticKernel& kernel)
      : ReceivePath(ring, ENOMEM, /*most_waits=*/40, /*tells_copied=*/kernel.traffic().rbuf),
        kernel_(kernel),
        completions_(kernel.completions()),
        ledger_(internal::BufferLedger::Open(kernel.MapRegion(), *internal::Waker::Create())) {
    if (kernel.traffic().rbuf) rbuf_.emplace(kernel.rbufs());
    refill_.Use(internal::RefillRing(kernel.refills()));
  }

  // As Ring::DispatchCompletions().
  void Dispatch() {
    completions_.Drain([this](uint64_t user_data, Completion completion) {
      if (!completion.more()) ++ended_;
      // The pointer that the request carried. NOLINTNEXTLINE(performance-no-int-to-ptr)
      auto* handler = reinterpret_cast<internal::CompletionHandler*>(user_data);
      if (handler != nullptr) handler->OnCompletion(completion);
    });
  }

 protected:
  // The real kernel gets a request that nothing ever happens to; what it would answer comes from the
  // synthetic one.
  void FillRequest(io_uring_sqe& entry) override {
    entry.opcode = IORING_OP_POLL_ADD;
    entry.poll32_events = 0;
    kernel_.AddStream(entry.user_data);
  }
  bool TakeFragments(Completion completion, internal::Account* account, RecordQueue& fragments) override {
    if (!completion.more()) return true;
    if (completion.res <= 0) return false;
    const auto count_or_length = static_cast<uint32_t>(completion.res);
    if (rbuf_.has_value()) return TakeFromRbufRing(count_or_length, account, fragments);
    return internal::TakeFragment(*ledger_, area_token_, completion.zc_offset, count_or_length, false,
                                  fragments, account);
  }
  uint32_t GiveBack() override { return refill_.GiveBack(*ledger_); }
  internal::BufferLedger& ledger() const override { return *ledger_; }

 private:
  // A call of its own, as InterfaceQueue::TakeFromRbufRing() is.
  [[gnu::noinline]] bool TakeFromRbufRing(uint32_t count, internal::Account* account,
                                          RecordQueue& fragments) {
    return internal::TakeFragments(*ledger_, area_token_, *rbuf_, count, fragments, account);
  }

  SyntheticKernel& kernel_;
  internal::CompletionQueue completions_;
  internal::BufferLedger::Handle ledger_;
  std::optional<internal::RbufRing> rbuf_;
  internal::Refill refill_{/*shared=*/false};
  uint64_t area_token_ = 0;  // the real one knows it only once it is registered
  uint64_t ended_ = 0;
};

// Awaitable: the next turn of the loop.
struct NextTurn {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { runtime.core().Schedule(waiter); }
  void await_resume() {}

  Runtime& runtime;
};

Task<void> TallyFragments(Stream stream, Tally& tally) {
  while (true) {
    const absl::StatusOr<Buffer> data = co_await stream.Receive();
    if (!data.ok() || data->empty()) co_return;
    tally.Add(data->data(), data->size());
  }
}

Task<void> TallyBatches(Stream stream, Tally& tally) {
  while (true) {
    const absl::StatusOr<BufferChain> data = co_await stream.ReceiveBatch();
    if (!data.ok() || data->empty()) co_return;
    for (const Buffer& buffer : *data) tally.Add(buffer.data(), buffer.size());
  }
}

class StreamReceiver final : public Receiver {
 public:
  StreamReceiver(const Traffic& traffic, bool batches) : Receiver(traffic) {
    RuntimeOptions options;
    options.mode = ReceiveMode::kCopy;
    absl::StatusOr<Runtime> runtime = Runtime::Create(options);
    if (!runtime.ok()) Fail(runtime.status());
    runtime_.emplace(*std::move(runtime));
    auto path = std::make_unique<SyntheticPath>(runtime_->core().ring(), kernel_);
    path_ = path.get();
    path_->SetPressureOptions(options.pressure);
    runtime_->core().UseReceivePath(std::move(path));
    Connect(batches);
  }
  ~StreamReceiver() override {
    runtime_.reset();
    for (const int fd : sockets_) close(fd);
  }

  void Run(uint64_t turns) override {
    runtime_->Spawn(Drive(turns));
    if (absl::Status status = runtime_->Run(); !status.ok()) Fail(status);
  }
  void TakeCompletions() override { path_->Dispatch(); }
  Tally Finish() override {
    // The consumers' turn.
    if (absl::Status status = runtime_->RunOnce({}); !status.ok()) Fail(status);
    return Total();
  }
  // A turn submits and waits with one call.
  uint64_t system_calls() const override { return runtime_->stats().turns; }

 private:
  // Each stream has a descriptor of its own, of one and the same silent socket.
  void Connect(bool batches) {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets_.data()) != 0) abort();
    for (Tally& tally : tallies_) {
      absl::StatusOr<Stream> stream = Stream::Adopt(*runtime_, dup(sockets_[0]));
      if (!stream.ok()) Fail(stream.status());
      runtime_->Spawn(batches ? TallyBatches(*std::move(stream), tally)
                              : TallyFragments(*std::move(stream), tally));
    }
  }

  // What a completion wakes runs in the next turn, before this does.
  Task<void> Drive(uint64_t turns) {
    for (; turns > 0; --turns) {
      BenchAsideKernel(kernel_);
      BenchCompletions(*this);
      if (turns > 1) co_await NextTurn{*runtime_};
    }
    runtime_->Stop();
  }

  std::array<int, 2> sockets_ = {-1, -1};
  std::optional<Runtime> runtime_;
  SyntheticPath* path_ = nullptr;  // the runtime's
};

}  // namespace

std::unique_ptr<Receiver> MakeStreamReceiver(const Traffic& traffic, bool batches) {
  return std::make_unique<StreamReceiver>(traffic, batches);
}

}  // namespace zcrx::bench
