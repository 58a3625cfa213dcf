// SPDX-License-Identifier: Apache-2.0
//
// What a NIC is and how it is set up, as far as zero-copy receive depends on it:
// for tools that explain why a queue cannot be had, that plan a set-up, or that
// watch queues and their memory. A program that only receives does not need it;
// Runtime::Create() looks at the interface by itself.
//
//   absl::StatusOr<zcrx::netdev::NicState> nic = zcrx::netdev::ReadNic("eth0");
//   if (!nic.ok()) return nic.status();
//   for (const zcrx::netdev::RxQueue& queue : nic->rx_queues) {
//     if (queue.io_uring) std::cout << "queue " << queue.id << " is taken\n";
//   }
//
// Everything is a snapshot, asked for in the network namespace of the calling
// thread, one question after the other: what others change meanwhile may be seen
// in one part and not in another. What the kernel or the driver does not tell is
// an absent or empty value, never an error.
//
// The structs are thread-compatible, the functions thread-safe.
#ifndef ZCRX_NETDEV_H_
#define ZCRX_NETDEV_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace zcrx::inline v0::netdev {

struct Interface {
  std::string name;
  uint32_t index = 0;
  bool up = false;               // administratively
  uint32_t mtu = 0;              // bytes
  bool xdp_attached = false;     // in any mode
  uint32_t rx_queues = 0;        // in use; queue numbers are below it
  std::string driver;            // empty if unknown
  std::string bus;               // of the device behind it, "pci"; empty for virtual interfaces
  std::string device;            // its name there, "0000:03:00.0"
  std::optional<int> numa_node;  // of the device; absent also on machines with one node
};

// How many queues there are; a combined channel is a receive queue and a transmit
// queue. A kind that the NIC does not have has 0 of at most 0.
struct Channels {
  struct Kind {
    uint32_t count = 0;
    uint32_t max = 0;
  };
  Kind rx;
  Kind tx;
  Kind combined;
};

struct Feature {
  bool on = false;
  bool fixed = false;      // nobody can change it
  bool requested = false;  // switched on by somebody, though it may be off for lack of something else
};

// By their names of `ethtool -k`.
struct Features {
  std::optional<Feature> ntuple_filters;  // flow rules
  std::optional<Feature> rx_gro_hw;
};

enum class HeaderSplit {
  kUnknown,  // the driver does not say, or cannot do it
  kDisabled,
  kEnabled,  // as the driver reports it; zero copy wants it to have been *set*
};

// "unknown", "off", "on".
const char* NameOf(HeaderSplit split);

struct RingSettings {
  HeaderSplit header_split = HeaderSplit::kUnknown;
  // Packets up to this size, in bytes, are not split. Zero copy wants 0.
  std::optional<uint32_t> header_split_threshold;
  std::optional<uint32_t> header_split_threshold_max;
  std::optional<uint32_t> rx;  // descriptors of each receive ring
  std::optional<uint32_t> rx_max;
};

// Receive side scaling: where flows go that no rule claims (the context 0), or
// that a rule sends to another context.
struct RssContext {
  uint32_t id = 0;
  std::vector<uint32_t> table;      // queue numbers by hash
  std::string hash_function;        // "toeplitz", "xor", "crc32"; empty if unknown
  std::vector<std::byte> hash_key;  // empty if unknown, or that of context 0
};

enum class IpFamily { kIpv4, kIpv6 };

// A flow rule (ntuple). Local is the NIC's side.
struct Rule {
  uint32_t id = 0;                      // its place in the NIC's table; lower ones win
  std::optional<IpFamily> tcp;          // absent: not a TCP rule, and nothing is told of what it matches
  uint16_t local_port = 0;              // 0: any, or part of a range
  uint16_t remote_port = 0;             // the same
  std::string local_address;            // "10.0.0.1" or "10.0.0.0/8"; empty: any, or a mask that is no prefix
  std::string remote_address;           // the same
  bool narrower = false;                // it matches on something besides the local port
  std::optional<uint32_t> rx_queue;     // absent: drops, or goes to a virtual function
  std::optional<uint32_t> rss_context;  // then `rx_queue` is added to what its table says
};

