// SPDX-License-Identifier: Apache-2.0
#include "tests/guest/raw_ring.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace zcrx {
namespace {

// Far more than anything here takes; only a failing test waits for so long.
constexpr std::chrono::seconds kPatience(10);

sockaddr_in Address(const char* host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

Fd ConnectTo(const char* host, uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Address(host, port);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0)
      << strerror(errno);
  return fd;
}

Fd Accept(const Fd& listener) {
  Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_GE(fd.get(), 0) << strerror(errno);
  return fd;
}

uint16_t PortOf(const Fd& fd) {
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

}  // namespace

std::string ErrnoName(int result) {
  if (result == 0) return "ok";
  const char* name = result < 0 ? strerrorname_np(-result) : nullptr;
  return name != nullptr ? name : std::to_string(result);
}

// --- RawRing ---------------------------------------------------------------------

RawRing::RawRing(uint32_t flags, uint32_t entries, uint32_t cq_entries) {
  io_uring_params params = {};
  params.flags = flags | IORING_SETUP_CQSIZE;
  params.cq_entries = cq_entries;
  error_ = io_uring_queue_init_params(entries, &ring_, &params);
  if (error_ < 0) {
    ring_.ring_fd = -1;
    return;
  }
  // A child has no use for it.
  EXPECT_EQ(io_uring_ring_dontfork(&ring_), 0);
}

RawRing::~RawRing() {
  if (error_ == 0) io_uring_queue_exit(&ring_);
}

int RawRing::Register(unsigned opcode, void* argument, unsigned count) const {
  const auto result = syscall(__NR_io_uring_register, ring_.ring_fd, opcode, argument, count);
  return result < 0 ? -errno : static_cast<int>(result);
}

io_uring_sqe* RawRing::Prepare(uint64_t user_data) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  *sqe = {};
  sqe->user_data = user_data;
  return sqe;
}

void RawRing::Submit() { EXPECT_GE(TrySubmit(), 0); }

std::optional<Cqe> RawRing::Next(uint64_t user_data) {
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->user_data != user_data) continue;
    const Cqe cqe = *kept;
    kept_.erase(kept);
    return cqe;
  }
  if (io_uring_sq_ready(&ring_) > 0) Submit();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    for (std::optional<Cqe> cqe = Take(); cqe.has_value(); cqe = Take()) {
      if (cqe->user_data == user_data) return cqe;
      kept_.push_back(*cqe);
    }
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    Enter(std::chrono::milliseconds(100));
  }
}

std::optional<Cqe> RawRing::NextOfAll(std::chrono::milliseconds patience) {
  if (!kept_.empty()) {
    const Cqe cqe = kept_.front();
    kept_.pop_front();
    return cqe;
  }
  if (io_uring_sq_ready(&ring_) > 0) Submit();
  if (const std::optional<Cqe> cqe = Take(); cqe.has_value()) return cqe;
  Enter(patience);
  return Take();
}

// Deferred work runs, and overflowed completions are moved, only inside this call.
void RawRing::Enter(std::chrono::milliseconds wait) const {
  __kernel_timespec time = {.tv_sec = wait.count() / 1000, .tv_nsec = wait.count() % 1000 * 1'000'000};
  io_uring_getevents_arg argument = {};
  argument.ts = reinterpret_cast<uint64_t>(&time);
  syscall(__NR_io_uring_enter, ring_.ring_fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
          sizeof(argument));
}

// liburing 2.3 knows nothing of rings with completions of both sizes.
std::optional<Cqe> RawRing::Take() {
  const bool wide_ring = (ring_.flags & IORING_SETUP_CQE32) != 0;
  while (true) {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) return std::nullopt;
    const unsigned index = head & *ring_.cq.kring_mask;
    const io_uring_cqe* entry = &ring_.cq.cqes[wide_ring ? index * 2 : index];
    const bool wide = wide_ring || (entry->flags & kCqe32) != 0;
    Cqe cqe = {.user_data = entry->user_data, .res = entry->res, .flags = entry->flags};
    if (wide) {
      cqe.offset = entry->big_cqe[0];
      cqe.pad = entry->big_cqe[1];
    }
    io_uring_smp_store_release(ring_.cq.khead, head + (wide && !wide_ring ? 2 : 1));
    // The filler before a wide entry that would wrap.
    if ((cqe.flags & kCqeSkip) == 0) return cqe;
  }
}

