// SPDX-License-Identifier: Apache-2.0
//
// The ledger knows every fragment that is out: it makes a record when one
// arrives, and gets the record back, from whatever thread, when its last Buffer
// is gone. Nothing is lost or returned twice, because a record has one way out
// and one way back; the counts prove it when the ledger ends.
#ifndef ZCRX_LIB_IFQ_BUFFER_LEDGER_H_
#define ZCRX_LIB_IFQ_BUFFER_LEDGER_H_

#include <algorithm>
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
    DeleteIfUnused();
  }

  // The number of the stream, for people.
  uint64_t stream() const { return stream_; }
  // Fragments that lie in the region and have not been settled.
  uint64_t pieces() const { return pieces_; }
  Account* next() const { return next_; }
  void AddPiece() { ++pieces_; }
  void RemovePiece() {
    --pieces_;
    DeleteIfUnused();
  }

 private:
  friend class AccountList;
  explicit Account(uint64_t stream) : stream_(stream) {}
  ~Account() {
    if (list_ != nullptr) list_->Remove(this);
  }
  void DeleteIfUnused() {
    if (!open_ && pieces_ == 0) delete this;
  }

  const uint64_t stream_;
  uint64_t pieces_ = 0;
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
  std::chrono::steady_clock::time_point issued_at;  // or shortly before
  [[no_unique_address]] RecordGuard guard;
  BufferRecord* next = nullptr;  // in the one list it is in: of a stream, returned, or free
};

// A record on the heap with a copy of the bytes, and one reference.
BufferRecord* NewHeapRecord(std::span<const std::byte> bytes);

// An intrusive list, first in first out, of records.
class RecordQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  BufferRecord* front() const { return first_; }
  uint64_t size() const { return size_; }
  void Push(BufferRecord* record) {
    ++size_;
    record->next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = record;
    last_ = record;
  }
  BufferRecord* Pop() {
    BufferRecord* record = first_;
    first_ = record->next;
    --size_;
    return record;
  }
  // Moves all of `other` behind what is here.
  void Append(RecordQueue& other) {
    if (other.empty()) return;
    (first_ == nullptr ? first_ : last_->next) = other.first_;
    last_ = other.last_;
    size_ += other.size_;
    other = {};
  }
  // Drops the reference on each of them.
  void DropAll() {
    while (!empty()) DropReference(Pop());
  }

 private:
  uint64_t size_ = 0;
  BufferRecord* first_ = nullptr;
  BufferRecord* last_ = nullptr;
};

// A region, and the care that nobody touches what is not out.
struct GuardedRegion {
  explicit GuardedRegion(PoolRegion pool)
      : memory(std::move(pool)), poison({memory.base(), memory.bytes()}, memory.piece_bytes()) {}

  PoolRegion memory;
  [[no_unique_address]] RegionPoison poison;
};

// Belongs to the thread that opened it, but for Return(). Lives on after Close()
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

  // A record, with one reference, of `length` bytes at `offset` of the region. Allocates only while
  // more fragments are out than ever before.
  BufferRecord* Issue(size_t offset, size_t length, uint64_t token, bool copied = false);

  // The records that have come back and have not been settled, oldest first.
  // Those that other threads returned are among them.
  RecordQueue& CollectReturned();

  // Ends a record of CollectReturned(): its piece has been given back.
  void Settle(BufferRecord* record);

  // Puts down a record that has none yet to an account.
  static void Assign(BufferRecord* record, Account* account) {
    record->account = account;
    account->AddPiece();
    record->guard.OnAssign(account->stream());
    record->ledger->region_->poison.Name(record->bytes, account->stream());
  }

  // The time that records get from now on. Once per turn is often enough.
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
    // Relaxed: a wake too many does no harm. Looks first, as a store would dirty the cache line each turn.
    if (wake_wanted_.load(std::memory_order_relaxed)) wake_wanted_.store(false, std::memory_order_relaxed);
  }

  // The last reference of `record` is gone. Any thread.
  void Return(BufferRecord* record);

  // Fragments issued and not settled.
  uint64_t out() const { return issued_ - settled_; }
  // Of these, collected and not settled.
  uint64_t returned() const { return returned_.size(); }
  uint64_t out_peak() const { return out_peak_; }
  uint64_t issued() const { return issued_; }
  uint64_t settled() const { return settled_; }

 private:
  BufferLedger(std::shared_ptr<GuardedRegion> region, std::shared_ptr<Waker> waker, LateReturn late_return);
  ~BufferLedger();

  void Close();
  void ReturnLate(const BufferRecord& record) const {
    if (late_return_) late_return_(record.token);
  }
  void WakeIfWanted();
  void Unref(uint64_t count);
  void Grow();

  const std::shared_ptr<GuardedRegion> region_;
  const std::shared_ptr<Waker> waker_;
  const LateReturn late_return_;  // may be empty
  const uint64_t owner_;          // the thread

  std::vector<std::unique_ptr<BufferRecord[]>> slabs_;
  RecordQueue free_;
  RecordQueue returned_;
  uint64_t issued_ = 0;
  uint64_t settled_ = 0;
  uint64_t out_peak_ = 0;
  bool closed_ = false;
  std::chrono::steady_clock::time_point now_;
  AccountList accounts_;

  // Returns of other threads, newest first; a mark once the ledger is closed.
  alignas(64) std::atomic<BufferRecord*> foreign_ = nullptr;
  std::atomic<bool> wake_wanted_ = false;
  // One for the owner, one for each thread inside Return(), and,
  // once closed, one for each record that is out.
  std::atomic<uint64_t> references_ = 1;
};

// Here, as they are for each fragment.

inline BufferRecord* BufferLedger::Issue(size_t offset, size_t length, uint64_t token, bool copied) {
  if (free_.empty()) Grow();
  BufferRecord* record = free_.Pop();
  record->guard.OnIssue(*record);
  record->token = token;
  record->copied = copied;
  record->issued_at = now_;
  record->bytes = {region_->memory.base() + offset, length};
  region_->poison.Allow(record->bytes);
  // Relaxed: the record reaches other threads only by the owner handing over a Buffer.
  record->references.store(1, std::memory_order_relaxed);
  ++issued_;
  out_peak_ = std::max(out_peak_, out());
  return record;
}

inline void BufferLedger::Settle(BufferRecord* record) {
  record->guard.OnSettle(*record);
  ++settled_;
  if (Account* account = std::exchange(record->account, nullptr)) account->RemovePiece();
  free_.Push(record);
}

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_BUFFER_LEDGER_H_
