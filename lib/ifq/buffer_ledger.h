// SPDX-License-Identifier: Apache-2.0
//
// The ledger knows every fragment that is out: it makes a record when one
// arrives, and gets the record back, from whatever thread, when its last Buffer
// is gone. Nothing is lost or returned twice, because a record has one way out
// and one way back; the counts prove it when the ledger ends.
#ifndef ZCRX_LIB_IFQ_BUFFER_LEDGER_H_
#define ZCRX_LIB_IFQ_BUFFER_LEDGER_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lib/ifq/misuse.h"
#include "lib/ifq/poison.h"
#include "lib/ifq/pool_region.h"
#include "lib/ring/waker.h"
#include "lib/uapi/probe.h"
#include "zcrx/buffer.h"

namespace zcrx::inline v0::internal {

class Account;
class BufferLedger;

// The accounts of a ledger, to look through. Belongs to its thread.
class AccountList {
 public:
  AccountList() = default;
  AccountList(const AccountList&) = delete;
  AccountList& operator=(const AccountList&) = delete;
  ~AccountList() { Clear(); }

  void Add(Account* account);
  // They live on, as those of nobody.
  void Clear();

  Account* first() const { return first_; }

 private:
  friend class Account;
  void Remove(Account* account);

  Account* first_ = nullptr;
};

// What one stream holds. Belongs to the thread of the ledger. Lives until the stream has closed it and what
// it holds has been settled, or the ledger has.
class Account {
 public:
  static Account* Open(uint64_t stream) { return new Account(stream); }
  void Close() {
    open_ = false;
    Unref();
  }

  // The number of the stream, for people.
  uint64_t stream() const { return stream_; }
  // Fragments that lie in the region and have not been settled.
  uint64_t pieces() const { return references_ - (open_ ? 1 : 0); }
  Account* next() const { return next_; }
  void AddPiece() { ++references_; }
  void RemovePiece() { Unref(); }

 private:
  friend class AccountList;
  explicit Account(uint64_t stream) : stream_(stream) {}
  ~Account() {
    if (list_ != nullptr) list_->Remove(this);
  }
  void Unref() {
    if (--references_ == 0) delete this;
  }

  const uint64_t stream_;
  uint64_t references_ = 1;  // that of who has opened it, and one of each piece
  bool open_ = true;
  AccountList* list_ = nullptr;  // null: in none
  Account* previous_ = nullptr;
  Account* next_ = nullptr;
};

// One fragment that is out. Recycled.
struct BufferRecord {
  BufferLedger* ledger = nullptr;  // null: lies on the heap (Buffer::Copy)
  Account* account = nullptr;      // whose it is, once that is known
  uint64_t token = 0;              // names the piece to whoever takes it back
  std::span<const std::byte> bytes;
  std::atomic<uint32_t> references = 0;
  bool copied = false;                              // by the kernel, as far as it tells
  std::chrono::steady_clock::time_point issued_at;  // or up to 0.3 s before
  [[no_unique_address]] RecordGuard guard;
  BufferRecord* next = nullptr;  // in the one list it is in: of a stream, returned, or free
};

// A record on the heap with a copy of the bytes, and one reference.
BufferRecord* NewHeapRecord(std::span<const std::byte> bytes);

// An intrusive list, first in first out, of records.
class RecordQueue {
 public:
  RecordQueue() = default;
  RecordQueue(const RecordQueue&) = delete;
  RecordQueue& operator=(const RecordQueue&) = delete;

  bool empty() const { return first_ == nullptr; }
  BufferRecord* front() const { return first_; }
  uint64_t size() const { return size_; }
  void Push(BufferRecord* record) {
    record->next = nullptr;
    *end_ = record;
    end_ = &record->next;
    ++size_;
  }
  BufferRecord* Pop() {
    BufferRecord* record = first_;
    RemoveBefore(record->next, 1);
    return record;
  }
  // Takes out the first `count`, which are those before `next`; null: all. They stay linked.
  void RemoveBefore(BufferRecord* next, uint64_t count) {
    first_ = next;
    if (next == nullptr) end_ = &first_;
    size_ -= count;
  }
  // Moves all of `other` behind what is here.
  void Append(RecordQueue& other) {
    if (other.empty()) return;
    *end_ = other.first_;
    end_ = other.end_;
    size_ += other.size_;
    other.RemoveBefore(nullptr, other.size_);
  }
  // Drops the reference on each of them.
  void DropAll() {
    while (!empty()) DropReference(Pop());
  }
  // The same, but for the first `count`.
  void DropAllBut(uint64_t count);

