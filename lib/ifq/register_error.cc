// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/register_error.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

std::string DriverOf(const RegisterFacts& facts) {
  return facts.driver.empty() ? "" : absl::StrCat(" (driver ", facts.driver, ")");
}

// Most refusals of a queue that exists are -EINVAL: header split comes first, as it is the usual one.
std::string InvalidArgument(const RegisterFacts& facts) {
  const std::string& nic = facts.interface;
  if (facts.header_split == false) {
    return absl::StrCat(
        "header/data split is not switched on (a driver's default does not count); fix: ethtool -G ", nic,
        " tcp-data-split on");
  }
  if (facts.header_split_threshold.value_or(0) != 0) {
    return absl::StrCat("header/data split has a threshold of ", *facts.header_split_threshold,
                        " bytes, it must be 0; fix: ethtool -G ", nic,
                        " hds-thresh 0, with an ethtool that knows it (6.14 does not)");
  }
  if (facts.buffer_bytes != facts.page_bytes) {
    return absl::StrCat("pieces of ", facts.buffer_bytes, " bytes are refused",
                        facts.kernel_knows_large_buffers
                            ? absl::StrCat(" by ", nic, DriverOf(facts))
                            : ": this kernel takes one page only (larger ones came with Linux 7.0)",
                        "; fix: PoolOptions::buffer_bytes = ", facts.page_bytes);
  }
  return absl::StrCat(
      "the kernel refuses the request; the usual cause: header/data split was not set, even if the driver "
      "reports it as its default; fix: ethtool -G ",
      nic, " tcp-data-split on",
      facts.rbuf_ring ? "; if it was, the rbuf ring is refused; fix: InterfaceQueueOptions::completion = "
                        "CompletionRing::kMainCq"
                      : "");
}

std::string NotSupported(const RegisterFacts& facts) {
  if (facts.buffer_bytes != facts.page_bytes && facts.header_split == true) {
    return absl::StrCat("either the driver cannot receive into pieces of ", facts.buffer_bytes,
                        " bytes (fix: PoolOptions::buffer_bytes = ", facts.page_bytes,
                        "), or it has no memory providers at all, or the kernel lacks CONFIG_IO_URING_ZCRX");
  }
  return "the interface cannot receive into memory of an application: it has no DMA device (virtual "
         "interfaces), or its "
         "driver has no queue management with memory providers, or the kernel lacks CONFIG_IO_URING_ZCRX; "
         "drivers that can: "
         "bnxt, mlx5, gve, fbnic, and netdevsim with kernel-patches/";
}

std::string NoMemory(const RegisterFacts& facts) {
  if (facts.memlock_limit.has_value() && *facts.memlock_limit < facts.pool_bytes) {
    return absl::StrCat("the region of ", facts.pool_bytes, " bytes exceeds RLIMIT_MEMLOCK (",
                        *facts.memlock_limit,
                        "); fix: raise it (ulimit -l, LimitMEMLOCK= of systemd) or give CAP_IPC_LOCK");
  }
  return absl::StrCat("no memory to pin a region of ", facts.pool_bytes,
                      " bytes; fix: a smaller PoolOptions::bytes, or a higher RLIMIT_MEMLOCK");
}

std::string Exists(const RegisterFacts& facts) {
  if (facts.xdp_attached == true) {
    return absl::StrCat("an XDP program is attached; fix: ip link set ", facts.interface, " xdp off");
  }
  return absl::StrCat(
      "the queue has a memory provider already: another process uses it, or one that has died is still being "
      "cleaned up; fix: take another queue, end that process, or raise busy_timeout");
}

std::string OutOfRange(const RegisterFacts& facts) {
  if (facts.rx_queues.has_value() && facts.rx_queue >= *facts.rx_queues) {
    return absl::StrCat("the interface has ", *facts.rx_queues,
                        " rx queues, numbered from 0; fix: take one of them, or ethtool -L ", facts.interface,
                        " to have more");
  }
  if (facts.buffer_bytes != facts.page_bytes) {
    return absl::StrCat("the region's memory is not contiguous enough for pieces of ", facts.buffer_bytes,
                        " bytes; fix: PoolOptions::pages = PoolPages::kHuge");
  }
  return "the rx queue does not exist, or the layout of the refill ring's region was refused";
}

std::string CauseAndFix(int error, const RegisterFacts& facts) {
  switch (error) {
    case EPERM:
      return "CAP_NET_ADMIN in the initial user namespace is needed; fix: run as root, or setcap "
             "cap_net_admin,cap_ipc_lock+ep on "
             "the program";
    case EINVAL:
      return InvalidArgument(facts);
    case EEXIST:
      return Exists(facts);
    case EBUSY:
      return "the queue is in use by AF_XDP, or leased to a virtual interface, or (Linux 6.15) this ring has "
             "an interface queue "
             "already; fix: take another queue";
    case ERANGE:
      return OutOfRange(facts);
    case EOPNOTSUPP:
      return NotSupported(facts);
    case ENODEV:
      return "no such interface in this network namespace; fix: see `ip link`, or run inside the right "
             "namespace (ip netns exec)";
    case ENODATA:
      return "the driver did not use the memory it was given for this queue; it may support memory providers "
             "only with other "
             "settings (channels, ring sizes, header split)";
    case ENOMEM:
      return NoMemory(facts);
    case EFAULT:
      return "the region could not be pinned: its memory must be writable and private to the process";
    case E2BIG:
    case EOVERFLOW:
      return facts.rbuf_ring
                 ? "the memory of the refill and rbuf rings is too large; fix: smaller refill_entries and "
                   "rbuf_entries"
                 : "the refill ring's region is too large; fix: a smaller refill_entries";
    case ENETDOWN:
      return absl::StrCat("the interface is down; fix: ip link set ", facts.interface, " up");
    case EPROTO:
      return absl::StrCat("the kernel laid out the refill ring ", facts.rbuf_ring ? "or the rbuf ring " : "",
                          "in a way this version of zcrx does not know; fix: a newer zcrx");
    case ENOSYS:
      return "this kernel has no io_uring registration; a seccomp filter may hide it";
    default:
      return "the driver refused to restart the queue; its reason may be in the kernel log (dmesg)";
  }
}

}  // namespace

absl::Status RegisterError(int error, const RegisterFacts& facts) {
  return ErrnoStatus(error, absl::StrCat("zero-copy receive on ", facts.interface, " rx queue ",
                                         facts.rx_queue, DriverOf(facts), ": ", CauseAndFix(error, facts)));
}

bool WorthRetrying(int error, const RegisterFacts& facts) {
  return error == EEXIST && facts.xdp_attached != true;
}

}  // namespace zcrx::inline v0::internal
