// SPDX-License-Identifier: Apache-2.0
#include "zcrx/features.h"

#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/uapi/query.h"
#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0 {
namespace {

void ReadQueries(KernelFeatures& features) {
  uapi::QueryZcrx zcrx = {};
  if (!uapi::Query(uapi::kQueryZcrx, zcrx)) return;
  features.query = true;
  features.flush_refill_ring = zcrx.nr_ctrl_opcodes > uapi::kCtrlFlushRq;
  features.shared_queues =
      zcrx.nr_ctrl_opcodes > uapi::kCtrlExport && (zcrx.register_flags & uapi::kRegImport) != 0;
  features.large_buffers = (zcrx.features & uapi::kFeatureRxPageSize) != 0;
  features.rbuf_ring = (zcrx.register_flags & uapi::kRegRbufCq) != 0;

  uapi::QueryZcrxEvent event = {};
  features.copy_stats = uapi::Query(uapi::kQueryZcrxEvent, event) && event.stats_size >= sizeof(uapi::Stats);
}

bool HasOpcode(const io_uring_probe* probe, unsigned opcode) {
  return opcode <= probe->last_op && (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED) != 0;
}

void ProbeOpcodes(io_uring& ring, KernelFeatures& features) {
  // Not io_uring_get_probe_ring(): it asks for at most 256 opcodes too, but frees
  // through a function of its own; one allocation here is simpler to own.
  constexpr unsigned kOpcodes = 256;
  std::vector<uint64_t> storage(
      (sizeof(io_uring_probe) + kOpcodes * sizeof(io_uring_probe_op)) / sizeof(uint64_t) + 1);
  auto* probe = reinterpret_cast<io_uring_probe*>(storage.data());
  if (io_uring_register_probe(&ring, probe, kOpcodes) < 0) return;
  features.zero_copy_send = HasOpcode(probe, IORING_OP_SEND_ZC);
  // Multishot recv is a flag that no probe shows; it came with SEND_ZC in 6.0.
  features.multishot_receive = features.zero_copy_send;
  features.zero_copy_receive = HasOpcode(probe, uapi::kOpRecvZc);
}

std::string MissingMost(const KernelFeatures& features) {
  if (!features.defer_taskrun) return "this kernel's io_uring lacks DEFER_TASKRUN; fix: Linux 6.1 or later";
  if (!features.zero_copy_receive) {
    return "this kernel has no zero-copy receive (IORING_OP_RECV_ZC); fix: Linux 6.15 or later with "
           "CONFIG_IO_URING_ZCRX, or Linux 6.12 with kernel-patches/linux-6.12";
  }
  return "";
}

}  // namespace

KernelFeatures ProbeKernel() {
  KernelFeatures features;
  io_uring ring;
  int error = io_uring_queue_init(2, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  features.defer_taskrun = error == 0;
  // -EINVAL: a kernel that does not know the flags; it may still have opcodes worth telling about.
  if (error == -EINVAL) error = io_uring_queue_init(2, &ring, 0);
  if (error < 0) {
    features.reason = absl::StrCat(
        "io_uring_setup: ", strerror(-error),
        error == -EPERM    ? "; the sysctl kernel.io_uring_disabled or a seccomp filter forbids it"
        : error == -ENOSYS ? "; the kernel was built without CONFIG_IO_URING or a seccomp filter hides it"
                           : "");
    return features;
  }
  features.io_uring = true;
  ProbeOpcodes(ring, features);
  io_uring_queue_exit(&ring);
  // The query answers even where zero-copy receive was configured out (query.c has no #ifdef):
  // ask the opcode first.
  if (features.zero_copy_receive) ReadQueries(features);
  features.reason = MissingMost(features);
  return features;
}

std::string KernelFeatures::Describe() const {
  if (!io_uring) return absl::StrCat("io_uring no (", reason, ")");
  std::vector<const char*> extras;
  if (query) extras.push_back("query");
  if (flush_refill_ring) extras.push_back("refill flush");
  if (shared_queues) extras.push_back("shared queues");
  if (large_buffers) extras.push_back("large buffers");
  if (copy_stats) extras.push_back("copy stats");
  if (rbuf_ring) extras.push_back("rbuf ring");
  const auto yes_no = [](bool has) { return has ? "yes" : "no"; };
  return absl::StrCat("io_uring yes, deferred task work ", yes_no(defer_taskrun), ", zero-copy receive ",
                      yes_no(zero_copy_receive),
                      extras.empty() ? "" : absl::StrCat(" (", absl::StrJoin(extras, ", "), ")"),
                      ", multishot receive ", yes_no(multishot_receive), ", zero-copy send ",
                      yes_no(zero_copy_send), reason.empty() ? "" : absl::StrCat("; ", reason));
}

}  // namespace zcrx::inline v0
