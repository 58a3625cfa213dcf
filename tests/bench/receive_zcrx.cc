// SPDX-License-Identifier: Apache-2.0
//
// The library: a coroutine for each connection.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <utility>

#include "tests/bench/receive.h"
#include "zcrx/zcrx.h"

namespace zcrx::bench {
namespace {

template <typename Value>
Value Must(absl::StatusOr<Value> value) {
  if (value.ok()) return *std::move(value);
  (void)fprintf(stderr, "receive_bench: %s\n", std::string(value.status().message()).c_str());
  exit(1);
}

RuntimeOptions OptionsOf(const ReceivePlan& plan, CompletionRing completion) {
  RuntimeOptions options;
  options.mode = ReceiveMode::kZeroCopy;
  options.interface_queue = {.interface = plan.interface,
                             .rx_queue = plan.rx_queue,
                             .pool = {.bytes = plan.region_bytes()},
                             .completion = completion};
  return options;
}

class Zcrx final : public Contender {
 public:
  Zcrx(const ReceivePlan& plan, CompletionRing completion)
      : kept_pieces_(plan.kept_pieces()), runtime_(Must(Runtime::Create(OptionsOf(plan, completion)))) {}

  void Receive(std::span<const int> sockets, Arrivals& arrivals) override {
    for (uint32_t number = 0; number < sockets.size(); ++number) {
      runtime_.Spawn(ReceiveAll(Must(Stream::Adopt(runtime_, sockets[number])), number, arrivals));
    }
    const absl::Status ran = runtime_.Run();
    Require(ran.ok(), "Runtime::Run");
  }

  // A turn of the loop is one call of io_uring_enter(2).
  ReceiveCounts counts() const override {
    const RuntimeStats stats = runtime_.stats();
    return {.completions = stats.completions, .system_calls = stats.turns};
  }

 private:
  Task<void> ReceiveAll(Stream peer, uint32_t number, Arrivals& arrivals) {
    while (true) {
      BufferChain data = Must(co_await peer.ReceiveBatch());
      if (data.empty()) break;
      if (arrivals.touch()) {
        for (const Buffer& buffer : data) arrivals.Add(number, buffer.data(), buffer.size());
      } else {
        arrivals.AddUnread(number, data.size());
      }
      Keep(std::move(data));
    }
    arrivals.End(number);
  }

  // The oldest go back.
  void Keep(BufferChain data) {
    kept_now_ += data.buffer_count();
    kept_.push_back(std::move(data));
    while (kept_now_ > kept_pieces_) {
      kept_now_ -= kept_.front().buffer_count();
      kept_.pop_front();
    }
  }

  const size_t kept_pieces_;
  size_t kept_now_ = 0;
  std::deque<BufferChain> kept_;
  Runtime runtime_;
};

}  // namespace

std::unique_ptr<Contender> MakeZcrxMain(const ReceivePlan& plan) {
  return std::make_unique<Zcrx>(plan, CompletionRing::kMainCq);
}

std::unique_ptr<Contender> MakeZcrxRbuf(const ReceivePlan& plan) {
  return std::make_unique<Zcrx>(plan, CompletionRing::kRbufRing);
}

}  // namespace zcrx::bench
