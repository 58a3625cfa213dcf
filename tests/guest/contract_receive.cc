// SPDX-License-Identifier: Apache-2.0
//
// IORING_OP_RECV_ZC: what it refuses, and which completions it posts for what
// the connection does.
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/guest/contract.h"

namespace zcrx {
namespace {

constexpr uint64_t kOther = 1;
constexpr uint64_t kThird = 2;

// A ring with a registration, and a connection to receive from.
struct Receiver {
  explicit Receiver(uint32_t ring_flags, size_t pool_pages)
      : ring(ring_flags), registration(pool_pages), receive(ring, registration) {}

  // Sends bytes of the content and waits until they are there.
  void Queue(size_t bytes) {
    EXPECT_TRUE(SendContent(client(), sent, bytes));
    sent += bytes;
    WaitQueued(server(), static_cast<int>(bytes));
  }
  void Finish() {
    shutdown(client(), SHUT_WR);
    WaitPoll(server(), POLLRDHUP);
  }
  std::string ReceiveTwice() {
    const std::string outcome = receive.Receive(server());
    return outcome + ", then " + receive.Receive(server());
  }
  int server() const { return connection.server.get(); }
  int client() const { return connection.client.get(); }

  RawRing ring;
  Registration registration;
  Connection connection;
  ZeroCopyReceive receive;
  size_t sent = 0;
};

// Without a NIC, by loopback: every byte is copied.
struct Copying : Receiver {
  explicit Copying(uint32_t ring_flags = kReceiveRing, size_t pool_pages = 64)
      : Receiver(ring_flags, pool_pages) {
    EXPECT_EQ(registration.Register(ring), 0);
    connection = ConnectByLoopback();
  }
};

// By the NIC: through the queue that is registered, or with another port through another one.
struct Splitting : Receiver {
  explicit Splitting(uint16_t port = ZeroCopyPort()) : Receiver(kReceiveRing, 1024) {
    registration.UseNic();
    EXPECT_EQ(registration.Register(ring), 0);
    split_before = QueueCounter(kZeroCopyQueue, "split_bytes");
    connection = ConnectByNic(port);
  }
  // Receives to the end, and says whether bytes were written into the region.
  std::string ReceiveAll() {
    const std::string outcome = receive.Receive(server());
    return outcome + (QueueCounter(kZeroCopyQueue, "split_bytes") > split_before ? ", split" : ", copied");
  }

