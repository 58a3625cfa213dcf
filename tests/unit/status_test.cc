// SPDX-License-Identifier: Apache-2.0
#include "zcrx/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace zcrx {
namespace {

TEST(StatusTest, CarriesTheErrno) {
  const absl::Status status = ErrnoStatus(ECONNRESET, "receive");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "receive: Connection reset by peer");
  EXPECT_EQ(ErrnoOf(status), ECONNRESET);
  EXPECT_EQ(ToErrorCode(status), std::errc::connection_reset);
}

TEST(StatusTest, ZeroIsOk) {
  EXPECT_TRUE(ErrnoStatus(0, "anything").ok());
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), 0);
  EXPECT_FALSE(ToErrorCode(absl::OkStatus()));
}

TEST(StatusTest, StatusesOfOthersHaveNoErrnoButACategory) {
  const absl::Status status = absl::DeadlineExceededError("late");
  EXPECT_EQ(ErrnoOf(status), 0);
  EXPECT_EQ(ToErrorCode(status), std::errc::timed_out);
}

TEST(StatusTest, CancelledIsCancelled) {
  EXPECT_TRUE(absl::IsCancelled(ErrnoStatus(ECANCELED, "x")));
  EXPECT_TRUE(absl::IsPermissionDenied(ErrnoStatus(EPERM, "x")));
  EXPECT_TRUE(absl::IsUnimplemented(ErrnoStatus(EOPNOTSUPP, "x")));
}

}  // namespace
}  // namespace zcrx
