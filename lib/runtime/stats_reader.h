// SPDX-License-Identifier: Apache-2.0
//
// The reading side of zcrx/stats_page.h, for one file. What is in it may have been
// made up by anybody.
#ifndef ZCRX_LIB_RUNTIME_STATS_READER_H_
#define ZCRX_LIB_RUNTIME_STATS_READER_H_

#include "absl/status/statusor.h"
#include "zcrx/stats_page.h"

namespace zcrx::inline v0::internal {

// Of the memory file `fd`. Errors are those of PublishedStats::page. Waits for a writer some milliseconds at
// most.
absl::StatusOr<StatsPage> ReadStatsPage(int fd);

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RUNTIME_STATS_READER_H_
