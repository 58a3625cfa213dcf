// SPDX-License-Identifier: Apache-2.0
//
// Packets in registered memory that leave the path to a RECV_ZC request: none of
// them crashes anything, and all buffers are there again at the end.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>

#include "tests/guest/receiver.h"

namespace zcrx {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kBytes = 4 << 20;

class LifetimeStrayTest : public testing::Test {
 protected:
  void SetUp() override {
    if (InterfaceA().empty()) GTEST_SKIP() << "needs two linked test NICs: run it by tools/vm";
  }
};

uint64_t SplitPackets() { return QueueCounter(kZeroCopyQueue, "split_pkts"); }

void ReceiveHonestly(Receiver& receiver) {
  const Fd listener = Listen(ZeroCopyPort());
  const Sender sender(kBytes);
  const size_t stream = receiver.Adopt(AcceptSoon(listener));
  EXPECT_TRUE(receiver.Receive(stream, kBytes));
  receiver.CloseSocket(stream);
}

// The kernel has every buffer again: the queue was not restarted meanwhile.
void ExpectAllBuffers(Receiver& receiver) {
  receiver.CloseSockets();
  receiver.GiveBack();
  EXPECT_EQ(receiver.HoldAll(), Receiver::kPages);
}

Fd PacketSocket() {
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int size = 64 << 20;
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0) << strerror(errno);
  return fd;
}

// From now on it gets what the NIC receives.
void Attach(const Fd& fd) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(InterfaceA().c_str()));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0)
      << strerror(errno);
}

// Packets whose payload nobody but the owner of the region may see.
uint64_t CountShortened(const Fd& fd) {
  uint64_t shortened = 0;
  std::array<char, 2048> bytes;
  sockaddr_ll from = {};
  socklen_t size = sizeof(from);
  while (true) {
    const ssize_t length = recvfrom(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0) break;
    // More than the headers of a packet, or less than its payload, would be an error in itself.
    if (from.sll_pkttype == PACKET_HOST && length < 128) ++shortened;
  }
  return shortened;
}

TEST_F(LifetimeStrayTest, PacketSocketThatDoesNotRead) {
  InNamespace("a", [] {
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    Fd packets = PacketSocket();
    Attach(packets);
    const uint64_t before = SplitPackets();
    ReceiveHonestly(receiver);
    receiver.GiveBack();
    const uint64_t split = SplitPackets() - before;
    EXPECT_GE(CountShortened(packets), split / 2);
    // Once more, and now they are in its queue at its end.
    ReceiveHonestly(receiver);
    packets.Close();
    ExpectAllBuffers(receiver);
  });
}

TEST_F(LifetimeStrayTest, PacketSocketWithMappedRing) {
  InNamespace("a", [] {
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    const Fd packets = PacketSocket();
    const int version = TPACKET_V2;
    ASSERT_EQ(setsockopt(packets.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), 0);
    const tpacket_req request = {
        .tp_block_size = 1 << 16, .tp_block_nr = 16, .tp_frame_size = 1 << 11, .tp_frame_nr = 512};
    ASSERT_EQ(setsockopt(packets.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)), 0)
        << strerror(errno);
    const size_t bytes = size_t{1} << 20;
    auto* ring =
        static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, packets.get(), 0));
    ASSERT_NE(ring, MAP_FAILED) << strerror(errno);
    Attach(packets);
    ReceiveHonestly(receiver);
    int seen = 0;
    for (uint32_t i = 0; i < request.tp_frame_nr; ++i) {
      const auto* frame = reinterpret_cast<const tpacket2_hdr*>(ring + size_t{i} * request.tp_frame_size);
      // The headers came, of a packet that has more.
      if ((frame->tp_status & TP_STATUS_USER) != 0 && frame->tp_snaplen < 128 && frame->tp_len > 128) ++seen;
    }
    EXPECT_GT(seen, 10);
    munmap(ring, bytes);
    ExpectAllBuffers(receiver);
  });
}

// Packets are dropped between the NIC and the socket from `drop` to `pass`.
void DropForAWhile(const std::string& drop, const std::string& pass) {
  Receiver receiver;
  ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
  Fd listener = Listen(ZeroCopyPort());
  const Sender sender(kBytes);
  const size_t stream = receiver.Adopt(AcceptSoon(listener), false);
  listener.Close();
  Shell(drop);
  int there = 0;
  ASSERT_EQ(ioctl(receiver.fd(stream), FIONREAD, &there), 0);
  receiver.Arm(stream);
  // TCP sends again and again what is dropped.
  const uint64_t before = SplitPackets();
  WaitFor("packets that are dropped", [&] {
    while (receiver.TakeOne(milliseconds(1))) continue;
    return SplitPackets() >= before + 3;
  });
  EXPECT_EQ(receiver.received(stream), static_cast<uint64_t>(there));
  Shell(pass);
  EXPECT_TRUE(receiver.Receive(stream, kBytes));
  ExpectAllBuffers(receiver);
}

