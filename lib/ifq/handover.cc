// SPDX-License-Identifier: Apache-2.0
#include "lib/ifq/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "zcrx/inherit.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {
namespace {

absl::Status Malformed(const std::string& value) {
  return absl::InvalidArgumentError(
      absl::StrCat(kInheritVariable, "=\"", value, "\" is not what a launcher writes (see zcrx/inherit.h)"));
}

// Those of this process; empty if the variable is not set or meant for another.
absl::StatusOr<std::vector<QueueFds>> FindQueues() {
  const char* value = getenv(kInheritVariable);
  if (value == nullptr) return std::vector<QueueFds>();
  return ParseInheritValue(value, getpid());
}

}  // namespace

std::string InheritValue(int pid, const std::vector<QueueFds>& queues) {
  return absl::StrCat(pid, ":", absl::StrJoin(queues, ";", [](std::string* text, const QueueFds& fds) {
                        absl::StrAppend(text, absl::StrJoin(fds.all(), ","));
                      }));
}

absl::StatusOr<std::vector<QueueFds>> ParseInheritValue(const std::string& value, int pid) {
  const std::vector<std::string> parts = absl::StrSplit(value, ':');
  int meant_for = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &meant_for)) return Malformed(value);
  // A child of a server must not take what is the server's.
  if (meant_for != pid) return std::vector<QueueFds>();
  std::vector<QueueFds> queues;
  for (const auto part : absl::StrSplit(parts[1], ';')) {
    const std::vector<std::string> numbers = absl::StrSplit(part, ',');
    QueueFds& fds = queues.emplace_back();
    if (numbers.size() != fds.all().size() || !absl::SimpleAtoi(numbers[0], &fds.ring) ||
        !absl::SimpleAtoi(numbers[1], &fds.description) || !absl::SimpleAtoi(numbers[2], &fds.rings) ||
        !absl::SimpleAtoi(numbers[3], &fds.region)) {
      return Malformed(value);
    }
  }
  return queues;
}

absl::StatusOr<int> WriteDescription(const QueueDescription& description) {
  const int fd = memfd_create("zcrx-queue", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return ErrnoStatus(errno, "memfd_create");
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (write(fd, &description, sizeof(description)) != static_cast<ssize_t>(sizeof(description)) ||
      fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(error, "describing the interface queue");
  }
  return fd;
}

absl::StatusOr<QueueDescription> ReadDescription(int fd) {
  QueueDescription description;
  const ssize_t bytes = pread(fd, &description, sizeof(description), 0);
  if (bytes < 0) return ErrnoStatus(errno, absl::StrCat(kInheritVariable, ": descriptor ", fd));
  if (static_cast<size_t>(bytes) != sizeof(description) || description.magic != QueueDescription::kMagic ||
      description.bytes != sizeof(description)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kInheritVariable, ": descriptor ", fd,
                     " is no queue of this version of zcrx; fix: launcher and server of the same"));
  }
  description.interface.back() = '\0';
  return description;
}

absl::StatusOr<TakenQueue> TakeInheritedQueue(uint32_t number) {
  const absl::StatusOr<std::vector<QueueFds>> queues = FindQueues();
  if (!queues.ok()) return queues.status();
  if (number >= queues->size()) {
    return absl::OutOfRangeError(absl::StrCat("InterfaceQueueOptions::inherited is ", number, ", and ",
                                              queues->size(),
                                              " queues were inherited; fix: start by `zcrxctl run`"));
  }
  const QueueFds& fds = (*queues)[number];
  absl::StatusOr<QueueDescription> description = ReadDescription(fds.description);
  if (!description.ok()) return description.status();
  // Their numbers are other files' once a runtime has closed them.
  static std::mutex mutex;
  static std::set<uint32_t> taken;
  const std::lock_guard lock(mutex);
  if (!taken.insert(number).second) {
    return absl::FailedPreconditionError(
        absl::StrCat("the inherited queue ", number, " has been used by a runtime"));
  }
  return TakenQueue{.fds = fds, .description = *description};
}

}  // namespace internal

absl::StatusOr<std::vector<InheritedQueue>> InheritedQueues() {
  const absl::StatusOr<std::vector<internal::QueueFds>> queues = internal::FindQueues();
  if (!queues.ok()) return queues.status();
  std::vector<InheritedQueue> list;
  for (const internal::QueueFds& fds : *queues) {
    const absl::StatusOr<internal::QueueDescription> description = internal::ReadDescription(fds.description);
    if (!description.ok()) return description.status();
    list.push_back({.interface = description->interface.data(), .rx_queue = description->rx_queue});
  }
  return list;
}

}  // namespace zcrx::inline v0