 private:
  BufferRecord* first_ = nullptr;
  BufferRecord** end_ = &first_;  // where the next one goes
  uint64_t size_ = 0;
};

// A region, and the care that nobody touches what is not out.
struct GuardedRegion {
  explicit GuardedRegion(PoolRegion pool)
      : memory(std::move(pool)), poison({memory.base(), memory.bytes()}, memory.piece_bytes()) {}

  PoolRegion memory;
  [[no_unique_address]] RegionPoison poison;
};

// Belongs to the thread that opened it, but for what DropReference() does. Lives on after Close()
// until the last record has come back, and keeps the region mapped until then.
class BufferLedger {
 public:
  struct Closer {
    void operator()(BufferLedger* ledger) const { ledger->Close(); }
  };
  // Closes the ledger.
  using Handle = std::unique_ptr<BufferLedger, Closer>;

  // Is told by what name a piece goes back, once it has come back to a closed ledger. Any thread.
  using LateReturn = std::function<void(uint64_t token)>;

  // `waker` is woken when a return comes that PrepareToSleep() asked for.
  static Handle Open(PoolRegion region, std::shared_ptr<Waker> waker);
  // The same for a region in which other ledgers have fragments, too: a late piece is of use to them.
  static Handle Open(std::shared_ptr<GuardedRegion> region, std::shared_ptr<Waker> waker,
                     LateReturn late_return);

  BufferLedger(const BufferLedger&) = delete;
  BufferLedger& operator=(const BufferLedger&) = delete;

  const PoolRegion& region() const { return region_->memory; }

  // Makes more records. Issue() does it by itself if it has to.
  void Grow();
  bool has_free_record() const { return free_ != nullptr; }

  // A record, with one reference, of `length` bytes at `offset` of the region. Allocates only while
  // more fragments are out than ever before.
  BufferRecord* Issue(size_t offset, size_t length, uint64_t token, bool copied = false);

  // Takes back what has been returned, by whatever thread: calls `give_back(token)` for each of the records,
  // oldest first, until one is refused, which stays for the next time. Returns how many were settled.
  template <typename GiveBack>
  uint32_t Settle(GiveBack&& give_back);

  // Puts down a record that has none yet to an account.
  static void Assign(BufferRecord* record, Account* account) {
    record->account = account;
    account->AddPiece();
    record->guard.OnAssign(account->stream());
    record->ledger->region_->poison.Name(record->bytes, account->stream());
    ZCRX_PROBE3(fragment_received, account->stream(), record->bytes.size(), record->copied ? 1 : 0);
  }

  // The time that records get from now on. May be a little late.
  void set_now(std::chrono::steady_clock::time_point now) { now_ = now; }
  std::chrono::steady_clock::time_point now() const { return now_; }

  // Of the streams that get what is issued, once they have been added.
  AccountList& accounts() { return accounts_; }

  // What is out, one entry for each account that has something, in no order. Slow.
  struct Held {
    uint64_t stream;
    uint64_t pieces;
    uint64_t bytes;
    std::chrono::steady_clock::time_point oldest;
  };
  std::vector<Held> ListHeld() const;

  // Before the owner blocks, or goes to do what is not ours. True: go ahead, and if `wake_on_return` the
  // first return wakes it, until StayAwake(). False: there are returns to collect.
  bool PrepareToSleep(bool wake_on_return);
  // The owner.
  void StayAwake() {
    // Relaxed: only this thread writes it. Looks first, as stores would dirty the cache lines each turn.
    if (at_home_.load(std::memory_order_relaxed) == owner_) return;
    at_home_.store(owner_, std::memory_order_relaxed);
    // Relaxed: a wake too many does no harm.
    wake_wanted_.store(false, std::memory_order_relaxed);
  }

