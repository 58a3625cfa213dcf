// SPDX-License-Identifier: Apache-2.0
//
// Threads that hold buffers of a stream, look at them, share and slice them, and
// drop them when and in what order chance has it: like an application with workers,
// whose buffers outlive their stream, their queue and their runtime.
//
//   WorkerPool workers(&ContentAt);
//   workers.Give(*std::move(buffer), position);   // for each buffer, on any thread
//   ... the stream, the queue, the runtime go away ...
//   workers.StartReturning();                     // or before, so that it happens meanwhile
//   EXPECT_EQ(workers.Finish(), 0u);              // no byte was wrong until it was dropped
#ifndef ZCRX_TESTS_WORKER_POOL_H_
#define ZCRX_TESTS_WORKER_POOL_H_

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <ostream>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "zcrx/buffer.h"

namespace zcrx {

// Whether the page of `address` is mapped, by whomever.
inline bool IsMapped(const void* address) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident;
  // The address as a number. NOLINTNEXTLINE(performance-no-int-to-ptr)
  void* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) / page * page);
  return mincore(start, page, &resident) == 0 || errno != ENOMEM;
}

// When the workers start to return what they hold: the end is that of whatever gave it to them.
enum class WhenReturned { kBeforeTheEnd, kMeanwhile, kAfterTheEnd };

inline const char* NameOf(WhenReturned when) {
  switch (when) {
    case WhenReturned::kBeforeTheEnd:
      return "BeforeTheEnd";
    case WhenReturned::kMeanwhile:
      return "Meanwhile";
    case WhenReturned::kAfterTheEnd:
      return "AfterTheEnd";
  }
  return "";
}
inline void PrintTo(WhenReturned when, std::ostream* out) { *out << NameOf(when); }

class WorkerPool {
 public:
  // `content` is what byte `index` of the stream must be.
  explicit WorkerPool(std::byte (*content)(uint64_t index), size_t threads = 8)
      : content_(content), workers_(threads) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Work(i); });
  }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool() { Finish(); }

  // Hands a buffer, whose first byte is byte `position` of the stream, to one of the workers, which keep it
  // until StartReturning(), whole or a part of it. Any thread, before Finish().
  void Give(Buffer buffer, uint64_t position) {
    ++given_;
    ++held_;
    Send(given_.load() % workers_.size(), {std::move(buffer), position, /*divisions=*/2});
  }

  // From now on the workers drop what they have, in any order. Any thread.
  void StartReturning() {
    returning_ = true;
    WakeAll();
  }

  // Waits until everything has been dropped; how many bytes were wrong before that.
  uint64_t Finish() {
    finishing_ = true;
    StartReturning();
    threads_.clear();  // joins
    return wrong_.load();
  }

  // Buffers that have not been dropped: at least all that were given, until StartReturning().
  uint64_t held() const { return held_.load(); }
  uint64_t given() const { return given_.load(); }
  // Buffers that were shared or sliced off: it did happen.
  uint64_t parts() const { return parts_.load(); }

 private:
  struct Item {
    Buffer buffer;
    uint64_t position;
    int divisions;  // that it may come to be shared or sliced
  };
  struct Worker {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<Item> mailbox;  // guarded by mutex
  };

  void Send(size_t worker, Item item) {
    Worker& to = workers_[worker];
    const std::lock_guard lock(to.mutex);
    to.mailbox.push_back(std::move(item));
    to.wake.notify_one();
  }

  void WakeAll() {
    for (Worker& worker : workers_) {
      // With the lock, or the worker may have looked already, and not wait yet.
      const std::lock_guard lock(worker.mutex);
      worker.wake.notify_one();
    }
  }

  // One thread's.
  void Work(size_t number) {
    Worker& self = workers_[number];
    std::minstd_rand random(static_cast<unsigned>(number + 1));
    std::vector<Item> kept;
    std::vector<Item> arrived;
    while (true) {
      {
        std::unique_lock lock(self.mutex);
        self.wake.wait(lock, [&] {
          return !self.mailbox.empty() || (returning_.load() && !kept.empty()) ||
                 (finishing_.load() && held_.load() == 0);
        });
        arrived.swap(self.mailbox);
      }
      if (arrived.empty() && kept.empty()) return;
      for (Item& item : arrived) {
        Divide(item, random);
        kept.push_back(std::move(item));
      }
      arrived.clear();
      if (returning_.load() && !kept.empty()) {
        std::swap(kept[random() % kept.size()], kept.back());
        Item item = std::move(kept.back());
        kept.pop_back();
        DropOrPass(std::move(item), random);
      }
    }
  }

  // What an application does with a buffer that it is going to keep.
  void Divide(Item& item, std::minstd_rand& random) {
    Check(item);
    if (item.divisions == 0) return;
    --item.divisions;
    const size_t offset = random() % item.buffer.size();
    const size_t length = 1 + random() % (item.buffer.size() - offset);
    switch (random() % 4) {
      case 0:
        SendPart({item.buffer.Share(), item.position, item.divisions}, random);
        break;
      case 1:
        SendPart({item.buffer.Slice(offset, length), item.position + offset, item.divisions}, random);
        break;
      case 2:  // only a part is of interest
        item.buffer = item.buffer.Slice(offset, length);
        item.position += offset;
        break;
      default:
        break;
    }
  }

  void SendPart(Item part, std::minstd_rand& random) {
    ++held_;
    ++parts_;
    Send(random() % workers_.size(), std::move(part));
  }

  void DropOrPass(Item item, std::minstd_rand& random) {
    if (random() % 8 == 0) {
      Send(random() % workers_.size(), std::move(item));
      return;
    }
    for (unsigned i = random() % 64; i > 0; --i) Check(item);
    if (random() % 4 == 0) std::this_thread::yield();
    Check(item);
    item.buffer.Reset();
    if (--held_ == 0) WakeAll();
  }

  // Looks at some of the bytes.
  void Check(const Item& item) {
    const std::span<const std::byte> bytes = item.buffer.bytes();
    for (size_t i = 0; i < bytes.size(); i += 1 + i / 8) {
      if (bytes[i] != content_(item.position + i)) ++wrong_;
    }
  }

  std::byte (*const content_)(uint64_t index);
  std::deque<Worker> workers_;
  std::atomic<uint64_t> given_ = 0;
  std::atomic<uint64_t> held_ = 0;
  std::atomic<uint64_t> parts_ = 0;
  std::atomic<uint64_t> wrong_ = 0;
  std::atomic<bool> returning_ = false;
  std::atomic<bool> finishing_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace zcrx

#endif  // ZCRX_TESTS_WORKER_POOL_H_
