// SPDX-License-Identifier: Apache-2.0
//
// Static probes (USDT) of the provider "zcrx": places in the running library that
// bpftrace, perf and SystemTap can look at, for the price of one nop each.
//
//   ZCRX_PROBE2(copied_out, stream, bytes);
//
// docs/guide.md has all of them with what they give. Nothing where the build found
// no sys/sdt.h. Arguments are integers that are at hand: they are evaluated always.
#ifndef ZCRX_LIB_UAPI_PROBE_H_
#define ZCRX_LIB_UAPI_PROBE_H_

#ifdef ZCRX_HAVE_SYS_SDT_H

#include <sys/sdt.h>

#define ZCRX_PROBE1(name, a) DTRACE_PROBE1(zcrx, name, a)
#define ZCRX_PROBE2(name, a, b) DTRACE_PROBE2(zcrx, name, a, b)
#define ZCRX_PROBE3(name, a, b, c) DTRACE_PROBE3(zcrx, name, a, b, c)

#else

namespace zcrx::inline v0::internal {
// What is there for a probe only counts as used.
template <typename... Arguments>
void NoProbe(const Arguments&...) {}
}  // namespace zcrx::inline v0::internal

#define ZCRX_PROBE1(name, a) ::zcrx::internal::NoProbe(a)
#define ZCRX_PROBE2(name, a, b) ::zcrx::internal::NoProbe(a, b)
#define ZCRX_PROBE3(name, a, b, c) ::zcrx::internal::NoProbe(a, b, c)

#endif

#endif  // ZCRX_LIB_UAPI_PROBE_H_
