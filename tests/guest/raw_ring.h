// SPDX-License-Identifier: Apache-2.0
//
// The kernel's calls of zero-copy receive without the library in between: what
// the cases of contract_test.cc make, right and wrong.
#ifndef ZCRX_TESTS_GUEST_RAW_RING_H_
#define ZCRX_TESTS_GUEST_RAW_RING_H_

#include <liburing.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/ifq/mapping.h"
#include "lib/uapi/zcrx.h"
#include "tests/guest/guest.h"

namespace zcrx {

// Numbers of the kernel's that the library has no use for.
inline constexpr uint32_t kSetupCqeMixed = 1u << 18;  // IORING_SETUP_CQE_MIXED
inline constexpr uint32_t kCqeSkip = 1u << 5;         // IORING_CQE_F_SKIP
inline constexpr uint32_t kCqe32 = 1u << 15;          // IORING_CQE_F_32
inline constexpr uint32_t kRegisterNodev = 1u << 1;   // ZCRX_REG_NODEV
inline constexpr uint32_t kAreaDmabuf = 1u << 0;      // IORING_ZCRX_AREA_DMABUF
inline constexpr uint32_t kCtrlArmEvent = 2;          // ZCRX_CTRL_ARM_EVENT
inline constexpr uint32_t kCtrlAddArea = 3;           // ZCRX_CTRL_ADD_AREA
inline constexpr uint32_t kEventCopy = 1;             // ZCRX_EVENT_COPY

inline constexpr uint32_t kDeferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
// What registration asks for.
inline constexpr uint32_t kReceiveRing = kDeferred | IORING_SETUP_CQE32;

// "ok" for 0, "EINVAL" and the like for a negated errno.
std::string ErrnoName(int result);

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Cqe {
  uint64_t user_data = 0;
  int32_t res = 0;
  uint32_t flags = 0;
  // Only of wide ones.
  uint64_t offset = 0;
  uint64_t pad = 0;
};

class RawRing {
 public:
  explicit RawRing(uint32_t flags = kReceiveRing, uint32_t entries = 64, uint32_t cq_entries = 4096);
  ~RawRing();
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;

  // Of io_uring_setup(2): 0 or a negated errno.
  int error() const { return error_; }
  int fd() const { return ring_.ring_fd; }

  // io_uring_register(2): 0 or more, or a negated errno.
  int Register(unsigned opcode, void* argument, unsigned count) const;

  // A cleared submission entry, of which there must be room for one.
  io_uring_sqe* Prepare(uint64_t user_data);
  void Submit();
  // The same, for where it may fail: 0 or more, or a negated errno.
  int TrySubmit() { return io_uring_submit(&ring_); }
  // Submits; the next completion of that user_data, others are kept for later calls. None if it does not
  // come.
  std::optional<Cqe> Next(uint64_t user_data);
  // Submits; the next completion of whatever user_data. None if none comes within `patience`.
  std::optional<Cqe> NextOfAll(std::chrono::milliseconds patience);

 private:
  std::optional<Cqe> Take();
  void Enter(std::chrono::milliseconds wait) const;

  io_uring ring_ = {};
  int error_;
  std::deque<Cqe> kept_;
};

// A registration that the kernel accepts, for a case to spoil: without a NIC, and with user memory for the
// ring.
struct Registration {
  explicit Registration(size_t pool_pages = 64);
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // Makes it one of a queue of an interface.
  void UseQueue(uint32_t interface_index, uint32_t queue);
  // Of the test NIC in namespace `a`; waits until the queue is free.
  void UseNic(uint32_t queue = kZeroCopyQueue);
  // The same without waiting: somebody may have it.
  void UseNicNow(uint32_t queue = kZeroCopyQueue);
  // Makes the kernel allocate the ring.
  void UseKernelRegion();
  void UseEvents();

  // 0 or a negated errno.
  int Register(const RawRing& ring);

  // What the kernel filled in: "ok: 64 entries, buffers of 4096, id 0, token 0".
  std::string Returned() const;

  // The refill ring, in user memory.
  uint32_t head() const;
  void PutEntry(uint64_t offset, uint32_t pad = 0);
  void MoveTail(uint32_t count);

  uapi::IfqReg ifq = {};
  uapi::AreaReg area = {};
  uapi::RegionDesc region = {};
  uapi::EventDesc event = {};
  internal::Mapping pool;
  internal::Mapping refill;

 private:
  uint32_t* RefillWord(uint32_t offset) const;
};

int Control(const RawRing& ring, uint32_t id, uint32_t operation);
int Flush(const RawRing& ring, const Registration& registration);
// A file descriptor that stands for the registration, or a negated errno.
int Export(const RawRing& ring, uint32_t id);
// The argument of a registration that imports what `fd` stands for.
uapi::IfqReg ImportOf(int fd);

// Prepares an RECV_ZC request of the registered queue.
io_uring_sqe* PrepareReceive(RawRing& ring, const Registration& registration, int fd, uint64_t user_data);

// An RECV_ZC request and what came of it. The bytes must be those of SendContent() from 0 on.
class ZeroCopyReceive {
 public:
  ZeroCopyReceive(RawRing& ring, Registration& registration) : ring_(ring), registration_(registration) {}

  static constexpr uint64_t kUserData = 7;

  // Prepares the request; `limit` 0 is none.
  io_uring_sqe* Prepare(int fd, uint32_t limit = 0);
  // Until the request's last completion: "data 1000, end 0", "EINVAL", or "silence" if nothing more comes.
  // The bytes are those since the last call.
  std::string Follow();
  // Until `bytes` have come: "data 1000", or as above if the request ends before.
  std::string FollowData(uint64_t bytes);
  // Arms and follows.
  std::string Receive(int fd, uint32_t limit = 0);
  // Puts an entry for each buffer received into the refill ring.
  void GiveBack();

  uint64_t bytes() const { return content_.count(); }
  // The offsets of the buffers received and not given back.
  const std::vector<uint64_t>& offsets() const { return offsets_; }

 private:
  // False after the last completion.
  bool TakeOne();
  void CheckData(const Cqe& cqe);
  std::string Summary() const;

  RawRing& ring_;
  Registration& registration_;
  ContentChecker content_;
  uint64_t since_ = 0;  // bytes since the last summary began
  std::optional<Cqe> last_;
  bool ended_ = false;
  std::vector<uint64_t> offsets_;
};

struct Connection {
  Fd server;
  Fd client;
};
// On the loopback interface of the thread's namespace.
Connection ConnectByLoopback();
// From namespace `b` to `a`, through the NIC's queue 1 if the port is ZeroCopyPort().
Connection ConnectByNic(uint16_t port = ZeroCopyPort());
// The listening end alone.
Fd Listen(uint16_t port = 0);

// Waits until `bytes` are in the receive queue.
void WaitQueued(int fd, int bytes);
// Waits for events of poll(2), such as POLLRDHUP.
void WaitPoll(int fd, int16_t events);
// Ends a connection with RST.
void Reset(Fd& fd);

}  // namespace zcrx

#endif  // ZCRX_TESTS_GUEST_RAW_RING_H_