  uint64_t split_before = 0;
};

// The result of another request than RECV_ZC: "ok", "ECANCELED", "silence".
std::string ResultOf(RawRing& ring, uint64_t user_data) {
  const std::optional<Cqe> cqe = ring.Next(user_data);
  if (!cqe.has_value()) return "silence";
  return cqe->res > 0 ? std::to_string(cqe->res) : ErrnoName(cqe->res);
}

void PrepareNop(RawRing& ring, uint64_t user_data, unsigned flags = 0) {
  io_uring_sqe* sqe = ring.Prepare(user_data);
  sqe->opcode = IORING_OP_NOP;
  sqe->flags = static_cast<uint8_t>(flags);
}

// --- The submission entry ------------------------------------------------------------------

// A request that is refused before it looks at the connection, if it is spoiled.
Observe Entry(std::function<void(io_uring_sqe&)> spoil, uint32_t ring_flags = kReceiveRing) {
  return [=] {
    Copying c(ring_flags);
    spoil(*c.receive.Prepare(c.server()));
    return c.receive.Follow();
  };
}

std::string NothingRegistered() {
  RawRing ring;
  Registration registration;
  const Connection connection = ConnectByLoopback();
  ZeroCopyReceive receive(ring, registration);
  return receive.Receive(connection.server.get());
}

// --- Other files than a TCP connection -------------------------------------------------------

Observe File(std::function<Fd()> open) {
  return [open = std::move(open)] {
    RawRing ring;
    Registration registration;
    EXPECT_EQ(registration.Register(ring), 0);
    const Fd file = open();
    EXPECT_GE(file.get(), 0) << strerror(errno);
    ZeroCopyReceive receive(ring, registration);
    return receive.Receive(file.get());
  };
}

Observe Socket(int family, int type, int protocol = 0) {
  return File([=] { return Fd(socket(family, type | SOCK_CLOEXEC, protocol)); });
}

Fd PipeEnd() {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  close(ends[1]);
  return Fd(ends[0]);
}

std::string PipeWithPollFirst() {
  RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  const Fd file = PipeEnd();
  ZeroCopyReceive receive(ring, registration);
  receive.Prepare(file.get())->ioprio |= IORING_RECVSEND_POLL_FIRST;
  return receive.Follow();
}

bool UseTls(int fd) { return setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")) == 0; }

// The kernel decrypts: what it receives is no plain TCP any more.
std::string TlsReceive() {
  Copying c;
  if (!UseTls(c.server())) return std::string(kSkip) + "kTLS: " + strerror(errno);
  tls12_crypto_info_aes_gcm_128 keys = {};
  keys.info.version = TLS_1_2_VERSION;
  keys.info.cipher_type = TLS_CIPHER_AES_GCM_128;
  EXPECT_EQ(setsockopt(c.server(), SOL_TLS, TLS_RX, &keys, sizeof(keys)), 0) << strerror(errno);
  return c.receive.Receive(c.server());
}

// Nothing is decrypted yet.
std::string TlsWithoutKeys() {
  Copying c;
  if (!UseTls(c.server())) return std::string(kSkip) + "kTLS: " + strerror(errno);
  c.Queue(1000);
  c.Finish();
  return c.receive.Receive(c.server());
}

// --- Data, and the end of it --------------------------------------------------------------------

std::string DataThenEnd(uint32_t ring_flags) {
  Copying c(ring_flags);
  c.Queue(20'000);
  c.Finish();
  return c.receive.Receive(c.server());
}

// More packets than one call takes: it goes on by itself.
std::string ManyCalls() {
  Copying c(kReceiveRing, 1024);
  std::thread sender([&] {
    EXPECT_TRUE(SendContent(c.client(), 0, 1'000'000));
    c.connection.client.Close();
  });
  const std::string outcome = c.receive.Receive(c.server());
  sender.join();
  return outcome;
}

std::string DataAfterArming() {
  Copying c;
  c.receive.Prepare(c.server());
  c.ring.Submit();
  EXPECT_TRUE(SendContent(c.client(), 0, 20'000));
  const std::string outcome = c.receive.FollowData(20'000);
  c.Finish();
  return outcome + ", then " + c.receive.Follow();
}

std::string EndAlone() {
  Copying c;
  c.Finish();
  return c.ReceiveTwice();
}

std::string Limit(uint32_t first, uint32_t second) {
  Copying c;
  c.Queue(10'000);
  const std::string outcome = c.receive.Receive(c.server(), first);
  return outcome + ", then " + c.receive.Receive(c.server(), second);
}

std::string LimitBeyondTheEnd(uint32_t limit) {
  Copying c;
  c.Queue(10'000);
  c.Finish();
  return c.receive.Receive(c.server(), limit);
}

std::string LimitOverTwoSends() {
  Copying c;
  c.Queue(1000);
  c.receive.Prepare(c.server(), 3000);
  const std::string outcome = c.receive.FollowData(1000);
  EXPECT_TRUE(SendContent(c.client(), 1000, 3000));
  return outcome + ", then " + c.receive.Follow();
}

std::string ShutDownHere(bool with_data) {
  Copying c;
  if (with_data) c.Queue(1000);
  shutdown(c.server(), SHUT_RD);
  return c.receive.Receive(c.server());
}

std::string ShutDownHereWhileArmed() {
  Copying c;
  c.receive.Prepare(c.server());
  c.ring.Submit();
  shutdown(c.server(), SHUT_RD);
  return c.receive.Follow();
}

std::string ResetWhileArmed() {
  Copying c;
  c.receive.Prepare(c.server());
  c.ring.Submit();
  Reset(c.connection.client);
  const std::string outcome = c.receive.Follow();
  return outcome + ", then " + c.receive.Receive(c.server());
}

std::string ResetBeforeArming() {
  Copying c;
  Reset(c.connection.client);
  WaitPoll(c.server(), POLLERR);
  return c.ReceiveTwice();
}

std::string Ipv6() {
  RawRing ring;
  Registration registration;
  EXPECT_EQ(registration.Register(ring), 0);
  const Fd listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener.get(), generic, size), 0) << strerror(errno);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), generic, &size), 0);
  Fd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(client.get(), generic, size), 0) << strerror(errno);
  const Fd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(SendContent(client.get(), 0, 20'000));
  client.Close();
  ZeroCopyReceive receive(ring, registration);
  return receive.Receive(server.get());
}

// --- Other requests beside it -----------------------------------------------------------------

std::string Cancelled(bool by_descriptor) {
  Copying c;
  c.receive.Prepare(c.server());
  c.ring.Submit();
  io_uring_sqe* sqe = c.ring.Prepare(kOther);
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  if (by_descriptor) {
    sqe->fd = c.server();
    sqe->cancel_flags = IORING_ASYNC_CANCEL_FD;
  } else {
    sqe->addr = ZeroCopyReceive::kUserData;
  }
  std::string outcome = c.receive.Follow();
  outcome += ", cancel " + ResultOf(c.ring, kOther);
  c.Queue(1000);
  return outcome + ", then " + c.receive.Receive(c.server(), 1000);
}

// A request linked behind it.
std::string LinkedAfterEnd(unsigned link) {
  Copying c;
  c.Queue(1000);
  c.Finish();
  c.receive.Prepare(c.server())->flags = static_cast<uint8_t>(link);
  PrepareNop(c.ring, kOther);
  const std::string outcome = c.receive.Follow();
  return outcome + ", linked " + ResultOf(c.ring, kOther);
}

std::string LinkedAfterLimit() {
  Copying c;
  c.Queue(1000);
  c.receive.Prepare(c.server(), 1000)->flags = IOSQE_IO_LINK;
  PrepareNop(c.ring, kOther);
  const std::string outcome = c.receive.Follow();
  return outcome + ", linked " + ResultOf(c.ring, kOther);
}

std::string LinkedAfterRefusal() {
  Copying c;
  io_uring_sqe* sqe = c.receive.Prepare(c.server());
  sqe->flags = IOSQE_IO_LINK;
  sqe->addr = 1;
  PrepareNop(c.ring, kOther);
  const std::string outcome = c.receive.Follow();
  return outcome + ", linked " + ResultOf(c.ring, kOther);
}

std::string LinkedBehindAnother() {
  Copying c;
  c.Queue(1000);
  PrepareNop(c.ring, kOther, IOSQE_IO_LINK);
  c.receive.Prepare(c.server(), 1000);
  const std::string outcome = c.receive.Follow();
  return ResultOf(c.ring, kOther) + ", linked " + outcome;
}

// Draining counts completions: all that were posted for the request, and no other.
std::string DrainAfterData() {
  Copying c;
  c.Queue(20'000);
  c.receive.Prepare(c.server(), 20'000);
  PrepareNop(c.ring, kOther, IOSQE_IO_DRAIN);
  const std::string outcome = c.receive.Follow();
  return outcome + ", drain " + ResultOf(c.ring, kOther);
}

std::string SkippedSuccess() {
  Copying c;
  c.Queue(1000);
  c.receive.Prepare(c.server(), 1000)->flags = IOSQE_CQE_SKIP_SUCCESS;
  const std::string outcome = c.receive.FollowData(1000);
  // It has ended without a completion: a second request gets what comes next.
  EXPECT_TRUE(SendContent(c.client(), 1000, 1000));
  return outcome + ", then " + c.receive.Receive(c.server(), 1000);
}

std::string SkippedSuccessAtTheEnd() {
  Copying c;
  c.Queue(1000);
  c.Finish();
  c.receive.Prepare(c.server())->flags = IOSQE_CQE_SKIP_SUCCESS;
  return c.receive.Follow();
}

std::string TwoOfOneSocket() {
  Copying c;
  for (const uint64_t user_data : {kOther, kThird}) {
    io_uring_sqe* sqe = c.receive.Prepare(c.server());
    sqe->user_data = user_data;
  }
  c.ring.Submit();
  c.Finish();
  const std::string outcome = ResultOf(c.ring, kOther);
  return outcome + ", " + ResultOf(c.ring, kThird);
}

std::string FixedFile() {
  Copying c;
  int file = c.server();
  EXPECT_EQ(c.ring.Register(IORING_REGISTER_FILES, &file, 1), 0);
  c.Queue(1000);
  c.receive.Prepare(0, 1000)->flags = IOSQE_FIXED_FILE;
  return c.receive.Follow();
}

std::string FixedFileThatIsNot() {
  Copying c;
  int file = c.server();
  EXPECT_EQ(c.ring.Register(IORING_REGISTER_FILES, &file, 1), 0);
  c.receive.Prepare(1, 1000)->flags = IOSQE_FIXED_FILE;
  return c.receive.Follow();
}

Observe QueuedWith(std::function<void(io_uring_sqe&)> change) {
  return [change = std::move(change)] {
    Copying c;
    c.Queue(1000);
    change(*c.receive.Prepare(c.server(), 1000));
    return c.receive.Follow();
  };
}

// The peer has waited for the request to be armed.
std::string AsyncBeforeData() {
  Copying c;
  c.receive.Prepare(c.server(), 1000)->flags = IOSQE_ASYNC;
  c.ring.Submit();
  EXPECT_TRUE(SendContent(c.client(), 0, 1000));
  return c.receive.Follow();
}

std::string ByAnotherRegistration() {
  RawRing ring;
  Registration first;
  Registration second;
  EXPECT_EQ(first.Register(ring), 0);
  EXPECT_EQ(second.Register(ring), 0);
  const Connection connection = ConnectByLoopback();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 1000));
  // CheckData() looks where the bytes are.
  ZeroCopyReceive receive(ring, second);
  return receive.Receive(connection.server.get(), 1000);
}

// --- Want of room --------------------------------------------------------------------------------

// A request that finds the completion queue full ends, and loses nothing.
std::string FullCompletionQueue(Registration& registration, const std::function<Connection()>& connect) {
  RawRing ring(kReceiveRing, 4, 4);
  EXPECT_EQ(registration.Register(ring), 0);
  const Connection connection = connect();
  constexpr size_t kBytes = 60'000;
  EXPECT_TRUE(SendContent(connection.client.get(), 0, kBytes));
  WaitQueued(connection.server.get(), kBytes);
  shutdown(connection.client.get(), SHUT_WR);
  for (int i = 0; i < 4; ++i) PrepareNop(ring, kOther);
  ring.Submit();
  ZeroCopyReceive receive(ring, registration);
  const std::string full = receive.Receive(connection.server.get());
  // Whether it fills up again depends on how much the kernel does at a time.
  std::string outcome;
  do {
    outcome = receive.Receive(connection.server.get());
  } while (outcome.ends_with("ENOSPC"));
  EXPECT_TRUE(outcome.ends_with("end 0")) << outcome;
  PrepareNop(ring, kThird, IOSQE_IO_DRAIN);
  outcome = full + ", then all " + std::to_string(receive.bytes());
  return outcome + ", drain " + ResultOf(ring, kThird);
}

std::string CopyFullCompletionQueue() {
  Registration registration;
  return FullCompletionQueue(registration, ConnectByLoopback);
}

std::string NicFullCompletionQueue() {
  Registration registration(1024);
  registration.UseNic();
  return FullCompletionQueue(registration, [] { return ConnectByNic(); });
}

// Four pieces, all of them out: nothing is left to copy to, until they come back.
std::string NoPieces() {
  Copying c(kReceiveRing, 4);
  c.Queue(40'000);
  std::string outcome = c.receive.Receive(c.server());
  EXPECT_TRUE(outcome.starts_with("data ")) << outcome;
  outcome = std::to_string(c.receive.offsets().size()) + " pieces, " + outcome.substr(outcome.find(", ") + 2);
  outcome += ", then " + c.receive.Receive(c.server());
  c.receive.GiveBack();
  EXPECT_EQ(Flush(c.ring, c.registration), 0);
  std::string again = c.receive.Receive(c.server());
  EXPECT_TRUE(again.starts_with("data ")) << again;
  return outcome + ", given back: " + std::to_string(c.receive.offsets().size()) + " pieces";
}

// A piece that comes back twice is there once.
std::string ReturnedTwice() {
  Copying c(kReceiveRing, 4);
  c.Queue(40'000);
  c.receive.Receive(c.server());
  const uint64_t offset = c.receive.offsets().front();
  c.registration.PutEntry(offset);
  c.registration.PutEntry(offset);
  EXPECT_EQ(Flush(c.ring, c.registration), 0);
  c.registration.PutEntry(offset);
  EXPECT_EQ(Flush(c.ring, c.registration), 0);
  const size_t before = c.receive.offsets().size();
  c.receive.Receive(c.server());
  return std::to_string(c.receive.offsets().size() - before) + " pieces";
}

// --- Events ----------------------------------------------------------------------------------------

// Registers with counters of what is copied, and perhaps with the event; receives 20000 bytes and says what
// was counted.
std::string Counted(RawRing& ring, Registration& registration, uint32_t type_mask) {
  registration.UseEvents();
  registration.event.user_data = kThird;
  registration.event.type_mask = type_mask;
  registration.event.flags = uapi::kEventDescStats;
  registration.event.stats_offset = internal::PageBytes();
  const std::string registered = Outcome(ring, registration);
  if (!registered.starts_with("ok")) return registered;
  const Connection connection = ConnectByLoopback();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 20'000));
  ZeroCopyReceive receive(ring, registration);
  receive.Receive(connection.server.get(), 20'000);
  uapi::Stats stats = {};
  memcpy(&stats, registration.refill.base() + internal::PageBytes(), sizeof(stats));
  EXPECT_GT(stats.copy_count, 0u);
  return std::to_string(stats.copy_bytes) + " bytes copied";
}

std::string CopyCounters() {
  RawRing ring;
  Registration registration;
  return Counted(ring, registration, 0);
}

std::string CopyEvent() {
  RawRing ring;
  Registration registration;
  const std::string counted = Counted(ring, registration, 1u << kEventCopy);
  if (!counted.ends_with("copied")) return counted;
  const std::optional<Cqe> event = ring.Next(kThird);
  if (!event.has_value()) return "silence";
  uapi::Ctrl arm = {.zcrx_id = 0, .op = kCtrlArmEvent, .resv = {}, .payload = {}};
  arm.payload[0] = kEventCopy;
  std::string outcome =
      counted + ", event " + std::to_string(event->res) + " flags " + std::to_string(event->flags);
  outcome += ", arm " + ErrnoName(ring.Register(uapi::kRegisterZcrxCtrl, &arm, 0));
  return outcome + ", again " + ErrnoName(ring.Register(uapi::kRegisterZcrxCtrl, &arm, 0));
}

// --- By the NIC ------------------------------------------------------------------------------------

std::string NicData() {
  Splitting s;
  s.Queue(50'000);
  s.Finish();
  return s.ReceiveAll();
}

std::string NicDataByAnotherQueue() {
  Splitting s(static_cast<uint16_t>(ZeroCopyPort() + 1));
  s.Queue(50'000);
  s.Finish();
  return s.ReceiveAll();
}

std::string NicManyCalls() {
  Splitting s;
  std::thread sender([&] {
    EXPECT_TRUE(SendContent(s.client(), 0, 1'000'000));
    s.connection.client.Close();
  });
  const std::string outcome = s.ReceiveAll();
  sender.join();
  return outcome;
}

// Some packets in memory of the kernel, some in the region, in one stream.
std::string NicUnsplitPackets() {
  Splitting s;
  WriteKnob("rx/unsplit_every", "2");
  const uint64_t unsplit = QueueCounter(kZeroCopyQueue, "unsplit_pkts");
  for (int i = 0; i < 10; ++i) s.Queue(5000);
  s.Finish();
  EXPECT_GT(QueueCounter(kZeroCopyQueue, "unsplit_pkts"), unsplit);
  return s.ReceiveAll();
}

// Parts of a piece are the same piece; each part is to be given back.
std::string NicPartsOfAPiece() {
  Splitting s;
  s.Queue(1000);
  std::string outcome = s.receive.Receive(s.server(), 100);
  outcome += ", then " + s.receive.Receive(s.server(), 900);
  const std::vector<uint64_t>& offsets = s.receive.offsets();
  if (offsets.size() != 2) return outcome + ", " + std::to_string(offsets.size()) + " parts";
  return outcome + (offsets[1] == offsets[0] + 100 ? ", adjacent" : ", apart");
}

// The bytes are in memory of a registration; another one cannot have them. They stay for the right one.
std::string NicDataOfAnotherRegistration() {
  Splitting s;
  Registration other;
  EXPECT_EQ(other.Register(s.ring), 0);
  s.Queue(1000);
  s.receive.Prepare(s.server())->file_index = other.ifq.zcrx_id;
  const std::string outcome = s.receive.Follow();
  return outcome + ", then " + s.receive.Receive(s.server(), 1000);
}

std::string NicPlainReceive() {
  Splitting s;
  s.Queue(1000);
  std::array<char, 1000> bytes;
  const std::string outcome =
      recv(s.server(), bytes.data(), bytes.size(), MSG_DONTWAIT) < 0 ? ErrnoName(-errno) : "received";
  return outcome + ", then " + s.receive.Receive(s.server(), 1000);
}

std::string NicReset() {
  Splitting s;
  s.receive.Prepare(s.server());
  s.ring.Submit();
  Reset(s.connection.client);
  return s.receive.Follow();
}

std::vector<Case> EntryCases() {
  return {
      {"entry_addr", "EINVAL", Entry([](io_uring_sqe& e) { e.addr = 1; })},
      {"entry_addr2", "EINVAL", Entry([](io_uring_sqe& e) { e.addr2 = 1; })},
      {"entry_addr3", "EINVAL", Entry([](io_uring_sqe& e) { e.addr3 = 1; })},
      {"entry_msg_flags", "EINVAL", Entry([](io_uring_sqe& e) { e.msg_flags = MSG_DONTWAIT; })},
      {"entry_not_multishot", "EINVAL", Entry([](io_uring_sqe& e) { e.ioprio = 0; })},
      {"entry_poll_first_alone", "EINVAL",
       Entry([](io_uring_sqe& e) { e.ioprio = IORING_RECVSEND_POLL_FIRST; })},
      {"entry_unknown_ioprio", "EINVAL", Entry([](io_uring_sqe& e) { e.ioprio |= 1u << 2; })},
      {"entry_last_ioprio", "EINVAL",
       Entry([](io_uring_sqe& e) { e.ioprio = static_cast<uint16_t>(e.ioprio | 1u << 15); })},
      {"entry_unknown_registration", "EINVAL", Entry([](io_uring_sqe& e) { e.file_index = 1; })},
      {"entry_last_registration", "EINVAL", Entry([](io_uring_sqe& e) { e.file_index = ~0u; })},
      {"entry_nothing_registered", "EINVAL", NothingRegistered},
      {"entry_buffer_select", "EOPNOTSUPP", Entry([](io_uring_sqe& e) { e.flags = IOSQE_BUFFER_SELECT; })},
      {"entry_bad_descriptor", "EBADF", Entry([](io_uring_sqe& e) { e.fd = -1; })},
      {"entry_iopoll_ring", "EINVAL", Entry([](io_uring_sqe&) {}, kReceiveRing | IORING_SETUP_IOPOLL)},
      {"order_entry_buffer_select_before_fields", "EOPNOTSUPP",
       Entry([](io_uring_sqe& e) { e.flags = IOSQE_BUFFER_SELECT, e.addr = 1; })},
      {"order_entry_fields_before_descriptor", "EINVAL",
       Entry([](io_uring_sqe& e) { e.addr = 1, e.fd = -1; })},

      {"file_pipe", "ENOTSOCK", File(PipeEnd)},
      {"file_pipe_poll_first", "ENOTSOCK", PipeWithPollFirst},
      {"file_eventfd", "ENOTSOCK", File([] { return Fd(eventfd(0, EFD_CLOEXEC)); })},
      {"file_regular", "ENOTSOCK", File([] { return Fd(memfd_create("file", MFD_CLOEXEC)); })},
      {"socket_udp", "EPROTONOSUPPORT", Socket(AF_INET, SOCK_DGRAM)},
      {"socket_udp_ipv6", "EPROTONOSUPPORT", Socket(AF_INET6, SOCK_DGRAM)},
      {"socket_unix_stream", "EPROTONOSUPPORT", Socket(AF_UNIX, SOCK_STREAM)},
      {"socket_unix_datagram", "EPROTONOSUPPORT", Socket(AF_UNIX, SOCK_DGRAM)},
      {"socket_netlink", "EPROTONOSUPPORT", Socket(AF_NETLINK, SOCK_RAW)},
      {"socket_mptcp", "EPROTONOSUPPORT", Socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)},
      {"socket_tls", "EPROTONOSUPPORT", TlsReceive},
      {"socket_tls_without_keys", "data 1000, end 0", TlsWithoutKeys},
      {"socket_unconnected", "ENOTCONN", Socket(AF_INET, SOCK_STREAM)},
      {"socket_unconnected_ipv6", "ENOTCONN", Socket(AF_INET6, SOCK_STREAM)},
      {"socket_listening", "ENOTCONN", File([] { return Listen(); })},
  };
}

std::vector<Case> DataCases() {
  return {
      {"data_then_end", "data 20000, end 0", [] { return DataThenEnd(kReceiveRing); }},
      {"data_on_mixed_ring", "data 20000, end 0",
       [] {
         const RawRing probe(kDeferred | kSetupCqeMixed);
         if (probe.error() != 0) return "setup: " + ErrnoName(probe.error());
         return DataThenEnd(kDeferred | kSetupCqeMixed);
       },
       &kNoMixedCompletions, "setup: EINVAL"},
      {"data_of_many_calls", "data 1000000, end 0", ManyCalls},
      {"data_after_arming", "data 20000, then end 0", DataAfterArming},
      {"data_ipv6", "data 20000, end 0", Ipv6},
      {"data_by_another_registration", "data 1000, end 0", ByAnotherRegistration},
      {"end_alone", "end 0, then end 0", EndAlone},
      {"limit_then_more", "data 100, end 0, then data 9900, end 0", [] { return Limit(100, 9900); }},
      {"limit_over_pieces", "data 9000, end 0, then data 1000, end 0", [] { return Limit(9000, 1000); }},
      {"limit_over_two_sends", "data 1000, then data 2000, end 0", LimitOverTwoSends},
      {"limit_beyond_the_end", "data 10000, end 0", [] { return LimitBeyondTheEnd(20'000); }},
      {"limit_most_there_can_be", "data 10000, end 0", [] { return LimitBeyondTheEnd(~0u); }},
      {"shutdown_here", "end 0", [] { return ShutDownHere(false); }},
      {"shutdown_here_with_data", "data 1000, end 0", [] { return ShutDownHere(true); }},
      {"shutdown_here_while_armed", "end 0", ShutDownHereWhileArmed},
      {"reset_while_armed", "ECONNRESET, then end 0", ResetWhileArmed},
      {"reset_before_arming", "ECONNRESET, then end 0", ResetBeforeArming},
      {"cancel_by_user_data", "ECANCELED, cancel ok, then data 1000, end 0", [] { return Cancelled(false); }},
      {"cancel_by_descriptor", "ECANCELED, cancel ok, then data 1000, end 0", [] { return Cancelled(true); }},
      {"link_breaks_at_the_end", "data 1000, end 0, linked ECANCELED",
       [] { return LinkedAfterEnd(IOSQE_IO_LINK); }},
      {"link_hard_goes_on_at_the_end", "data 1000, end 0, linked ok",
       [] { return LinkedAfterEnd(IOSQE_IO_HARDLINK); }},
      {"link_goes_on_after_limit", "data 1000, end 0, linked ok", LinkedAfterLimit},
      {"link_breaks_at_a_refusal", "EINVAL, linked ECANCELED", LinkedAfterRefusal},
      {"link_behind_another", "ok, linked data 1000, end 0", LinkedBehindAnother},
      {"drain_after_data", "data 20000, end 0, drain ok", DrainAfterData},
      {"skip_success_after_limit", "data 1000, then data 1000, end 0", SkippedSuccess},
      {"skip_success_at_the_end", "data 1000, end 0", SkippedSuccessAtTheEnd},
      {"two_requests_of_a_socket", "ok, ok", TwoOfOneSocket},
      {"fixed_file", "data 1000, end 0", FixedFile},
      {"fixed_file_that_is_not", "EBADF", FixedFileThatIsNot},
      {"poll_first", "data 1000, end 0",
       QueuedWith([](io_uring_sqe& e) { e.ioprio |= IORING_RECVSEND_POLL_FIRST; })},
      {"async_with_data", "data 1000, end 0", QueuedWith([](io_uring_sqe& e) { e.flags = IOSQE_ASYNC; })},
      {"async_before_data", "data 1000, end 0", AsyncBeforeData},
      {"full_completion_queue", "ENOSPC, then all 60000, drain ok", CopyFullCompletionQueue},
      {"no_pieces", "4 pieces, ENOMEM, then ENOMEM, given back: 4 pieces", NoPieces},
      {"returned_twice", "1 pieces", ReturnedTwice},
      {"copy_counters", "20000 bytes copied", CopyCounters},
      {"copy_event", "20000 bytes copied, event 1 flags 0, arm ok, again EINVAL", CopyEvent, &kNoEvents,
       "EINVAL"},

      {"nic_data", "data 50000, end 0, split", NicData},
      {"nic_data_by_another_queue", "data 50000, end 0, copied", NicDataByAnotherQueue},
      {"nic_data_of_many_calls", "data 1000000, end 0, split", NicManyCalls},
      {"nic_unsplit_packets", "data 50000, end 0, split", NicUnsplitPackets},
      {"nic_full_completion_queue", "ENOSPC, then all 60000, drain ok", NicFullCompletionQueue},
      {"nic_parts_of_a_piece", "data 100, end 0, then data 900, end 0, adjacent", NicPartsOfAPiece},
      {"nic_data_of_another_registration", "EFAULT, then data 1000, end 0", NicDataOfAnotherRegistration},
      {"nic_plain_receive", "EFAULT, then data 1000, end 0", NicPlainReceive},
      {"nic_reset_while_armed", "ECONNRESET", NicReset},
  };
}

}  // namespace

std::vector<Case> ReceiveCases() {
  std::vector<Case> all = EntryCases();
  for (Case& each : DataCases()) all.push_back(std::move(each));
  return all;
}

}  // namespace zcrx
