// SPDX-License-Identifier: Apache-2.0
//
// For scenarios: loads an XDP program that passes everything and pins it to a file,
// from where "ip link set IF xdpgeneric pinned FILE" attaches it.
//
// usage: pin_xdp FILE
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "tests/guest/guest.h"

int main(int argc, char** argv) {
  const int program = argc == 2 ? zcrx::LoadXdp() : -1;
  bpf_attr pin = {};
  pin.pathname = reinterpret_cast<uint64_t>(argv[1]);
  pin.bpf_fd = static_cast<uint32_t>(program);
  if (program >= 0 && syscall(SYS_bpf, BPF_OBJ_PIN, &pin, sizeof(pin)) == 0) return 0;
  perror("pin_xdp");
  return 1;
}
