/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The part of the kernel's netlink contract that the headers of Debian 12 do
 * not have: the netdev family (queues and their memory providers) and the
 * header split threshold of the ethtool family. Numbers only; a kernel that
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
  kNetdevCmdQueueGet = 10,
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
  kNetdevAttrQueueMax = 8,
};

enum NetdevIoUringAttribute {
  kNetdevAttrIoUringRxBufLen = 1,  // u32
  kNetdevAttrIoUringMax = 1,
};

// ETHTOOL_MSG_RINGS_*: what follows ETHTOOL_A_RINGS_TX_PUSH, the last that
// Debian 12 knows (since 6.14).
enum EthtoolRingsAttribute {
  kEthtoolAttrRingsHdsThresh = 17,     // u32
  kEthtoolAttrRingsHdsThreshMax = 18,  // u32
  kEthtoolAttrRingsMax = 18,
};

}  // namespace zcrx::inline v0::uapi

#endif  // ZCRX_LIB_UAPI_NETLINK_H_
