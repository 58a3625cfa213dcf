// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/receiver.h"

#include "tests/bench/c_loop.h"
#include "tests/bench/counted.h"
#include "tests/bench/ledger_receiver.h"
#include "tests/bench/stream_receiver.h"

namespace zcrx::bench {
namespace {

class CReceiver final : public Receiver {
 public:
  explicit CReceiver(const Traffic& traffic) : Receiver(traffic) {
    const auto completions = kernel_.completions();
    const auto rbufs = kernel_.rbufs();
    const auto refills = kernel_.refills();
    loop_ = {.cq_head = completions.head,
             .cq_tail = completions.tail,
             .cqes = completions.entries,
             .cq_mask = completions.size - 1,
             .rbuf_head = rbufs.head,
             .rbufs = rbufs.entries,
             .rbuf_mask = rbufs.size - 1,
             .rq_tail = refills.tail,
             .rqes = refills.entries,
             .rq_mask = refills.size - 1,
             .area = region_.base(),
             .area_token = 0,
             .ended = 0};
    for (Tally& tally : tallies_) kernel_.AddStream(reinterpret_cast<uint64_t>(&tally));
  }

  void Run(uint64_t turns) override {
    for (; turns > 0; --turns) {
      BenchAsideKernel(kernel_);
      BenchCompletions(*this);
    }
  }
  void TakeCompletions() override {
    if (kernel_.traffic().rbuf) {
      ReceiveByRbufRing(&loop_);
    } else {
      ReceiveByMainQueue(&loop_);
    }
  }
  Tally Finish() override { return Total(); }

 private:
  const internal::PoolRegion region_ = kernel_.MapRegion();
  CLoop loop_ = {};
};

}  // namespace

Tally Receiver::Total() const {
  Tally total;
  for (const Tally& tally : tallies_) {
    total.bytes += tally.bytes;
    total.sum += tally.sum;
  }
  return total;
}

std::unique_ptr<Receiver> MakeReceiver(std::string_view name, const Traffic& traffic) {
  if (name == "c") return std::make_unique<CReceiver>(traffic);
  if (name == "ledger") return MakeLedgerReceiver(traffic);
  if (name == "workers") return MakeWorkersReceiver(traffic);
  if (name == "receive") return MakeStreamReceiver(traffic, /*batches=*/false);
  if (name == "batch") return MakeStreamReceiver(traffic, /*batches=*/true);
  return nullptr;
}

}  // namespace zcrx::bench
