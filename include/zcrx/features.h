// SPDX-License-Identifier: Apache-2.0
//
// What the running kernel can do for zero-copy receive. Runtime::Create() asks
// by itself; use this to explain, to log, or to decide before anything is set up:
//
//   const zcrx::KernelFeatures features = zcrx::ProbeKernel();
//   std::cout << features.Describe() << "\n";
//   if (!features.zero_copy_receive) ...
//
// Everything is found by asking the kernel or by trying, never from its version.
#ifndef ZCRX_FEATURES_H_
#define ZCRX_FEATURES_H_

#include <string>

namespace zcrx::inline v0 {

struct KernelFeatures {
  // io_uring_setup(2) works. False: `reason` has why (ENOSYS, a seccomp filter,
  // the sysctl kernel.io_uring_disabled).
  bool io_uring = false;
  // IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN (6.1): what the runtime stands on.
  bool defer_taskrun = false;
  // Multishot recv into provided buffers (6.0): the copy path.
  bool multishot_receive = false;
  // IORING_OP_SEND_ZC (6.0).
  bool zero_copy_send = false;
  // IORING_OP_RECV_ZC (6.15). The kernel may still refuse to register if it was
  // built without IO_URING_ZCRX; only a registration tells.
  bool zero_copy_receive = false;
  // IORING_REGISTER_QUERY answers about zero-copy receive (6.19).
  bool query = false;
  // The refill ring can be emptied without traffic: ZCRX_CTRL_FLUSH_RQ (6.19).
  bool flush_refill_ring = false;
  // Several io_urings can receive from one interface queue: ZCRX_CTRL_EXPORT, ZCRX_REG_IMPORT (6.19).
  bool shared_queues = false;
  // Pieces larger than a page: rx_buf_len (7.0).
  bool large_buffers = false;
  // The kernel counts what it had to copy: struct zcrx_stats (7.2).
  bool copy_stats = false;
  // The rbuf completion ring (kernel-patches/linux-6.12): see CompletionRing::kRbufRing.
  bool rbuf_ring = false;
  // What is missing most, in words; empty if nothing is.
  std::string reason;

  // One line for logs, e.g. "io_uring yes, zero-copy receive yes (flush, large buffers, copy stats), ...".
  std::string Describe() const;
};

// Asks the running kernel. Takes a few system calls, among them a throw-away
// io_uring; needs no privileges. Thread-safe.
KernelFeatures ProbeKernel();

}  // namespace zcrx::inline v0

#endif  // ZCRX_FEATURES_H_