// Who polls a queue, and where.
struct Napi {
  uint32_t id = 0;                           // as SO_INCOMING_NAPI_ID has it
  std::optional<uint32_t> irq;               // number of its interrupt
  std::optional<uint32_t> thread;            // pid, if a kernel thread polls it
  std::vector<uint32_t> irq_cpus;            // CPUs the interrupt may go to
  std::vector<uint32_t> irq_effective_cpus;  // those of them it does go to
};

// Counts since the driver was loaded, or as it sees fit.
struct QueueStats {
  std::optional<uint64_t> packets;
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> alloc_failures;  // no memory for a packet or a buffer
  std::optional<uint64_t> hw_drops;        // packets the NIC had no buffer for, or dropped for another reason
  std::optional<uint64_t> hw_drop_overruns;  // of these, those for want of buffers
};

// A queue has at most one owner that brought its memory. A kernel reports only
// the kinds of owner it knows.
struct RxQueue {
  uint32_t id = 0;
  std::optional<Napi> napi;
  QueueStats stats;                               // Linux 6.9
  bool io_uring = false;                          // zero-copy receive of some io_uring
  std::optional<uint32_t> io_uring_buffer_bytes;  // Linux 7.0
  std::optional<uint32_t> dmabuf;                 // devmem TCP; number of the binding
  bool xdp_socket = false;                        // AF_XDP, zero copy
  bool leased = false;                            // to a virtual interface

  bool owned() const { return io_uring || dmabuf.has_value() || xdp_socket || leased; }
};

// "io_uring", "dmabuf", "xsk", "lease"; empty if it is nobody's. The kernel does not tell which process.
std::string OwnerOf(const RxQueue& queue);

// Pieces taken from a pool (`alloc_`), by the way they were had, and given back
// to it (`recycle_`).
struct PagePoolStats {
  std::optional<uint64_t> alloc_fast;             // from the cache
  std::optional<uint64_t> alloc_slow;             // of the lowest order, from the allocator
  std::optional<uint64_t> alloc_slow_high_order;  // of a higher order
  std::optional<uint64_t> alloc_empty;            // the ring was empty
  std::optional<uint64_t> alloc_refill;           // the cache was filled from the ring
  std::optional<uint64_t> alloc_waive;            // of the wrong NUMA node, hence not put into the cache
  std::optional<uint64_t> recycle_cached;
  std::optional<uint64_t> recycle_cache_full;
  std::optional<uint64_t> recycle_ring;
  std::optional<uint64_t> recycle_ring_full;
  std::optional<uint64_t> recycle_released_refcnt;  // somebody else still had it
};

// Where the buffers of a receive queue come from. A queue has one; one that it had
// stays, detached, until the last of its pieces has come back.
struct PagePool {
  uint64_t id = 0;
  std::optional<uint32_t> napi_id;              // of the queue, where it is known
  std::optional<uint64_t> inflight;             // pieces that are out
  std::optional<uint64_t> inflight_bytes;       // the same in bytes
  std::optional<uint64_t> detached_at_seconds;  // since boot (CLOCK_BOOTTIME)
  std::optional<uint32_t> dmabuf;               // as in RxQueue
  bool io_uring = false;
  std::optional<uint32_t> io_uring_buffer_bytes;
  PagePoolStats stats;  // of kernels built with CONFIG_PAGE_POOL_STATS
};

struct NicState {
  Interface interface;
  std::optional<Channels> channels;
  Features features;
  RingSettings rings;
  std::vector<RssContext> rss;       // by id, the default one (0) first. Linux 6.12 lists the others
  std::vector<Rule> rules;           // in the order of the driver
  std::vector<RxQueue> rx_queues;    // by id; empty before Linux 6.8, and while the interface is down
  std::vector<PagePool> page_pools;  // by id; Linux 6.8
};

// All of the interface `name`, which may be an alternative name. Needs no
// privileges. NotFound (ENODEV) if this network namespace has no such interface;
// EINTR if something kept changing while it was listed: ask again; DataLoss if
// an answer of the kernel made no sense. What else the kernel refuses comes with
// its errno and its own words.
absl::StatusOr<NicState> ReadNic(std::string_view name);

// Whether the kernel tells of queues at all: by the netlink family "netdev", which came with Linux 6.3.
// Without it NicState::rx_queues and page_pools are empty.
absl::StatusOr<bool> HasNetdevFamily();

// The interfaces of this network namespace, by index. Errors as ReadNic().
absl::StatusOr<std::vector<Interface>> ListInterfaces();

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_NETDEV_H_
