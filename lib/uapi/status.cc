// SPDX-License-Identifier: Apache-2.0
#include "zcrx/status.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace zcrx::inline v0 {
namespace {

constexpr char kErrnoPayload[] = "zcrx/errno";

// absl::ErrnoToStatus() came after the Abseil of Debian 12.
absl::StatusCode CodeOf(int error) {
  switch (error) {
    case EINVAL:
    case EFAULT:
    case E2BIG:
    case EDESTADDRREQ:
    case EPROTOTYPE:
      return absl::StatusCode::kInvalidArgument;
    case ENODEV:
    case ENOENT:
    case ENXIO:
    case ESRCH:
      return absl::StatusCode::kNotFound;
    case EEXIST:
    case EADDRINUSE:
    case EALREADY:
      return absl::StatusCode::kAlreadyExists;
    case EPERM:
    case EACCES:
      return absl::StatusCode::kPermissionDenied;
    case EBADF:
    case EBUSY:
    case EISCONN:
    case ENODATA:
    case ENOTCONN:
    case ENOTSOCK:
    case EPIPE:
      return absl::StatusCode::kFailedPrecondition;
    case ENOMEM:
    case ENOSPC:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
    case EMLINK:
      return absl::StatusCode::kResourceExhausted;
    case EFBIG:
    case ERANGE:
    case EOVERFLOW:
      return absl::StatusCode::kOutOfRange;
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return absl::StatusCode::kUnimplemented;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENETUNREACH:
    case EINTR:
      return absl::StatusCode::kUnavailable;
    case ECANCELED:
      return absl::StatusCode::kCancelled;
    case ETIME:
    case ETIMEDOUT:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return absl::StatusCode::kUnknown;
  }
}

std::errc ErrcOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return std::errc::operation_canceled;
    case absl::StatusCode::kInvalidArgument:
      return std::errc::invalid_argument;
    case absl::StatusCode::kDeadlineExceeded:
      return std::errc::timed_out;
    case absl::StatusCode::kNotFound:
      return std::errc::no_such_file_or_directory;
    case absl::StatusCode::kAlreadyExists:
      return std::errc::file_exists;
    case absl::StatusCode::kPermissionDenied:
      return std::errc::operation_not_permitted;
    case absl::StatusCode::kResourceExhausted:
      return std::errc::not_enough_memory;
    case absl::StatusCode::kFailedPrecondition:
      return std::errc::device_or_resource_busy;
    case absl::StatusCode::kOutOfRange:
      return std::errc::result_out_of_range;
    case absl::StatusCode::kUnimplemented:
      return std::errc::operation_not_supported;
    case absl::StatusCode::kUnavailable:
      return std::errc::resource_unavailable_try_again;
    default:
      return std::errc::io_error;
  }
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view message) {
  if (error == 0) return absl::OkStatus();
  absl::Status status(CodeOf(error),
                      absl::StrCat(absl::string_view(message.data(), message.size()), ": ", strerror(error)));
  // By a string_view: Cord's constructor from std::string is a template, whose name clang and the g++ that
  // built Abseil mangle differently.
  status.SetPayload(kErrnoPayload, absl::Cord(absl::string_view(absl::StrCat(error))));
  return status;
}

int ErrnoOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  int error = 0;
  if (payload.has_value() && !absl::SimpleAtoi(std::string(*payload), &error)) return 0;
  return error;
}

std::error_code ToErrorCode(const absl::Status& status) {
  if (status.ok()) return {};
  if (const int error = ErrnoOf(status); error != 0) return {error, std::generic_category()};
  return std::make_error_code(ErrcOf(status.code()));
}

}  // namespace zcrx::inline v0
