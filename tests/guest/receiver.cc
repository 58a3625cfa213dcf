// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "lib/netdev/interface.h"
#include "lib/netdev/page_pools.h"
#include "lib/netdev/queues.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Generous, for a busy machine under an emulator with a debug kernel: what takes longer does not come at all.
constexpr std::chrono::seconds kPatience(30);

// Completions of the connections; below it are a test's own.
constexpr uint64_t kFirstStream = 1000;

milliseconds Since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

}  // namespace

uint64_t Parameter(const char* name, uint64_t standard) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::stoull(value) : standard;
}

void InNamespace(const std::string& name, const std::function<void()>& body) {
  std::thread([&] {
    EnterNamespace(name);
    body();
  }).join();
}

milliseconds WaitFor(const std::string& what, const std::function<bool()>& holds) {
  const auto start = steady_clock::now();
  while (!holds()) {
    if (steady_clock::now() - start > kPatience) {
      ADD_FAILURE() << "not after " << kPatience.count() << " s: " << what;
      break;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return Since(start);
}

bool QueueIsBound() {
  bool bound = false;
  InNamespace("a", [&] {
    const auto interface = netdev::FindInterface(InterfaceA());
    ASSERT_TRUE(interface.ok()) << interface.status();
    const auto queues = netdev::GetRxQueues(*interface);
    ASSERT_TRUE(queues.ok()) << queues.status();
    for (const netdev::RxQueue& queue : *queues) {
      if (queue.id == kZeroCopyQueue) bound = queue.io_uring;
    }
  });
  return bound;
}

std::vector<netdev::PagePool> ProviderPools() {
  std::vector<netdev::PagePool> provided;
  InNamespace("a", [&] {
    const auto pools = netdev::GetAllPagePools();
    ASSERT_TRUE(pools.ok()) << pools.status();
    std::copy_if(pools->begin(), pools->end(), std::back_inserter(provided),
                 [](const netdev::PagePool& pool) { return pool.io_uring; });
  });
  return provided;
}

// /proc/meminfo has no line for them; /proc/vmstat counts both ways, per CPU, until told to add it up.
int64_t PinnedPages() {
  std::ofstream("/proc/sys/vm/stat_refresh") << 1 << std::flush;
  std::ifstream counts("/proc/vmstat");
  int64_t pinned = 0;
  int found = 0;
  std::string name;
  int64_t count = 0;
  while (counts >> name >> count) {
    if (name != "nr_foll_pin_acquired" && name != "nr_foll_pin_released") continue;
    pinned += name == "nr_foll_pin_acquired" ? count : -count;
    ++found;
  }
  EXPECT_EQ(found, 2) << "/proc/vmstat does not tell of pinned pages";
  return pinned;
}

// --- Sender ------------------------------------------------------------------

Sender::Sender(uint64_t bytes, const char* host)
    : thread_([this, bytes, host = std::string(host)] { Run(bytes, host.c_str()); }) {}

Sender::~Sender() { stop_ = true; }

void Sender::Run(uint64_t bytes, const char* host) {
  EnterNamespace("b");
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(ZeroCopyPort());
  inet_pton(AF_INET, host, &address.sin_addr);
  connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  std::vector<std::byte> block(64 << 10);
  size_t filled = 0;
  while (!stop_) {
    // No sender blocks for ever: the NIC below it may be gone.
    const int16_t events = sent_ < bytes ? POLLOUT : 0;
    pollfd request = {.fd = fd.get(), .events = events, .revents = 0};
    if (poll(&request, 1, 5) <= 0) continue;
    if ((request.revents & (POLLERR | POLLHUP)) != 0) break;
    if (sent_ == bytes) continue;
    const size_t size = std::min<uint64_t>(block.size() - filled, bytes - sent_);
    for (size_t i = 0; i < size; ++i) block[filled + i] = ContentAt(sent_ + i);
    const ssize_t result = send(fd.get(), block.data() + filled, size, MSG_NOSIGNAL);
    if (result < 0 && errno == EAGAIN) continue;
    if (result < 0) break;
    sent_ += static_cast<uint64_t>(result);
    // The rest of a block that was taken in part.
    filled = (filled + static_cast<size_t>(result)) % block.size();
  }
  Reset(fd);
}

Fd AcceptSoon(const Fd& listener) {
  WaitPoll(listener.get(), POLLIN);
  Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  EXPECT_GE(fd.get(), 0) << strerror(errno);
  return fd;
}

// --- Receiver ----------------------------------------------------------------

Receiver::Receiver(size_t pages)
    : ring_(std::in_place, kReceiveRing, 256, 8192), registration_(pages), shared_(&registration_) {
  EXPECT_EQ(ring_->error(), 0);
  registration_.refill = internal::Mapping::Map((kRefillEntries + 256) * sizeof(uapi::Rqe));
  registration_.region.user_addr = reinterpret_cast<uint64_t>(registration_.refill.base());
  registration_.region.size = registration_.refill.bytes();
  registration_.ifq.rq_entries = kRefillEntries;
}

int Receiver::Bind() {
  registration_.UseNicNow();
  int result = 0;
  const auto start = steady_clock::now();
  do {
    result = registration_.Register(*ring_);
    // A former owner's queue, or its locked memory.
    if (result != -EEXIST && result != -ENOMEM) break;
    std::this_thread::sleep_for(milliseconds(2));
  } while (steady_clock::now() - start < kPatience);
  return result;
}

int Receiver::Import(const Receiver& owner, int fd) {
  registration_.ifq = ImportOf(fd);
  shared_ = owner.shared_;
  return ring_->Register(uapi::kRegisterZcrxIfq, &registration_.ifq, 1);
}

size_t Receiver::Adopt(Fd fd, bool armed) {
  streams_.push_back({.fd = std::move(fd)});
  if (armed) Arm(streams_.size() - 1);
  return streams_.size() - 1;
}

void Receiver::Arm(size_t stream) {
  PrepareReceive(*ring_, registration_, fd(stream), kFirstStream + stream);
  streams_[stream].armed = true;
  streams_[stream].ended = false;
  streams_[stream].error = 0;
}

void Receiver::CloseSocket(size_t stream) {
  // A request keeps its socket.
  if (ring_.has_value() && streams_[stream].armed) {
    shutdown(fd(stream), SHUT_RDWR);
    // Mainline's request may not see the end of a stream that was reset: see docs/internals.md.
    io_uring_sqe* cancel = ring_->Prepare(0);
    cancel->opcode = IORING_OP_ASYNC_CANCEL;
    cancel->addr = kFirstStream + stream;
    EXPECT_TRUE(ReceiveEnd(stream)) << starved_ << " times no buffer to copy to";
  }
  streams_[stream].fd.Close();
}

void Receiver::CloseSockets() {
  for (size_t i = 0; i < streams_.size(); ++i) CloseSocket(i);
}

bool Receiver::TakeOne(milliseconds patience) {
  const std::optional<Cqe> cqe = ring_->NextOfAll(patience);
  if (!cqe.has_value()) return false;
  if (cqe->user_data < kFirstStream) return true;
  const size_t index = cqe->user_data - kFirstStream;
  Stream& stream = streams_[index];
  if ((cqe->flags & IORING_CQE_F_MORE) != 0) {
    Keep(*cqe, index);
    return true;
  }
  stream.armed = false;
  if (cqe->res == -ENOSPC || cqe->res == -ENOMEM) {
    // What a copy goes into comes from neither the refill ring nor the page pool's caches.
    if (cqe->res == -ENOMEM) {
      ++starved_;
      Control(*ring_, registration_.ifq.zcrx_id, uapi::kCtrlFlushRq);
    }
    Arm(index);
  } else {
    stream.ended = true;
    stream.error = cqe->res;
  }
  return true;
}

void Receiver::Keep(const Cqe& cqe, size_t index) {
  Stream& stream = streams_[index];
  const uint64_t begin = cqe.offset & ~uapi::kAreaMask;
  const uint64_t end = begin + static_cast<uint32_t>(cqe.res);
  ASSERT_LE(end, shared_->area.len);
  ASSERT_EQ(begin / internal::PageBytes(), (end - 1) / internal::PageBytes()) << "not within one buffer";
  if (!lenient_) {
    // The test that no byte of the region is handed out twice.
    const auto next = held_.lower_bound(begin);
    ASSERT_TRUE(next == held_.end() || next->first >= end)
        << "bytes " << begin << " to " << end << " are held from " << next->first << " on";
    ASSERT_TRUE(next == held_.begin() || std::prev(next)->second.end <= begin)
        << "bytes " << begin << " to " << end << " are held until " << std::prev(next)->second.end;
    for (uint64_t i = begin; i < end; ++i) {
      ASSERT_EQ(shared_->pool.base()[i], ContentAt(stream.received + i - begin))
          << "byte " << stream.received + i - begin << " of stream " << index;
    }
  }
  held_[begin] = {.end = end, .start = stream.received, .stream = index};
  stream.received += end - begin;
}

bool Receiver::Receive(size_t stream, uint64_t bytes) {
  auto last = steady_clock::now();
  while (streams_[stream].received < bytes && !streams_[stream].ended) {
    if (TakeOne(milliseconds(20))) {
      last = steady_clock::now();
    } else if (steady_clock::now() - last > kPatience) {
      break;
    }
  }
  return streams_[stream].received >= bytes;
}

bool Receiver::ReceiveEnd(size_t stream) {
  const auto start = steady_clock::now();
  while (!streams_[stream].ended && steady_clock::now() - start < kPatience) TakeOne(milliseconds(20));
  return streams_[stream].ended;
}

void Receiver::ReturnOne(uint64_t offset) { shared_->PutEntry(offset | shared_->area.rq_area_token); }

void Receiver::GiveBack() {
  for (const auto& [offset, piece] : held_) ReturnOne(offset);
  held_.clear();
}

void Receiver::GiveBack(size_t stream) {
  for (auto piece = held_.begin(); piece != held_.end();) {
    if (piece->second.stream == stream) {
      ReturnOne(piece->first);
      piece = held_.erase(piece);
    } else {
      ++piece;
    }
  }
}

void Receiver::Flush() {
  // One call ends at an entry that is refused, so it may take as many as there are entries.
  const auto* tail = reinterpret_cast<const uint32_t*>(shared_->refill.base() + shared_->ifq.offsets.tail);
  for (uint32_t i = 0; i < kRefillEntries && shared_->head() != *tail; ++i) {
    ASSERT_EQ(Control(*ring_, registration_.ifq.zcrx_id, uapi::kCtrlFlushRq), 0);
  }
  EXPECT_EQ(shared_->head(), *tail);
}

size_t Receiver::HeldBuffers() const {
  std::set<uint64_t> buffers;
  for (const auto& [offset, piece] : held_) buffers.insert(offset / internal::PageBytes());
  return buffers.size();
}

bool Receiver::HeldIntact() const {
  for (const auto& [offset, piece] : held_) {
    for (uint64_t i = offset; i < piece.end; ++i) {
      if (shared_->pool.base()[i] != ContentAt(piece.start + i - offset)) {
        ADD_FAILURE() << "the byte at " << i << " of the region is no longer what came";
        return false;
      }
    }
  }
  return true;
}

bool Receiver::ReceiveUnlessLost(size_t stream, uint64_t bytes) {
  std::optional<uint64_t> failures;
  while (received(stream) < bytes && !ended(stream)) {
    if (TakeOne(milliseconds(20))) continue;
    // TCP sends again what is lost for want of a buffer: soon at first, after seconds at last.
    const uint64_t now = QueueCounter(kZeroCopyQueue, "alloc_fail");
    if (!failures.has_value()) failures = now;
    if (now >= *failures + 5) break;
  }
  return received(stream) >= bytes;
}

size_t Receiver::HoldAll() {
  constexpr uint64_t kBytes = 1000;
  const size_t all = shared_->area.len / internal::PageBytes();
  Connection connection = ConnectByNic();
  const size_t stream = Adopt(std::move(connection.server));
  bool came = true;
  // One small packet after the other: each takes one buffer. Of several, one might take the last buffer and
  // wait in the socket for another one that found none.
  for (size_t held = HeldBuffers(); came && held < all; ++held) {
    const uint64_t before = received(stream);
    EXPECT_TRUE(SendContent(connection.client.get(), before, kBytes));
    came = ReceiveUnlessLost(stream, before + kBytes);
  }
  CloseSocket(stream);
  return HeldBuffers();
}

}  // namespace zcrx
