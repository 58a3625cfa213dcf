// SPDX-License-Identifier: Apache-2.0
//
// Asks the kernel what it supports: IORING_REGISTER_QUERY.
#ifndef ZCRX_LIB_UAPI_QUERY_H_
#define ZCRX_LIB_UAPI_QUERY_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "lib/uapi/zcrx.h"

namespace zcrx::inline v0::uapi {

// Fills `answer`; needs no ring (fd -1). False on kernels before 6.18 (-EINVAL)
// and for topics the kernel does not know.
template <typename Answer>
bool Query(uint32_t topic, Answer& answer) {
  QueryHeader header = {};
  header.query_data = reinterpret_cast<uint64_t>(&answer);
  header.query_op = topic;
  header.size = sizeof(answer);
  if (syscall(__NR_io_uring_register, -1, kRegisterQuery, &header, 0) < 0) return false;
  return header.result == 0;
}

}  // namespace zcrx::inline v0::uapi

#endif  // ZCRX_LIB_UAPI_QUERY_H_
