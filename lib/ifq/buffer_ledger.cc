// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/buffer_ledger.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace zcrx::inline v0::internal {
namespace {

// A number no other thread has or will have, unlike pthread_self() or the address of something thread-local.
// 0: it has never owned a ledger.
// Initial-exec, as code for a shared library would else call a function to find it.
[[gnu::tls_model("initial-exec")]] constinit thread_local uint64_t this_thread = 0;

uint64_t NumberThisThread() {
  static std::atomic<uint64_t> last = 0;
  if (this_thread == 0) this_thread = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return this_thread;
}

// No thread's number.
constexpr uint64_t kNobody = UINT64_MAX;

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
      base_(region_->memory.base()),
      owner_(NumberThisThread()),
      at_home_(owner_),
      waker_(std::move(waker)),
      late_return_(std::move(late_return)) {}

BufferLedger::~BufferLedger() {
  assert(at_home_.load(std::memory_order_relaxed) == kNobody);
  // The proof: everything that went out has come back.
  for (const auto& slab : slabs_) {
    for (const BufferRecord& record : slab->records) record.guard.OnLedgerEnd(record);
  }
}

void BufferLedger::Grow() {
  slabs_.push_back(std::make_unique<Slab>());
  for (BufferRecord& record : slabs_.back()->records) {
    record.ledger = this;
    record.next = std::exchange(free_, &record);
  }
}

void BufferLedger::CollectForeign() {
  // Relaxed look first: mostly there is nothing, and an exchange would dirty the cache line each turn.
  if (foreign_.load(std::memory_order_relaxed) == nullptr) return;
  // Acquire: pairs with the release in Return(); the other threads are done with the bytes and the records.
  BufferRecord* newest = foreign_.exchange(nullptr, std::memory_order_acquire);
  BufferRecord* oldest = nullptr;
  while (newest != nullptr) {
    BufferRecord* next = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, next);
  }
  while (oldest != nullptr) {
    BufferRecord* next = oldest->next;
    returned_.Push(std::exchange(oldest, next));
  }
}

std::vector<BufferLedger::Held> BufferLedger::ListHeld() const {
  absl::flat_hash_map<const Account*, Held> held;
  for (const auto& slab : slabs_) {
    for (const BufferRecord& record : slab->records) {
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
  // Relaxed: it is the owner that asks whether it is at home.
  if (wake_on_return) at_home_.store(kNobody, std::memory_order_relaxed);
  // Sequentially consistent, like the push and the look in ReturnFromElsewhere(): either the
  // returning thread sees that a wake is wanted, or we see its return here.
  wake_wanted_.store(wake_on_return, std::memory_order_seq_cst);
  return foreign_.load(std::memory_order_seq_cst) == nullptr;
}

inline void BufferLedger::Return(BufferRecord* record) {
  record->guard.OnReturn(*record);
  region_->poison.Forbid(record->bytes);
  // Relaxed: it is this thread's number only if this thread has stored it.
  if (at_home_.load(std::memory_order_relaxed) == this_thread) {
    returned_.Push(record);
  } else {
    ReturnFromElsewhere(record);
  }
}

// Apart, so that the usual way back needs no stack.
[[gnu::noinline]] void BufferLedger::ReturnFromElsewhere(BufferRecord* record) {
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
    // Sequentially consistent (and so release) on success: see PrepareToSleep() and CollectForeign().
    // Acquire on failure: it may be the mark, with what Close() did before.
  } while (
      !foreign_.compare_exchange_weak(newest, record, std::memory_order_seq_cst, std::memory_order_acquire));
  // Sequentially consistent: see PrepareToSleep().
  if (wake_wanted_.load(std::memory_order_seq_cst)) WakeIfWanted();
  Unref(1);
}

void DropReference(BufferRecord* record) {
  CheckReferenced(*record, "returned twice");
  // Acquire: if the others are gone, what they did with the bytes comes before the piece goes back. The look
  // spares the usual case, a single reference, the locked instruction.
  if (record->references.load(std::memory_order_acquire) == 1) {
    record->references.store(0, std::memory_order_relaxed);
  } else if (record->references.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  if (record->ledger != nullptr) {
    record->ledger->Return(record);
  } else {
    record->~BufferRecord();
    ::operator delete(record);
  }
}

void RecordQueue::DropAllBut(uint64_t count) {
  RecordQueue kept;
  while (kept.size() < count) kept.Push(Pop());
  DropAll();
  Append(kept);
}

void BufferLedger::WakeIfWanted() {
  // Relaxed: only that one of several does it.
  if (wake_wanted_.exchange(false, std::memory_order_relaxed)) waker_->Wake();
}

void BufferLedger::Close() {
  // From now on each record that is out holds a reference, in advance of the mark that makes returns drop it.
  references_.fetch_add(out(), std::memory_order_relaxed);
  // Relaxed: as in PrepareToSleep().
  at_home_.store(kNobody, std::memory_order_relaxed);
  // Nothing is settled any more. What is out may be in the hands of other threads, which do not look at this.
  for (const auto& slab : slabs_) {
    for (BufferRecord& record : slab->records) {
      if (Account* account = std::exchange(record.account, nullptr)) account->RemovePiece();
    }
  }
  // Streams that outlive this may end on any thread.
  accounts_.Clear();
  // Release: shows returning threads the line above. Acquire: as in CollectForeign().
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