// --- Registration ------------------------------------------------------------------

Registration::Registration(size_t pool_pages)
    : pool(internal::Mapping::Map(pool_pages * internal::PageBytes())),
      refill(internal::Mapping::Map(2 * internal::PageBytes())) {
  EXPECT_FALSE(pool.empty() || refill.empty());
  area.addr = reinterpret_cast<uint64_t>(pool.base());
  area.len = pool.bytes();
  region.user_addr = reinterpret_cast<uint64_t>(refill.base());
  region.size = refill.bytes();
  region.flags = uapi::kRegionTypeUser;
  ifq.rq_entries = 64;
  ifq.flags = kRegisterNodev;
  ifq.area_ptr = reinterpret_cast<uint64_t>(&area);
  ifq.region_ptr = reinterpret_cast<uint64_t>(&region);
}

void Registration::UseQueue(uint32_t interface_index, uint32_t queue) {
  ifq.flags &= ~kRegisterNodev;
  ifq.if_idx = interface_index;
  ifq.if_rxq = queue;
}

void Registration::UseNic(uint32_t queue) {
  WaitUntilQueueIsFree(queue);
  UseNicNow(queue);
}

void Registration::UseNicNow(uint32_t queue) { UseQueue(if_nametoindex(InterfaceA().c_str()), queue); }

void Registration::UseKernelRegion() {
  region.user_addr = 0;
  region.flags = 0;
}

void Registration::UseEvents() { ifq.event_desc = reinterpret_cast<uint64_t>(&event); }

int Registration::Register(const RawRing& ring) { return ring.Register(uapi::kRegisterZcrxIfq, &ifq, 1); }

std::string Registration::Returned() const {
  return "ok: " + std::to_string(ifq.rq_entries) + " entries, buffers of " + std::to_string(ifq.rx_buf_len) +
         ", id " + std::to_string(ifq.zcrx_id) + ", token " + std::to_string(area.rq_area_token);
}

uint32_t* Registration::RefillWord(uint32_t offset) const {
  return reinterpret_cast<uint32_t*>(refill.base() + offset);
}

uint32_t Registration::head() const {
  return std::atomic_ref(*RefillWord(ifq.offsets.head)).load(std::memory_order_acquire);
}

void Registration::PutEntry(uint64_t offset, uint32_t pad) {
  const uint32_t tail = *RefillWord(ifq.offsets.tail);
  auto* entries = reinterpret_cast<uapi::Rqe*>(refill.base() + ifq.offsets.rqes);
  entries[tail & (ifq.rq_entries - 1)] = {.off = offset, .len = 0, .pad = pad};
  MoveTail(1);
}

void Registration::MoveTail(uint32_t count) {
  uint32_t& tail = *RefillWord(ifq.offsets.tail);
  std::atomic_ref(tail).store(tail + count, std::memory_order_release);
}

int Control(const RawRing& ring, uint32_t id, uint32_t operation) {
  uapi::Ctrl control = {.zcrx_id = id, .op = operation, .resv = {}, .payload = {}};
  return ring.Register(uapi::kRegisterZcrxCtrl, &control, 0);
}

int Flush(const RawRing& ring, const Registration& registration) {
  return Control(ring, registration.ifq.zcrx_id, uapi::kCtrlFlushRq);
}

int Export(const RawRing& ring, uint32_t id) {
  uapi::Ctrl control = {.zcrx_id = id, .op = uapi::kCtrlExport, .resv = {}, .payload = {}};
  const int result = ring.Register(uapi::kRegisterZcrxCtrl, &control, 0);
  return result < 0 ? result : static_cast<int>(control.payload[0]);
}

uapi::IfqReg ImportOf(int fd) {
  uapi::IfqReg import = {};
  import.flags = uapi::kRegImport;
  import.if_idx = static_cast<uint32_t>(fd);
  return import;
}

// --- ZeroCopyReceive -----------------------------------------------------------------

io_uring_sqe* PrepareReceive(RawRing& ring, const Registration& registration, int fd, uint64_t user_data) {
  io_uring_sqe* sqe = ring.Prepare(user_data);
  sqe->opcode = uapi::kOpRecvZc;
  sqe->fd = fd;
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->file_index = registration.ifq.zcrx_id;
  return sqe;
}