TEST_F(LifetimeStrayTest, DroppedByTrafficControl) {
  InNamespace("a", [] {
    DropForAWhile("tc qdisc add dev " + InterfaceA() + " clsact && tc filter add dev " + InterfaceA() +
                      " ingress matchall action drop",
                  "tc qdisc delete dev " + InterfaceA() + " clsact");
  });
}

TEST_F(LifetimeStrayTest, DroppedByNetfilter) {
  InNamespace("a", [] {
    DropForAWhile(
        "nft 'add table inet zcrx; add chain inet zcrx in { type filter hook input priority 0; };"
        " add rule inet zcrx in tcp dport " +
            std::to_string(ZeroCopyPort()) + " drop'",
        "nft delete table inet zcrx");
  });
}

TEST_F(LifetimeStrayTest, MirroredToAnotherInterface) {
  InNamespace("a", [] {
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    Shell("ip link add mirror type dummy && ip link set mirror up");
    Shell("tc qdisc add dev " + InterfaceA() + " clsact && tc filter add dev " + InterfaceA() +
          " ingress matchall action mirred egress mirror dev mirror");
    ReceiveHonestly(receiver);
    Shell("tc -s filter show dev " + InterfaceA() +
          " ingress | grep -qE 'Sent [1-9][0-9]* bytes [1-9][0-9]+ pkt'");
    Shell("tc qdisc delete dev " + InterfaceA() + " clsact && ip link delete mirror");
    ExpectAllBuffers(receiver);
  });
}

TEST_F(LifetimeStrayTest, ForwardedToAnotherInterface) {
  InNamespace("a", [] {
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    Shell("ip netns add c && ip link add va type veth peer name vc netns c");
    Shell("ip address add 10.9.0.1/24 dev va && ip link set va up && sysctl -qw net.ipv4.ip_forward=1");
    Shell("ip -n c address add 10.9.0.2/24 dev vc && ip -n c link set vc up && ip -n c link set lo up");
    Shell("ip -n c route add default via 10.9.0.1 && ip -n b route add 10.9.0.0/24 via 10.0.0.1");
    InNamespace("c", [] {
      const Fd listener = Listen(ZeroCopyPort());
      const uint64_t before = SplitPackets();
      const Sender sender(kBytes, "10.9.0.2");
      const Fd connection = AcceptSoon(listener);
      // It is made of packets without payload. Those with payload may not leave by a NIC that cannot send
      // such memory.
      WaitFor("packets with payload", [&] { return SplitPackets() >= before + 3; });
      char byte;
      EXPECT_EQ(recv(connection.get(), &byte, 1, MSG_DONTWAIT), -1);
    });
    Shell("ip -n b route delete 10.9.0.0/24 && ip link delete va && ip netns delete c");
    Shell("sysctl -qw net.ipv4.ip_forward=0");
    ReceiveHonestly(receiver);
    ExpectAllBuffers(receiver);
  });
}

// What is not TCP arrives as on any queue.
TEST_F(LifetimeStrayTest, DatagramsAndMulticast) {
  InNamespace("a", [] {
    constexpr uint16_t kPort = 5999;
    constexpr int kEach = 100;
    Receiver receiver;
    ASSERT_EQ(ErrnoName(receiver.Bind()), "ok");
    Shell("ethtool -N " + InterfaceA() + " flow-type udp4 dst-port " + std::to_string(kPort) +
          " action 1 loc 60");
    const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in here = {};
    here.sin_family = AF_INET;
    here.sin_port = htons(kPort);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof(here)), 0);
    ip_mreqn group = {};
    inet_pton(AF_INET, "239.1.1.1", &group.imr_multiaddr);
    group.imr_ifindex = static_cast<int>(if_nametoindex(InterfaceA().c_str()));
    ASSERT_EQ(setsockopt(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0)
        << strerror(errno);
    const uint64_t before = QueueCounter(kZeroCopyQueue, "pkts");
    int wrong = 0;
    for (int i = 0; i < 2 * kEach; ++i) {
      InNamespace("b", [&] {
        const Fd peer(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const int index = static_cast<int>(if_nametoindex("b0"));
        const ip_mreqn by = {.imr_multiaddr = {}, .imr_address = {}, .imr_ifindex = index};
        setsockopt(peer.get(), IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by));
        sockaddr_in to = here;
        inet_pton(AF_INET, i % 2 == 0 ? "10.0.0.1" : "239.1.1.1", &to.sin_addr);
        const std::string text(1000, static_cast<char>('a' + i % 26));
        EXPECT_EQ(sendto(peer.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                         sizeof(to)),
                  static_cast<ssize_t>(text.size()))
            << strerror(errno);
      });
      WaitPoll(fd.get(), POLLIN);
      std::string text(2000, '\0');
      text.resize(
          static_cast<size_t>(std::max<ssize_t>(recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT), 0)));
      wrong += text != std::string(1000, static_cast<char>('a' + i % 26));
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_GE(QueueCounter(kZeroCopyQueue, "pkts"), before + 2 * kEach);
    Shell("ethtool -N " + InterfaceA() + " delete 60");
    ReceiveHonestly(receiver);
    ExpectAllBuffers(receiver);
  });
}

}  // namespace
}  // namespace zcrx
