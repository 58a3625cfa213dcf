// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "lib/ifq/handover.h"
#include "lib/ifq/interface_queue.h"
#include "lib/ring/ring.h"
#include "zcrx/features.h"
#include "zcrx/inherit.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {

struct PreparedQueue::State {
  ~State() {
    if (description_fd >= 0) close(description_fd);
  }

  // In this order: the queue must outlive the ring.
  std::unique_ptr<internal::InterfaceQueue> queue;
  std::unique_ptr<internal::Ring> ring;
  int description_fd = -1;
};

PreparedQueue::PreparedQueue() = default;
PreparedQueue::PreparedQueue(PreparedQueue&&) noexcept = default;
PreparedQueue& PreparedQueue::operator=(PreparedQueue&&) noexcept = default;
PreparedQueue::~PreparedQueue() = default;

absl::StatusOr<PreparedQueue> PreparedQueue::Create(const RuntimeOptions& options) {
  if (!options.interface_queue.has_value()) {
    return absl::InvalidArgumentError(
        "RuntimeOptions::interface_queue is missing; fix: name interface and rx queue");
  }
  const KernelFeatures features = ProbeKernel();
  if (!features.zero_copy_receive) return absl::UnimplementedError(features.reason);
  auto state = std::make_unique<State>();
  auto ring = internal::Ring::Create(
      {.submission_entries = options.submission_entries,
       .completion_entries = options.completion_entries,
       .wide_completions = !internal::InterfaceQueue::UsesRbufRing(*options.interface_queue, features),
       .disabled = true});
  if (!ring.ok()) return ring.status();
  state->ring = *std::move(ring);
  // Nothing is ever out here that could come back.
  auto waker = internal::Waker::Create();
  if (!waker.ok()) return waker.status();
  auto queue =
      internal::InterfaceQueue::Prepare(*state->ring, *options.interface_queue, features, *std::move(waker));
  if (!queue.ok()) return queue.status();
  state->queue = *std::move(queue);
  const absl::StatusOr<int> description = internal::WriteDescription(state->queue->Describe());
  if (!description.ok()) return description.status();
  state->description_fd = *description;
  PreparedQueue prepared;
  prepared.state_ = std::move(state);
  return prepared;
}

absl::Status PassOn(std::span<const PreparedQueue> queues) {
  std::vector<internal::QueueFds> all;
  for (const PreparedQueue& queue : queues) {
    if (queue.state_ == nullptr) return absl::FailedPreconditionError("a PreparedQueue is empty");
    const internal::QueueFds& fds =
        all.emplace_back(internal::QueueFds{.ring = queue.state_->ring->fd(),
                                            .description = queue.state_->description_fd,
                                            .rings = queue.state_->queue->rings_fd(),
                                            .region = queue.state_->queue->region_fd()});
    for (const int fd : fds.all()) {
      if (fcntl(fd, F_SETFD, 0) != 0) return ErrnoStatus(errno, "letting a descriptor be inherited");
    }
  }
  if (setenv(internal::kInheritVariable, internal::InheritValue(getpid(), all).c_str(), 1) != 0)
    return ErrnoStatus(errno, "setenv");
  return absl::OkStatus();
}

}  // namespace zcrx::inline v0