  // Fragments issued and not settled.
  uint64_t out() const { return issued_ - settled_; }
  // Of these, collected and not settled.
  uint64_t returned() const { return returned_.size(); }
  uint64_t out_peak() const { return std::max(out_peak_, out()); }
  uint64_t issued() const { return issued_; }
  uint64_t issued_bytes() const { return issued_bytes_; }
  // Of these, what the kernel has copied.
  uint64_t copied() const { return copied_; }
  uint64_t copied_bytes() const { return copied_bytes_; }
  uint64_t settled() const { return settled_; }

 private:
  friend void DropReference(BufferRecord* record);

  // Records come from here. In release builds each fills a cache line; the one of a buffer that was held for
  // long is not in the cache when it is dropped.
  struct alignas(64) Slab {
    std::array<BufferRecord, 256> records;
  };

  BufferLedger(std::shared_ptr<GuardedRegion> region, std::shared_ptr<Waker> waker, LateReturn late_return);
  ~BufferLedger();

  void Close();
  void CollectForeign();
  // The last reference of `record` is gone. Any thread.
  void Return(BufferRecord* record);
  void ReturnFromElsewhere(BufferRecord* record);
  void ReturnLate(const BufferRecord& record) const {
    if (late_return_) late_return_(record.token);
  }
  void WakeIfWanted();
  void Unref(uint64_t count);

  // First what other threads read, which changes rarely.
  const std::shared_ptr<GuardedRegion> region_;
  std::byte* const base_;  // of the region
  const uint64_t owner_;   // the thread
  // The owner, but nobody while it sleeps and wants to be woken by returns, and once the ledger is closed:
  // then its own returns go the way of those of other threads, which asks all the questions.
  std::atomic<uint64_t> at_home_;
  const std::shared_ptr<Waker> waker_;
  const LateReturn late_return_;  // may be empty

  std::vector<std::unique_ptr<Slab>> slabs_;
  BufferRecord* free_ = nullptr;
  RecordQueue returned_;
  uint64_t issued_ = 0;
  uint64_t issued_bytes_ = 0;
  uint64_t copied_ = 0;
  uint64_t copied_bytes_ = 0;
  uint64_t settled_ = 0;
  uint64_t out_peak_ = 0;  // before anything was settled last
  std::chrono::steady_clock::time_point now_;
  AccountList accounts_;

  // Returns of other threads, newest first; a mark once the ledger is closed.
  alignas(64) std::atomic<BufferRecord*> foreign_ = nullptr;
  std::atomic<bool> wake_wanted_ = false;
  // One for the owner, one for each thread inside ReturnFromElsewhere(), and,
  // once closed, one for each record that is out.
  std::atomic<uint64_t> references_ = 1;
};

// Here, as they are for each fragment.

inline BufferRecord* BufferLedger::Issue(size_t offset, size_t length, uint64_t token, bool copied) {
  if (free_ == nullptr) Grow();
  BufferRecord* record = free_;
  free_ = record->next;
  record->guard.OnIssue(*record);
  record->token = token;
  record->copied = copied;
  record->issued_at = now_;
  record->bytes = {base_ + offset, length};
  region_->poison.Allow(record->bytes);
  // Relaxed: the record reaches other threads only by the owner handing over a Buffer.
  record->references.store(1, std::memory_order_relaxed);
  ++issued_;
  issued_bytes_ += length;
  if (copied) {
    ++copied_;
    copied_bytes_ += length;
  }
  return record;
}

template <typename GiveBack>
uint32_t BufferLedger::Settle(GiveBack&& give_back) {
  CollectForeign();
  out_peak_ = out_peak();
  uint32_t count = 0;
  BufferRecord* record = returned_.front();
  BufferRecord* free = free_;
  while (record != nullptr && give_back(record->token)) {
    record->guard.OnSettle(*record);
    if (Account* account = record->account; account != nullptr) {
      record->account = nullptr;
      account->RemovePiece();
    }
    BufferRecord* next = std::exchange(record->next, free);
    free = std::exchange(record, next);
    ++count;
  }
  free_ = free;
  returned_.RemoveBefore(record, count);
  settled_ += count;
  return count;
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_BUFFER_LEDGER_H_
