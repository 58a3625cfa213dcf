// SPDX-License-Identifier: Apache-2.0
//
// Errors of zcrx. Every function that can fail returns absl::Status or
// absl::StatusOr. A status that comes from a system call also carries the
// errno, so that a caller can branch on it without parsing text:
//
//   absl::StatusOr<zcrx::Stream> peer = co_await zcrx::Connect(runtime, address);
//   if (zcrx::ErrnoOf(peer.status()) == ECONNREFUSED) RetryLater();
//
// The message names the thing that failed and, where there is one, the fix.
#ifndef ZCRX_STATUS_H_
#define ZCRX_STATUS_H_

#include <string_view>
#include <system_error>

#include "absl/status/status.h"

namespace zcrx::inline v0 {

// The status for `error` (a positive errno value), with `message` before the
// errno's own text. `error` == 0 gives OkStatus(). Thread-safe.
absl::Status ErrnoStatus(int error, std::string_view message);

// The errno `status` carries, or 0 where it has none (OK statuses included).
// Thread-safe.
int ErrnoOf(const absl::Status& status);

// `status` as a std::error_code: of std::generic_category() where it carries an
// errno, else the closest one to its code. Thread-safe.
std::error_code ToErrorCode(const absl::Status& status);

}  // namespace zcrx::inline v0

#endif  // ZCRX_STATUS_H_
