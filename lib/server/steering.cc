// SPDX-License-Identifier: Apache-2.0
#include "lib/server/steering.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// BPF_ADD and BPF_K are 0, which a linter takes for a mistake where all three are together.
constexpr uint16_t kAdd = BPF_ALU;

sock_filter Instruction(uint16_t code, uint32_t operand, uint8_t if_true = 0, uint8_t if_false = 0) {
  return {.code = code, .jt = if_true, .jf = if_false, .k = operand};
}

}  // namespace

absl::Status SteerByQueue(int fd, std::span<const uint32_t> rx_queues, uint32_t each) {
  std::vector<sock_filter> program;
  // What the kernel calls the packet's queue is one more than the rx queue; 0 is none
  // (skb_record_rx_queue()).
  program.push_back(Instruction(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF) + SKF_AD_QUEUE));
  for (uint32_t i = 0; i < rx_queues.size(); ++i) {
    // Not by the flow's hash: many a driver leaves it out, and RSS has used its low bits to choose the queue.
    program.push_back(Instruction(BPF_JMP | BPF_JEQ | BPF_K, rx_queues[i] + 1, 0, 4));
    program.push_back(
        Instruction(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF) + SKF_AD_RANDOM));
    program.push_back(Instruction(BPF_ALU | BPF_MOD | BPF_K, each));
    program.push_back(Instruction(kAdd, i * each));
    program.push_back(Instruction(BPF_RET | BPF_A, 0));
  }
  // No socket has this number: the kernel then takes one by the flow's hash.
  program.push_back(Instruction(BPF_RET | BPF_K, UINT32_MAX));
  const sock_fprog filter = {.len = static_cast<uint16_t>(program.size()), .filter = program.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)) != 0)
    return ErrnoStatus(errno, "steering connections by rx queue (SO_ATTACH_REUSEPORT_CBPF)");
  return absl::OkStatus();
}

}  // namespace zcrx::inline v0::internal
