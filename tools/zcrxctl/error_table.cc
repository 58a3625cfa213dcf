// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/error_table.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace zcrx::ctl {
namespace {

using enum Operation;

constexpr int kMostErrno = 133;

constexpr Meaning kMeanings[] = {
    // --- Runtime::Create() ---------------------------------------------------------------
    {EPERM, kRegister, "no `CAP_NET_ADMIN` in the initial user namespace",
     "run as root, or `setcap cap_net_admin,cap_ipc_lock+ep PROGRAM`", "no-capability"},
    {EPERM, kRegister, "the sysctl `kernel.io_uring_disabled`, or a seccomp filter, forbids io_uring",
     "`sysctl -w kernel.io_uring_disabled=0`", "io-uring-disabled"},
    {EINVAL, kRegister, "header/data split is off, or was never set",
     "`zcrxctl set-split IF on`, or `ethtool -G IF tcp-data-split on`",
     "header-split-off header-split-unknown"},
    {EINVAL, kRegister, "header/data split has a threshold",
     "`zcrxctl set-split IF on`, or `ethtool -G IF hds-thresh 0` with an ethtool that knows it (6.14 does "
     "not)",
     "header-split-threshold"},
    {EINVAL, kRegister, "pieces of more than a page before Linux 7.0", "`buffer_bytes` = page size", ""},
    {EEXIST, kRegister, "the queue has an owner, or one that is being cleaned up",
     "another queue; end the owner; a longer `busy_timeout`", "queue-owned no-free-queue"},
    {EEXIST, kRegister, "an XDP program is attached", "`ip link set IF xdp off`", "xdp-attached"},
    {EBUSY, kRegister, "AF_XDP uses the queue, or it is leased, or (6.15) the ring has a queue already",
     "another queue", "queue-xsk queue-lease"},
    {ERANGE, kRegister, "no such rx queue", "an existing one, or `ethtool -L`",
     "no-such-queue too-few-channels"},
    {ERANGE, kRegister, "memory not contiguous enough for large pieces", "`PoolPages::kHuge`", ""},
    {EOPNOTSUPP, kRegister,
     "the interface has no DMA device (virtual), its driver has no memory providers, or the kernel lacks "
     "`CONFIG_IO_URING_ZCRX`",
     "a NIC that can", "no-dma-device driver-unknown kernel-config"},
    {ENODATA, kRegister, "the driver ignored the memory it was given",
     "other channel, ring or split settings", ""},
    {ENOMEM, kRegister, "`RLIMIT_MEMLOCK`, or no memory", "`ulimit -l`, `CAP_IPC_LOCK`, a smaller region",
     "memlock-too-low"},
    {ENOMEM, kRegister, "huge pages are not reserved", "`sysctl vm.nr_hugepages=N`", ""},
    {EOPNOTSUPP, kRegister, "`InterfaceQueueOptions::share` was given, and the kernel cannot share a queue",
     "a runtime for each queue; Linux 6.19, or `kernel-patches/linux-6.12`", ""},
    {EOPNOTSUPP, kRegister, "`CompletionRing::kRbufRing` was asked for, and the kernel has no rbuf ring",
     "`kAuto`, or a kernel with `kernel-patches/linux-6.12`", ""},
    {ENODEV, kRegister, "no such interface in this network namespace", "`ip link`, `ip netns exec`",
     "no-such-interface wrong-namespace"},
    {EFAULT, kRegister, "the region cannot be pinned", "private, writable memory", ""},
    {ENETDOWN, kRegister, "the interface is down", "`ip link set IF up`", "interface-down"},
    {ENOSYS, kRegister, "the kernel has no io_uring, or a seccomp filter hides it",
     "a kernel with `CONFIG_IO_URING`", "kernel-too-old"},
    // The same call, made by hand.
    {EINVAL, kRegister, "the kernel has no zero-copy receive", "Linux 6.15; or `kernel-patches/linux-6.12`",
     "kernel-too-old"},
    {EINVAL, kRegister,
     "the io_uring lacks `IORING_SETUP_DEFER_TASKRUN`, or has neither `CQE32` nor `CQE_MIXED`",
     "set it up with them", ""},
    {EINVAL, kRegister, "a reserved field, an id or token to be returned, or an unknown flag is not 0",
     "zero the structs, then fill in what is documented", ""},
    {EINVAL, kRegister, "`rq_entries` is 0, or more than 32768 without `IORING_SETUP_CLAMP`", "1 to 32768",
     ""},
    {EINVAL, kRegister,
     "region or area is not aligned to pages, or the region is too small for the refill ring",
     "whole pages, and one to spare for the ring's header", ""},
    {EEXIST, kRegister, "the calling thread is not the one that submits to the ring",
     "register on the ring's own thread", ""},
    {EFAULT, kRegister,
     "a pointer of the request is wrong, or `user_addr` does not go with the region's type",
     "see `struct io_uring_region_desc`", ""},
    {E2BIG, kRegister, "the region of the refill ring is too large", "a smaller `refill_entries`", ""},
    {EOVERFLOW, kRegister, "the region of the refill ring is too large", "a smaller `refill_entries`", ""},
    // --- Streams -------------------------------------------------------------------------
    {ENOSPC, kRecv, "the completion queue or the rbuf ring is full",
     "none needed: zcrx empties it and arms again, and nothing is lost", ""},
    {ENOMEM, kRecv, "for half a minute no piece was free to copy to: the region is too small, or held",
     "a larger region; drop buffers earlier", ""},
    {ENOMEM, kRecv, "no piece is free for what the kernel must copy",
     "none needed: zcrx gives back, makes the kernel take it, and arms again", ""},
    {ENOBUFS, kRecv, "on the copy path no buffer is free",
     "none needed: zcrx gives back, makes the kernel take it, and arms again", ""},
    {ENOMEM, kRecv, "no memory to send without a copy", "none needed: zcrx sends by a copy", ""},
    {ENOBUFS, kRecv, "no memory to send without a copy", "none needed: zcrx sends by a copy", ""},
    {EFAULT, kRecv,
     "packets of the connection arrived on a queue that another ring owns: two flow rules disagree",
     "`zcrxctl doctor IF --queue=N --port=P`", "rule-elsewhere rss-spills"},
    {ECONNRESET, kRecv, "the connection failed; all bytes that arrived before have been given",
     "connect again", ""},
    {ETIMEDOUT, kRecv, "the connection failed; all bytes that arrived before have been given",
     "connect again", ""},
    {ECANCELED, kRecv, "the stream was closed, or its runtime ends", "nothing is wrong", ""},
    {EPROTONOSUPPORT, kRecv, "zero copy on something that is not plain TCP (kTLS, MPTCP, sockmap)",
     "plain TCP, or `kCopy`", ""},
    {EINVAL, kRecv, "the kernel has no zero-copy receive", "Linux 6.15; or `kernel-patches/linux-6.12`",
     "kernel-too-old"},
    {EINVAL, kRecv,
     "the request is not multishot, has a field that must be 0, or names no zcrx id of its ring",
     "`IORING_RECV_MULTISHOT`, and `zcrx_ifq_idx` as the registration returned it", ""},
    {EINVAL, kRecv, "the ring is set up for polling (`IORING_SETUP_IOPOLL`)", "a ring without it", ""},
    {EOPNOTSUPP, kRecv, "`IOSQE_BUFFER_SELECT` is set", "leave it out", ""},
    {ENOTCONN, kRecv, "the socket listens, or was never connected", "a connected one", ""},
    {ENOTSOCK, kRecv, "the descriptor is not of a socket", "a TCP socket", ""},
    {EBADF, kRecv, "there is no such descriptor", "one that is open", ""},
    {EINTR, kRecv, "a signal came", "arm again", ""},
    // --- IORING_REGISTER_ZCRX_CTRL -------------------------------------------------------
    {EOPNOTSUPP, kCtrl,
     "the kernel does not know the operation (`FLUSH_RQ` and `EXPORT` came with Linux 6.19)",
     "a newer kernel, or `kernel-patches/linux-6.12`", "kernel-too-old"},
    {EINVAL, kCtrl,
     "`nr_args` or the payload is not 0 where it must be, or the event is not one that has fired",
     "zero the struct first", ""},
    {EFAULT, kCtrl, "the struct cannot be read, or a reserved field is not 0", "zero the struct first", ""},
    {ENXIO, kCtrl, "the ring has no such zcrx id", "the one that the registration returned", ""},
    {EPERM, kCtrl, "importing a queue wants `CAP_NET_ADMIN` again", "run as root", "no-capability"},
    {EBADF, kCtrl, "what is to be imported is not a descriptor that `EXPORT` gave", "that one", ""},
};

bool AnyOf(const char* wanted, const std::set<std::string>& findings) {
  for (const absl::string_view id : absl::StrSplit(wanted, ' ', absl::SkipEmpty())) {
    if (findings.contains(std::string(id))) return true;
  }
  return false;
}

}  // namespace

