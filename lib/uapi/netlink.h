/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The part of the kernel's netlink contract that the headers of Debian 12 do
 * not have: the netdev family (queues, their NAPIs, counters and memory) and, of the
 * ethtool family, the header split threshold and RSS. Numbers only; a kernel that
 * lacks one of them leaves the attribute out or answers EOPNOTSUPP.
 *
 * The names differ from the kernel's on purpose: on a system whose headers do
 * have them, both can be included.
 */
#ifndef ZCRX_LIB_UAPI_NETLINK_H_
#define ZCRX_LIB_UAPI_NETLINK_H_

namespace zcrx::inline v0::uapi {

// Generic netlink family "netdev" (since 6.3; queues since 6.8).
inline constexpr char kNetdevFamily[] = "netdev";
inline constexpr int kNetdevFamilyVersion = 1;

enum NetdevCommand {
  kNetdevCmdPagePoolGet = 5,       // since 6.8
  kNetdevCmdPagePoolStatsGet = 9,  // since 6.8
  kNetdevCmdQueueGet = 10,
  kNetdevCmdNapiGet = 11,    // since 6.8
  kNetdevCmdQstatsGet = 12,  // since 6.9; of one interface only since 6.10
};

enum NetdevQueueType {
  kNetdevQueueTypeRx = 0,
  kNetdevQueueTypeTx = 1,
};

enum NetdevQueueAttribute {
  kNetdevAttrQueueId = 1,
  kNetdevAttrQueueIfindex = 2,
  kNetdevAttrQueueType = 3,
  kNetdevAttrQueueNapiId = 4,
  kNetdevAttrQueueDmabuf = 5,   // u32: id of the dma-buf binding (since 6.12)
  kNetdevAttrQueueIoUring = 6,  // nest: bound to an io_uring (since 6.15)
  kNetdevAttrQueueXsk = 7,      // nest: bound to an AF_XDP socket (since 6.15)
  kNetdevAttrQueueLease = 8,    // nest: leased to a virtual device
};

// In the nest of a queue and of a page pool.
enum NetdevIoUringAttribute {
  kNetdevAttrIoUringRxBufLen = 1,  // uint (since 7.0)
};

enum NetdevNapiAttribute {
  kNetdevAttrNapiIfindex = 1,
  kNetdevAttrNapiId = 2,
  kNetdevAttrNapiIrq = 3,  // u32
  kNetdevAttrNapiPid = 4,  // u32: of the thread that polls
};

enum NetdevPagePoolAttribute {
  kNetdevAttrPagePoolId = 1,           // uint
  kNetdevAttrPagePoolIfindex = 2,      // absent if the interface is gone
  kNetdevAttrPagePoolNapiId = 3,       // uint
  kNetdevAttrPagePoolInflight = 4,     // uint
  kNetdevAttrPagePoolInflightMem = 5,  // uint: bytes
  kNetdevAttrPagePoolDetachTime = 6,   // uint: seconds since boot
  kNetdevAttrPagePoolDmabuf = 7,       // u32 (since 6.12)
  kNetdevAttrPagePoolIoUring = 8,      // nest (since 6.15)
};

// All but the first are uint.
enum NetdevPagePoolStatsAttribute {
  kNetdevAttrPagePoolStatsInfo = 1,  // nest with the pool's id and interface
  kNetdevAttrPagePoolStatsAllocFast = 8,
  kNetdevAttrPagePoolStatsAllocSlow = 9,
  kNetdevAttrPagePoolStatsAllocSlowHighOrder = 10,
  kNetdevAttrPagePoolStatsAllocEmpty = 11,
  kNetdevAttrPagePoolStatsAllocRefill = 12,
  kNetdevAttrPagePoolStatsAllocWaive = 13,
  kNetdevAttrPagePoolStatsRecycleCached = 14,
  kNetdevAttrPagePoolStatsRecycleCacheFull = 15,
  kNetdevAttrPagePoolStatsRecycleRing = 16,
  kNetdevAttrPagePoolStatsRecycleRingFull = 17,
  kNetdevAttrPagePoolStatsRecycleReleasedRefcnt = 18,
};

enum NetdevQstatsScope {
  kNetdevQstatsScopeQueue = 1,
};

// The counters are uint.
enum NetdevQstatsAttribute {
  kNetdevAttrQstatsIfindex = 1,
  kNetdevAttrQstatsQueueType = 2,
  kNetdevAttrQstatsQueueId = 3,
  kNetdevAttrQstatsScope = 4,  // uint
  kNetdevAttrQstatsRxPackets = 8,
  kNetdevAttrQstatsRxBytes = 9,
  kNetdevAttrQstatsRxAllocFail = 12,
  kNetdevAttrQstatsRxHwDrops = 13,
  kNetdevAttrQstatsRxHwDropOverruns = 14,
};

// ETHTOOL_MSG_RINGS_*: what follows ETHTOOL_A_RINGS_TX_PUSH, the last that
// Debian 12 knows (since 6.14).
enum EthtoolRingsAttribute {
  kEthtoolAttrRingsHdsThresh = 17,     // u32
  kEthtoolAttrRingsHdsThreshMax = 18,  // u32
};

// RSS (since 6.2; all contexts at once since 6.12).
inline constexpr int kEthtoolMsgRssGet = 38;

enum EthtoolRssAttribute {
  kEthtoolAttrRssHeader = 1,
  kEthtoolAttrRssContext = 2,  // u32: absent for the default one
  kEthtoolAttrRssHfunc = 3,    // u32: one bit, the ETH_RSS_HASH_* of the ioctl
  kEthtoolAttrRssIndir = 4,    // array of u32
  kEthtoolAttrRssHkey = 5,     // bytes
};

}  // namespace zcrx::inline v0::uapi

#endif  // ZCRX_LIB_UAPI_NETLINK_H_