io_uring_sqe* ZeroCopyReceive::Prepare(int fd, uint32_t limit) {
  io_uring_sqe* sqe = PrepareReceive(ring_, registration_, fd, kUserData);
  sqe->len = limit;
  ended_ = false;
  return sqe;
}

std::string ZeroCopyReceive::Follow() {
  since_ = content_.count();
  while (TakeOne()) continue;
  return Summary();
}

std::string ZeroCopyReceive::FollowData(uint64_t bytes) {
  since_ = content_.count();
  while (content_.count() < since_ + bytes && TakeOne()) continue;
  return Summary();
}

std::string ZeroCopyReceive::Receive(int fd, uint32_t limit) {
  Prepare(fd, limit);
  return Follow();
}

bool ZeroCopyReceive::TakeOne() {
  last_ = ring_.Next(kUserData);
  ended_ = !last_.has_value() || (last_->flags & IORING_CQE_F_MORE) == 0;
  if (!ended_) CheckData(*last_);
  return !ended_;
}

void ZeroCopyReceive::CheckData(const Cqe& cqe) {
  // The flag for the size appears only where sizes differ.
  EXPECT_EQ(cqe.flags & ~kCqe32, uint32_t{IORING_CQE_F_MORE});
  EXPECT_EQ(cqe.pad, 0u);
  const uint32_t buffer = registration_.ifq.rx_buf_len;
  const uint64_t offset = cqe.offset & ~uapi::kAreaMask;
  ASSERT_GT(cqe.res, 0);
  ASSERT_LE((offset & (buffer - 1)) + static_cast<uint32_t>(cqe.res), buffer) << "not within one buffer";
  ASSERT_EQ(cqe.offset & uapi::kAreaMask, registration_.area.rq_area_token);
  ASSERT_LE(offset + static_cast<uint32_t>(cqe.res), registration_.area.len);
  content_.Check({registration_.pool.base() + offset, static_cast<size_t>(cqe.res)});
  offsets_.push_back(cqe.offset);
}

std::string ZeroCopyReceive::Summary() const {
  std::string text;
  if (content_.count() > since_) text = "data " + std::to_string(content_.count() - since_);
  if (!ended_) return text;
  if (!text.empty()) text += ", ";
  if (!last_.has_value()) return text + "silence";
  text += last_->res == 0 ? "end 0" : ErrnoName(last_->res);
  if (last_->flags != 0) text += " with flags " + std::to_string(last_->flags);
  return text;
}

void ZeroCopyReceive::GiveBack() {
  for (const uint64_t offset : offsets_) {
    registration_.PutEntry((offset & ~uapi::kAreaMask) | registration_.area.rq_area_token);
  }
  offsets_.clear();
}

// --- Connections -----------------------------------------------------------------------

Fd Listen(uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = Address("0.0.0.0", port);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0)
      << strerror(errno);
  EXPECT_EQ(listen(fd.get(), 8), 0) << strerror(errno);
  return fd;
}

Connection ConnectByLoopback() {
  const Fd listener = Listen();
  Connection connection;
  connection.client = ConnectTo("127.0.0.1", PortOf(listener));
  connection.server = Accept(listener);
  return connection;
}

Connection ConnectByNic(uint16_t port) {
  const Fd listener = Listen(port);
  Connection connection;
  std::thread([&] {
    EnterNamespace("b");
    connection.client = ConnectTo("10.0.0.1", port);
  }).join();
  connection.server = Accept(listener);
  return connection;
}

void WaitQueued(int fd, int bytes) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  int queued = 0;
  while (std::chrono::steady_clock::now() < deadline) {
    ASSERT_EQ(ioctl(fd, FIONREAD, &queued), 0);
    if (queued >= bytes) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ADD_FAILURE() << queued << " of " << bytes << " bytes have come";
}

void WaitPoll(int fd, int16_t events) {
  pollfd request = {.fd = fd, .events = events, .revents = 0};
  EXPECT_EQ(poll(&request, 1, std::chrono::milliseconds(kPatience).count()), 1) << "nothing happened";
}

void Reset(Fd& fd) {
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  fd.Close();
}

}  // namespace zcrx