std::span<const Meaning> AllMeanings() { return kMeanings; }

std::vector<Ranked> MeaningsOf(int error, std::optional<Operation> operation,
                               const std::set<std::string>& findings) {
  std::vector<Ranked> ranked;
  for (const bool likely : {true, false}) {
    for (const Meaning& meaning : kMeanings) {
      if (meaning.error != error || operation.value_or(meaning.operation) != meaning.operation) continue;
      if (AnyOf(meaning.findings, findings) == likely)
        ranked.push_back({.meaning = &meaning, .likely = likely});
    }
  }
  return ranked;
}

std::optional<int> ParseErrno(const std::string& text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    // As the kernel and completions have them.
    number = std::abs(number);
    return number > 0 && number <= kMostErrno && strerrorname_np(number) != nullptr
               ? std::optional<int>(number)
               : std::nullopt;
  }
  for (int error = 1; error <= kMostErrno; ++error) {
    const char* name = strerrorname_np(error);
    if (name != nullptr && text == name) return error;
  }
  // Another name of the same number, by which it is called as often.
  return text == "EWOULDBLOCK" ? std::optional<int>(EAGAIN)
         : text == "ENOTSUP"   ? std::optional<int>(EOPNOTSUPP)
                               : std::nullopt;
}

const char* NameOf(Operation operation) {
  switch (operation) {
    case kRegister:
      return "register";
    case kRecv:
      return "recv";
    case kCtrl:
      break;
  }
  return "ctrl";
}

std::optional<Operation> FindOperation(const std::string& name) {
  for (const Operation operation : {kRegister, kRecv, kCtrl}) {
    if (name == NameOf(operation)) return operation;
  }
  return std::nullopt;
}

}  // namespace zcrx::ctl
