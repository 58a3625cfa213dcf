// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/buffer_ledger.h"

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace zcrx::inline v0::internal {
namespace {

constexpr size_t kRecordsPerSlab = 256;

// A number no other thread has or will have, unlike pthread_self() or the address of something thread-local.
uint64_t ThisThread() {
  static std::atomic<uint64_t> last = 0;
  thread_local uint64_t number = 0;
  if (number == 0) number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return number;
}

// Stands in foreign_ for "closed". Never dereferenced as a record that is out.
BufferRecord closed_mark;

}  // namespace

void AccountList::Add(Account* account) {
  account->list_ = this;
  account->next_ = first_;
  if (first_ != nullptr) first_->previous_ = account;
  first_ = account;
}

void AccountList::Remove(Account* account) {
  (account->previous_ != nullptr ? account->previous_->next_ : first_) = account->next_;
  if (account->next_ != nullptr) account->next_->previous_ = account->previous_;
}

void AccountList::Clear() {
  while (first_ != nullptr) {
    Account* account = std::exchange(first_, first_->next_);
    account->list_ = nullptr;
    account->previous_ = account->next_ = nullptr;
  }
}

BufferLedger::Handle BufferLedger::Open(PoolRegion region, std::shared_ptr<Waker> waker) {
  return Open(std::make_shared<GuardedRegion>(std::move(region)), std::move(waker), {});
}

BufferLedger::Handle BufferLedger::Open(std::shared_ptr<GuardedRegion> region, std::shared_ptr<Waker> waker,
                                        LateReturn late_return) {
  return Handle(new BufferLedger(std::move(region), std::move(waker), std::move(late_return)));
}

BufferLedger::BufferLedger(std::shared_ptr<GuardedRegion> region, std::shared_ptr<Waker> waker,
                           LateReturn late_return)
    : region_(std::move(region)),
      waker_(std::move(waker)),
      late_return_(std::move(late_return)),
      owner_(ThisThread()) {}

BufferLedger::~BufferLedger() {
  assert(closed_);
  // The proof: everything that went out has come back.
  for (const auto& slab : slabs_) {
    for (const BufferRecord& record : std::span(slab.get(), kRecordsPerSlab))
      record.guard.OnLedgerEnd(record);
  }
}

void BufferLedger::Grow() {
  slabs_.push_back(std::make_unique<BufferRecord[]>(kRecordsPerSlab));
  for (size_t i = 0; i < kRecordsPerSlab; ++i) {
    slabs_.back()[i].ledger = this;
    free_.Push(&slabs_.back()[i]);
  }
}

RecordQueue& BufferLedger::CollectReturned() {
  // Acquire: pairs with the release in Return(); the other threads are done with the bytes and the records.
  BufferRecord* newest = nullptr;
  // Relaxed look first: mostly there is nothing, and an exchange would dirty the cache line each turn.
  if (foreign_.load(std::memory_order_relaxed) != nullptr)
    newest = foreign_.exchange(nullptr, std::memory_order_acquire);
  BufferRecord* oldest = nullptr;
  while (newest != nullptr) {
    BufferRecord* next = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, next);
  }
  while (oldest != nullptr) returned_.Push(std::exchange(oldest, oldest->next));
  return returned_;
}

std::vector<BufferLedger::Held> BufferLedger::ListHeld() const {
  absl::flat_hash_map<const Account*, Held> held;
  for (const auto& slab : slabs_) {
    for (const BufferRecord& record : std::span(slab.get(), kRecordsPerSlab)) {
      // Relaxed: who drops a reference at this very moment may be counted or not.
      if (record.account == nullptr || record.references.load(std::memory_order_relaxed) == 0) continue;
      Held& entry = held.try_emplace(record.account, Held{record.account->stream(), 0, 0, record.issued_at})
                        .first->second;
      ++entry.pieces;
      entry.bytes += record.bytes.size();
      entry.oldest = std::min(entry.oldest, record.issued_at);
    }
  }
  std::vector<Held> list;
  for (const auto& [account, entry] : held) list.push_back(entry);
  return list;
}

bool BufferLedger::PrepareToSleep(bool wake_on_return) {
  // Sequentially consistent, like the push and the look in Return(): either the
  // returning thread sees that a wake is wanted, or we see its return here.
  wake_wanted_.store(wake_on_return, std::memory_order_seq_cst);
  return foreign_.load(std::memory_order_seq_cst) == nullptr;
}

void BufferLedger::Return(BufferRecord* record) {
  record->guard.OnReturn(*record);
  region_->poison.Forbid(record->bytes);
  // closed_ is read by the owner only; once it has closed the ledger it is as foreign as any other thread.
  if (ThisThread() == owner_ && !closed_) {
    returned_.Push(record);
    // Between two turns of a loop that is not ours.
    if (wake_wanted_.load(std::memory_order_relaxed)) WakeIfWanted();
    return;
  }
  // Keeps the ledger while this thread is in here: after the push the record no longer does.
  references_.fetch_add(1, std::memory_order_relaxed);
  BufferRecord* newest = foreign_.load(std::memory_order_acquire);
  do {
    if (newest == &closed_mark) {
      ReturnLate(*record);
      Unref(2);  // ours and the record's
      return;
    }
    record->next = newest;
    // Sequentially consistent (and so release) on success: see PrepareToSleep() and CollectReturned().
    // Acquire on failure: it may be the mark, with what Close() did before.
  } while (
      !foreign_.compare_exchange_weak(newest, record, std::memory_order_seq_cst, std::memory_order_acquire));
  // Sequentially consistent: see PrepareToSleep().
  if (wake_wanted_.load(std::memory_order_seq_cst)) WakeIfWanted();
  Unref(1);
}

void BufferLedger::WakeIfWanted() {
  // Relaxed: only that one of several does it.
  if (wake_wanted_.exchange(false, std::memory_order_relaxed)) waker_->Wake();
}

void BufferLedger::Close() {
  // From now on each record that is out holds a reference, in advance of the mark that makes returns drop it.
  references_.fetch_add(out(), std::memory_order_relaxed);
  closed_ = true;
  // Nothing is settled any more. What is out may be in the hands of other threads, which do not look at this.
  for (const auto& slab : slabs_) {
    for (BufferRecord& record : std::span(slab.get(), kRecordsPerSlab)) {
      if (Account* account = std::exchange(record.account, nullptr)) account->RemovePiece();
    }
  }
  // Streams that outlive this may end on any thread.
  accounts_.Clear();
  // Release: shows returning threads the line above. Acquire: as in CollectReturned().
  BufferRecord* foreign = foreign_.exchange(&closed_mark, std::memory_order_acq_rel);
  uint64_t came_back = returned_.size();
  while (!returned_.empty()) ReturnLate(*returned_.Pop());
  for (; foreign != nullptr; foreign = foreign->next) {
    ReturnLate(*foreign);
    ++came_back;
  }
  Unref(came_back + 1);
}

void BufferLedger::Unref(uint64_t count) {
  // Release: what this thread did with the ledger comes before its end; acquire: for the one that ends it.
  if (references_.fetch_sub(count, std::memory_order_acq_rel) == count) delete this;
}

}  // namespace zcrx::inline v0::internal
