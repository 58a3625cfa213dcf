// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/ledger_receiver.h"

#include <utility>

#include "lib/ifq/buffer_ledger.h"
#include "lib/ifq/give_back.h"
#include "lib/ifq/take.h"
#include "tests/bench/counted.h"
#include "tests/bench/worker.h"
#include "zcrx/buffer.h"

namespace zcrx::bench {
namespace {

using internal::Completion;

class LedgerReceiver : public Receiver {
 public:
  explicit LedgerReceiver(const Traffic& traffic) : Receiver(traffic) {
    for (Tally& tally : tallies_) kernel_.AddStream(reinterpret_cast<uint64_t>(&tally));
  }

  void Run(uint64_t turns) override {
    for (; turns > 0; --turns) {
      BenchAsideKernel(kernel_);
      BenchCompletions(*this);
      AfterCompletions();
      internal::GiveBack(*ledger_, refill_);
    }
  }

  void TakeCompletions() override {
    completions_.Drain([this](uint64_t user_data, Completion completion) {
      if (!completion.more()) return;
      internal::RecordQueue fragments;
      const auto result = static_cast<uint32_t>(completion.res);
      if (kernel_.traffic().rbuf) {
        sound_ &= internal::TakeFragments(*ledger_, 0, rbufs_, result, fragments, nullptr);
      } else {
        sound_ &=
            internal::TakeFragment(*ledger_, 0, completion.zc_offset, result, false, fragments, nullptr);
      }
      // The pointer that the request carried. NOLINTNEXTLINE(performance-no-int-to-ptr)
      auto* tally = reinterpret_cast<Tally*>(user_data);
      for (internal::BufferRecord *record = fragments.front(), *next; record != nullptr; record = next) {
        next = record->next;
        Buffer buffer(record->bytes, record);
        tally->Add(buffer.data(), buffer.size());
        OnBuffer(std::move(buffer));
      }
    });
  }

  Tally Finish() override { return sound_ ? Total() : Tally(); }

 protected:
  virtual void OnBuffer(Buffer buffer) { buffer.Reset(); }
  virtual void AfterCompletions() {}

 private:
  internal::BufferLedger::Handle ledger_ =
      internal::BufferLedger::Open(kernel_.MapRegion(), *internal::Waker::Create());
  internal::CompletionQueue completions_{kernel_.completions()};
  internal::RbufRing rbufs_{kernel_.rbufs()};
  internal::RefillRing refill_{kernel_.refills()};
  bool sound_ = true;
};

class WorkersReceiver final : public LedgerReceiver {
 public:
  using LedgerReceiver::LedgerReceiver;

  std::chrono::nanoseconds time_aside() const override { return kernel().time() + worker_.time_lost(); }

 private:
  void OnBuffer(Buffer buffer) override { worker_.Add(std::move(buffer)); }
  void AfterCompletions() override { BenchAsideHandOver(worker_); }

  Worker worker_;
};

}  // namespace

std::unique_ptr<Receiver> MakeLedgerReceiver(const Traffic& traffic) {
  return std::make_unique<LedgerReceiver>(traffic);
}
std::unique_ptr<Receiver> MakeWorkersReceiver(const Traffic& traffic) {
  return std::make_unique<WorkersReceiver>(traffic);
}

}  // namespace zcrx::bench
