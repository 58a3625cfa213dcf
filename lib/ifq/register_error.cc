// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/register_error.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

std::string DriverOf(const RegisterFacts& facts) {
  return facts.driver.empty() ? "" : absl::StrCat(" (driver ", facts.driver, ")");
}

bool Found(const RegisterFacts& facts, std::initializer_list<std::string_view> ids) {
  return std::any_of(facts.findings.begin(), facts.findings.end(), [ids](const netdev::Finding& finding) {
    return std::find(ids.begin(), ids.end(), finding.id) != ids.end();
  });
}

// Most refusals of a queue that exists are -EINVAL: header split comes first, as it is the usual one.
std::string InvalidArgument(const RegisterFacts& facts) {
  if (Found(facts, {"header-split-off", "header-split-unknown", "header-split-threshold"}))
    return "the kernel wants header/data split, of every packet";
  if (facts.buffer_bytes != facts.page_bytes) {
    return absl::StrCat("pieces of ", facts.buffer_bytes, " bytes are refused",
                        facts.kernel_knows_large_buffers
                            ? absl::StrCat(" by ", facts.interface, DriverOf(facts))
                            : ": this kernel takes one page only (larger ones came with Linux 7.0)",
                        "; fix: PoolOptions::buffer_bytes = ", facts.page_bytes);
  }
  return absl::StrCat(
      "the kernel refuses the request; the usual cause: header/data split was not set, even if the driver "
      "reports it as its default; fix: ethtool -G ",
      facts.interface, " tcp-data-split on",
      facts.rbuf_ring ? "; if it was, the rbuf ring is refused; fix: InterfaceQueueOptions::completion = "
                        "CompletionRing::kMainCq"
                      : "");
}

std::string NotSupported(const RegisterFacts& facts) {
  if (facts.buffer_bytes != facts.page_bytes && !Found(facts, {"no-dma-device", "driver-unknown"})) {
    return absl::StrCat("either the driver cannot receive into pieces of ", facts.buffer_bytes,
                        " bytes (fix: PoolOptions::buffer_bytes = ", facts.page_bytes,
                        "), or it has no memory providers at all, or the kernel lacks CONFIG_IO_URING_ZCRX");
  }
  return "the interface cannot receive into memory of an application: it has no DMA device (virtual "
         "interfaces), or its driver has no queue management with memory providers, or the kernel lacks "
         "CONFIG_IO_URING_ZCRX; drivers that can: bnxt, mlx5, gve, fbnic, and netdevsim with kernel-patches/";
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
  if (Found(facts, {"xdp-attached"})) return "an XDP program is in the way";
  return "the queue has a memory provider already: another process uses it, or one that has died is still "
         "being cleaned up; fix: take another queue, end that process, or raise busy_timeout";
}

std::string OutOfRange(const RegisterFacts& facts) {
  if (Found(facts, {"no-such-queue"})) return "there is no such queue";
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
      return "the interface is not there, or was being removed";
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
      return "the interface is down";
    case EPROTO:
      return absl::StrCat("the kernel laid out the refill ring ", facts.rbuf_ring ? "or the rbuf ring " : "",
                          "in a way this version of zcrx does not know; fix: a newer zcrx");
    case ENOSYS:
      return "this kernel has no io_uring registration; a seccomp filter may hide it";
    default:
      return "the driver refused to restart the queue; its reason may be in the kernel log (dmesg)";
  }
}

// Each with its command, in the order of the doctor.
std::string Findings(const RegisterFacts& facts) {
  if (facts.findings.empty()) return "";
  return absl::StrCat(
      "; found: ", absl::StrJoin(facts.findings, "; ", [](std::string* out, const netdev::Finding& finding) {
        absl::StrAppend(out, finding.what, finding.fix.empty() ? "" : "; fix: ", finding.fix);
      }));
}

}  // namespace

absl::Status RegisterError(int error, const RegisterFacts& facts) {
  return ErrnoStatus(error,
                     absl::StrCat("zero-copy receive on ", facts.interface, " rx queue ", facts.rx_queue,
                                  DriverOf(facts), ": ", CauseAndFix(error, facts), Findings(facts)));
}

}  // namespace zcrx::inline v0::internal
