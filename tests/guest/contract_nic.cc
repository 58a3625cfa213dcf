// SPDX-License-Identifier: Apache-2.0
//
// Registrations of a NIC's queue: which device, which queue, in which state, and
// memory that only a device takes.
#include <fcntl.h>
#include <linux/ethtool_netlink.h>
#include <linux/udmabuf.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "lib/netdev/channels.h"
#include "lib/netdev/ethtool.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/rings.h"
#include "lib/uapi/netlink.h"
#include "tests/guest/contract.h"
#include "zcrx/status.h"

namespace zcrx {
namespace {

constexpr size_t kHugePage = 2 << 20;

netdev::Interface NicInterface() { return *netdev::FindInterface(InterfaceA()); }

std::string NameOf(const absl::Status& status) { return ErrnoName(-ErrnoOf(status)); }

// --- Devices and queues ------------------------------------------------------------------

// Registers queue 0 of an interface that a command makes and another removes.
std::string OtherInterface(const std::string& name, const std::string& make, const std::string& remove) {
  if (!make.empty()) Shell(make);
  const RawRing ring;
  Registration registration;
  registration.UseQueue(if_nametoindex(name.c_str()), 0);
  EXPECT_NE(registration.ifq.if_idx, 0u) << name;
  const std::string outcome = Outcome(ring, registration);
  if (!remove.empty()) Shell(remove);
  return outcome;
}

std::string FromAnotherNamespace() {
  const unsigned index = if_nametoindex(InterfaceA().c_str());
  return InThread([index] {
    EnterNamespace("b");
    char name[IF_NAMESIZE];
    if (if_indextoname(index, name) != nullptr) return std::string(kSkip) + "namespace b has that index, too";
    const RawRing ring;
    Registration registration;
    registration.UseQueue(index, 0);
    return Outcome(ring, registration);
  });
}

// Runs `observe` while header split is off.
std::string WithoutSplit(const Observe& observe) {
  WaitUntilQueueIsFree();
  EXPECT_TRUE(netdev::SetHeaderSplit(NicInterface(), false).ok());
  const std::string outcome = observe();
  EXPECT_TRUE(netdev::SetHeaderSplit(NicInterface(), true).ok());
  return outcome;
}

std::string WithThreshold() {
  if (!AskKernel().split_threshold) return "there is none";
  WaitUntilQueueIsFree();
  const auto set = [](uint32_t bytes) {
    return netdev::EthtoolSet(
        NicInterface(), ETHTOOL_MSG_RINGS_SET, ETHTOOL_A_RINGS_HEADER,
        [bytes](netdev::Request& request) { request.Put(uapi::kEthtoolAttrRingsHdsThresh, bytes); },
        "setting the split threshold");
  };
  EXPECT_TRUE(set(256).ok());
  const std::string outcome = Nic([](Registration&) {})();
  EXPECT_TRUE(set(0).ok());
  return outcome;
}

std::string WithXdp(const Observe& observe) {
  WaitUntilQueueIsFree();
  const Fd attached(AttachXdp(InterfaceA()));
  EXPECT_GE(attached.get(), 0);
  return observe();
}

// --- A queue that somebody has -------------------------------------------------------------

// Registers queue 1, and then `second` with another ring.
std::string Taken(const Spoil& second) {
  const RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  const RawRing other_ring;
  Registration other(1024);
  other.UseQueue(owner.ifq.if_idx, kZeroCopyQueue);
  second(other);
  return Outcome(other_ring, other);
}

std::string TakenByThisRing() {
  const RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  Registration again(1024);
  again.UseQueue(owner.ifq.if_idx, kZeroCopyQueue);
  return Outcome(ring, again);
}

std::string TakenByAnotherProcess() {
  const RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  const uint32_t index = owner.ifq.if_idx;
  return InChild([index] {
    const RawRing other_ring;
    Registration other;
    other.UseQueue(index, kZeroCopyQueue);
    return Outcome(other_ring, other);
  });
}

std::string TwoQueuesOfARing() {
  const RawRing ring;
  Registration first(1024);
  first.UseNic(1);
  EXPECT_EQ(first.Register(ring), 0);
  Registration second(1024);
  second.UseNic(2);
  return Outcome(ring, second);
}

// What was refused at the last step holds the queue no more.
std::string RefusedAtTheEnd(const Spoil& spoil) {
  const RawRing ring;
  Registration registration(1024);
  registration.UseNic();
  const uapi::IfqReg valid = registration.ifq;
  spoil(registration);
  std::string outcome = Outcome(ring, registration);
  registration.ifq = valid;
  return outcome + ", then " + Outcome(ring, registration);
}

// "ok" if data of a new connection is written into the region.
std::string DataArrivesSplit(RawRing& ring, Registration& registration) {
  const uint64_t before = QueueCounter(kZeroCopyQueue, "split_bytes");
  Connection connection = ConnectByNic();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 50'000));
  connection.client.Close();
  ZeroCopyReceive receive(ring, registration);
  const std::string outcome = receive.Receive(connection.server.get());
  if (outcome != "data 50000, end 0") return outcome;
  return QueueCounter(kZeroCopyQueue, "split_bytes") >= before + 50'000 ? "ok" : "copied";
}

// What others may not do to an interface with a queue that is registered.
std::string WhileRegistered(const Observe& observe) {
  const RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  return observe();
}

std::string AttachedXdp() {
  const Fd attached(AttachXdp(InterfaceA()));
  return attached.get() >= 0 ? "ok" : ErrnoName(attached.get());
}

// The registration stays with the queue when the queue is restarted.
std::string RestartedQueue() {
  RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  for (const char* mode : {"0", "1", "2", "3"}) WriteKnob("queue_reset", std::string("1 ") + mode);
  return DataArrivesSplit(ring, owner);
}

// And when the interface goes down and up.
std::string DownAndUp() {
  RawRing ring;
  Registration owner(1024);
  owner.UseNic();
  EXPECT_EQ(owner.Register(ring), 0);
  const std::string name = InterfaceA();
  Shell("ip link set " + name + " down && ip link set " + name + " up");
  return DataArrivesSplit(ring, owner);
}

// The ring that registered is gone; the queue stays with the one that imported.
std::string ImportedElsewhere() {
  Registration registration(1024);
  RawRing importer;
  {
    const RawRing ring;
    registration.UseNic();
    EXPECT_EQ(registration.Register(ring), 0);
    const Fd exported(Export(ring, 0));
    uapi::IfqReg import = ImportOf(exported.get());
    EXPECT_EQ(importer.Register(uapi::kRegisterZcrxIfq, &import, 1), 0);
  }
  return DataArrivesSplit(importer, registration);
}

std::string FewerChannels() { return NameOf(netdev::SetChannels(NicInterface(), {.combined = 1})); }

// --- Memory ---------------------------------------------------------------------------------

// A dma-buf of pages of a memfd.
Fd MakeDmabuf(size_t bytes) {
  const Fd memory(memfd_create("dmabuf", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(memory.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  const Fd device(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
  EXPECT_GE(device.get(), 0) << "/dev/udmabuf: " << strerror(errno);
  udmabuf_create create = {};
  create.memfd = static_cast<uint32_t>(memory.get());
  create.flags = UDMABUF_FLAGS_CLOEXEC;
  create.size = bytes;
  Fd buffer(ioctl(device.get(), UDMABUF_CREATE, &create));
  EXPECT_GE(buffer.get(), 0) << strerror(errno);
  return buffer;
}

Observe Dmabuf(Spoil spoil) {
  return [spoil = std::move(spoil)] {
    const Fd buffer = MakeDmabuf(4 << 20);
    return Nic([&](Registration& r) {
      r.area.flags = kAreaDmabuf;
      r.area.addr = 0;
      r.area.len = 4 << 20;
      r.area.dmabuf_fd = static_cast<uint32_t>(buffer.get());
      spoil(r);
    })();
  };
}

std::string NotADmabuf() {
  const Fd file(memfd_create("file", MFD_CLOEXEC));
  return Nic([&](Registration& r) {
    r.area.flags = kAreaDmabuf;
    r.area.addr = 0;
    r.area.dmabuf_fd = static_cast<uint32_t>(file.get());
  })();
}

// The kernel cannot read the memory of a dma-buf, so it copies nothing there.
std::string CopyToADmabuf() {
  const Fd buffer = MakeDmabuf(4 << 20);
  RawRing ring;
  Registration registration(1);
  registration.UseNic();
  registration.area = {.addr = 0,
                       .len = 4 << 20,
                       .rq_area_token = 0,
                       .flags = kAreaDmabuf,
                       .dmabuf_fd = static_cast<uint32_t>(buffer.get()),
                       .resv2 = {}};
  EXPECT_EQ(registration.Register(ring), 0);
  const Connection connection = ConnectByLoopback();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 1000));
  ZeroCopyReceive receive(ring, registration);
  return receive.Receive(connection.server.get());
}

constexpr char kNoHugePages[] = "this machine's kernel has no huge pages (User Mode Linux cannot)";

// Makes the kernel set some aside, unless it has; false if it cannot. More than one case needs: those of
// the case before come back only when its ring is gone altogether.
bool ReserveHugePages() {
  std::fstream pages("/proc/sys/vm/nr_hugepages");
  int reserved = 0;
  pages >> reserved;
  if (reserved < 16) {
    pages.clear();
    pages.seekp(0);
    pages << 16 << std::flush;
  }
  return pages.good();
}

void UseHugePages(Registration& registration) {
  registration.pool = internal::Mapping::Map(2 * kHugePage, {.huge_pages = true});
  EXPECT_FALSE(registration.pool.empty()) << "huge pages: " << strerror(errno);
  registration.area.addr = reinterpret_cast<uint64_t>(registration.pool.base());
  registration.area.len = registration.pool.bytes();
}

Observe HugePages(Spoil spoil) {
  return [spoil = std::move(spoil)] {
    if (!ReserveHugePages()) return std::string(kSkip) + kNoHugePages;
    return Nic([&](Registration& r) {
      UseHugePages(r);
      spoil(r);
    })();
  };
}

std::string ReceiveIntoHugePages() {
  if (!ReserveHugePages()) return std::string(kSkip) + kNoHugePages;
  RawRing ring;
  Registration registration;
  registration.UseNic();
  UseHugePages(registration);
  EXPECT_EQ(registration.Register(ring), 0);
  Connection connection = ConnectByNic();
  EXPECT_TRUE(SendContent(connection.client.get(), 0, 100'000));
  connection.client.Close();
  ZeroCopyReceive receive(ring, registration);
  return receive.Receive(connection.server.get());
}

}  // namespace

std::vector<Case> NicCases() {
  const auto nothing = [](Registration&) {};
  const std::string buffers_of_32k = "ok: 64 entries, buffers of 32768, id 0, token 0";
  return {
      {"nic_queue", kAccepted, Nic(nothing)},
      {"nic_queue_0", kAccepted, Nic([](Registration& r) { r.UseNic(0); })},
      {"nic_region_by_kernel", kAccepted, Nic([](Registration& r) { r.UseKernelRegion(); })},
      {"nic_no_such_index", "ENODEV", Nic([](Registration& r) { r.ifq.if_idx = 0x7fffffff; })},
      {"nic_index_0", "ENODEV", Nic([](Registration& r) { r.ifq.if_idx = 0; })},
      {"nic_negative_index", "ENODEV", Nic([](Registration& r) { r.ifq.if_idx = ~0u; })},
      {"nic_of_another_namespace", "ENODEV", FromAnotherNamespace},
      {"nic_loopback", "EOPNOTSUPP", [] { return OtherInterface("lo", "", ""); }},
      {"nic_veth", "EOPNOTSUPP",
       [] { return OtherInterface("v0", "ip link add v0 type veth peer name v1", "ip link delete v0"); }},
      {"nic_dummy", "EOPNOTSUPP",
       [] { return OtherInterface("d0", "ip link add d0 type dummy", "ip link delete d0"); }},
      {"nic_queue_4_of_4", "ERANGE", Nic([](Registration& r) { r.ifq.if_rxq = 4; })},
      {"nic_queue_far_out", "ERANGE", Nic([](Registration& r) { r.ifq.if_rxq = 0x7fffffff; })},
      {"nic_split_off", "EINVAL", [nothing] { return WithoutSplit(Nic(nothing)); }},
      {"nic_split_threshold", "EINVAL", WithThreshold, &kNoSplitThreshold, "there is none"},
      {"nic_xdp", "EEXIST", [nothing] { return WithXdp(Nic(nothing)); }},
      {"nic_taken_by_another_ring", "EEXIST", [nothing] { return Taken(nothing); }},
      {"nic_taken_by_this_ring", "EEXIST", TakenByThisRing},
      {"nic_taken_by_another_process", "EEXIST", TakenByAnotherProcess},
      {"nic_two_queues_of_a_ring", "ok: 64 entries, buffers of 4096, id 1, token 0", TwoQueuesOfARing},
      {"nic_area_read_only", std::string("EFAULT, then ") + kAccepted,
       [] { return RefusedAtTheEnd([](Registration& r) { r.ifq.area_ptr = ReadOnlyCopy(r.area); }); }},
      {"nic_region_read_only", std::string("EFAULT, then ") + kAccepted,
       [] { return RefusedAtTheEnd([](Registration& r) { r.ifq.region_ptr = ReadOnlyCopy(r.region); }); }},

      {"order_region_before_interface", "EFAULT",
       Nic([](Registration& r) { r.region.user_addr = 0, r.ifq.if_idx = 0x7fffffff; })},
      {"order_interface_before_area", "ENODEV",
       Nic([](Registration& r) { r.ifq.if_idx = 0x7fffffff, r.area.flags = 2; })},
      {"order_interface_before_queue", "ENODEV",
       Nic([](Registration& r) { r.ifq.if_idx = 0x7fffffff, r.ifq.if_rxq = 4; })},
      {"order_interface_before_buffer_size", "ENODEV",
       Nic([](Registration& r) { r.ifq.if_idx = 0x7fffffff, r.ifq.rx_buf_len = 2048; })},
      {"order_device_before_buffer_size", "EOPNOTSUPP", Nic([](Registration& r) {
         r.ifq.if_idx = if_nametoindex("lo"), r.ifq.if_rxq = 0, r.ifq.rx_buf_len = 2048;
       })},
      {"order_device_before_area", "EOPNOTSUPP",
       Nic([](Registration& r) { r.ifq.if_idx = if_nametoindex("lo"), r.ifq.if_rxq = 0, r.area.flags = 2; })},
      {"order_device_before_queue", "EOPNOTSUPP",
       Nic([](Registration& r) { r.ifq.if_idx = if_nametoindex("lo"), r.ifq.if_rxq = 4; })},
      {"order_area_before_queue", "EFAULT", Nic([](Registration& r) { r.area.addr = 0, r.ifq.if_rxq = 4; })},
      {"order_area_before_taken", "EFAULT", [] { return Taken([](Registration& r) { r.area.addr = 0; }); }},
      {"order_queue_before_split", "ERANGE",
       [] { return WithoutSplit(Nic([](Registration& r) { r.ifq.if_rxq = 4; })); }},
      {"order_area_before_split", "EFAULT",
       [] { return WithoutSplit(Nic([](Registration& r) { r.area.addr = 0; })); }},
      {"order_split_before_xdp", "EINVAL",
       [nothing] { return WithoutSplit([&] { return WithXdp(Nic(nothing)); }); }},
      {"order_queue_before_xdp", "ERANGE",
       [] { return WithXdp(Nic([](Registration& r) { r.ifq.if_rxq = 4; })); }},

      {"registered_split_stays_on", "EINVAL",
       [] { return WhileRegistered([] { return NameOf(netdev::SetHeaderSplit(NicInterface(), false)); }); }},
      {"registered_no_xdp", "EBUSY", [] { return WhileRegistered(AttachedXdp); }},
      {"registered_channels_stay", "EINVAL", [] { return WhileRegistered(FewerChannels); }},

      {"registered_imported_elsewhere", "ok", ImportedElsewhere},
      {"registered_queue_restarts", "ok", RestartedQueue},
      {"registered_interface_down_and_up", "ok", DownAndUp},

      {"nic_dmabuf", kAccepted, Dmabuf(nothing)},
      {"nic_dmabuf_with_address", "EINVAL", Dmabuf([](Registration& r) { r.area.addr = 4096; })},
      {"nic_dmabuf_shorter", "EINVAL", Dmabuf([](Registration& r) { r.area.len -= 4096; })},
      {"nic_dmabuf_longer", "EINVAL", Dmabuf([](Registration& r) { r.area.len += 4096; })},
      {"nic_dmabuf_bad_descriptor", "EBADF", Dmabuf([](Registration& r) { r.area.dmabuf_fd = ~0u; })},
      {"nic_dmabuf_is_a_file", "EINVAL", NotADmabuf},
      {"nic_dmabuf_copy", "ENOMEM", CopyToADmabuf},
      {"order_dmabuf_address_before_descriptor", "EINVAL",
       Dmabuf([](Registration& r) { r.area.addr = 4096, r.area.dmabuf_fd = ~0u; })},
      {"order_dmabuf_length_before_descriptor", "EFAULT",
       Dmabuf([](Registration& r) { r.area.len = 0, r.area.dmabuf_fd = ~0u; })},
      {"nic_buffers_in_scattered_memory", "ERANGE", Nic([](Registration& r) { r.ifq.rx_buf_len = 1 << 20; }),
       &kNoBufferSizes, "EOPNOTSUPP"},
      {"nic_huge_pages", kAccepted, HugePages(nothing)},
      {"nic_huge_pages_large_buffers", buffers_of_32k,
       HugePages([](Registration& r) { r.ifq.rx_buf_len = 32768; }), &kNoBufferSizes, "EOPNOTSUPP"},
      {"nic_huge_pages_buffers_of_2_mib", "ok: 64 entries, buffers of 2097152, id 0, token 0",
       HugePages([](Registration& r) { r.ifq.rx_buf_len = 2 << 20; }), &kNoBufferSizes, "EOPNOTSUPP"},
      {"nic_huge_pages_receive", "data 100000, end 0", ReceiveIntoHugePages},
  };
}

}  // namespace zcrx
