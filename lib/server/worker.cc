// SPDX-License-Identifier: Apache-2.0
#include "lib/server/worker.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/runtime/runtime_core.h"
#include "zcrx/status.h"
#include "zcrx/timer.h"

namespace zcrx::inline v0::internal {
namespace {

constexpr auto kForever = std::chrono::nanoseconds::max();
// After EMFILE and the like.
constexpr auto kAcceptPause = std::chrono::milliseconds(10);
// The kernel may have a connection ready that the ring has not told of.
constexpr auto kLastAccept = std::chrono::milliseconds(1);

absl::Status PinTo(const std::vector<uint32_t>& cpus) {
  if (cpus.empty()) return absl::OkStatus();
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint32_t cpu : cpus) {
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  }
  // EINVAL: there are no such CPUs, or the process may not use them.
  if (sched_setaffinity(0, sizeof(set), &set) != 0)
    return ErrnoStatus(errno, absl::StrCat("ServerOptions::cpus: running on CPU ", absl::StrJoin(cpus, ",")));
  return absl::OkStatus();
}

}  // namespace

Worker::Worker(std::shared_ptr<RuntimeGroup> group, size_t index, const WorkerOptions& options,
               const Server::Handler& handler)
    : group_(std::move(group)),
      index_(index),
      handler_(handler),
      no_delay_(options.no_delay),
      rx_queue_(options.runtime.interface_queue.has_value() ? options.runtime.interface_queue->rx_queue : 0),
      thread_([this, options] { Main(options); }) {}

void Worker::Listen(int fd) {
  const bool posted = group_->Post(index_, [this, fd](Runtime& runtime) {
    absl::StatusOr<Listener> listener = Listener::Adopt(runtime, fd, {.no_delay = no_delay_});
    if (listener.ok()) listener_.emplace(*std::move(listener));
    listening_.Cancel();
  });
  if (!posted) close(fd);
}

void Worker::Drain(std::chrono::nanoseconds grace) {
  group_->Post(index_, [this, grace](Runtime&) {
    grace_ = grace;
    listening_.Cancel();
    accepting_.Cancel();
  });
}

absl::Status Worker::End() {
  group_->Post(index_, [this](Runtime&) { living_.Cancel(); });
  thread_.join();
  return result_;
}

ServerThreadStats Worker::stats() {
  const auto promise = std::make_shared<std::promise<ServerThreadStats>>();
  std::future<ServerThreadStats> future = promise->get_future();
  const bool posted =
      group_->Post(index_, [this, promise](Runtime& runtime) { promise->set_value(Look(runtime)); });
  if (!posted) return last_;
  return future.get();
}

// --- The worker's thread -----------------------------------------------------------

void Worker::Main(const WorkerOptions& options) {
  result_ = PinTo(options.cpus);
  absl::StatusOr<Runtime> runtime =
      result_.ok() ? Runtime::Create(options.runtime) : absl::StatusOr<Runtime>(result_);
  result_ = runtime.status();
  if (!runtime.ok()) {
    created_.set_value(result_);
    drained_.set_value(0);
    return;
  }
  runtime->core().set_membership({.group = group_, .index = index_});
  runtime->Spawn(Live(*runtime));
  group_->Join(index_, &*runtime);
  created_.set_value(absl::OkStatus());
  result_ = runtime->Run();
  last_ = Look(*runtime);
  group_->Leave(index_);
  // What had been posted by then runs: somebody waits for it.
  result_.Update(runtime->RunOnce(std::chrono::nanoseconds::zero()));
  // Only if the loop failed.
  if (!told_drained_) drained_.set_value(0);
}

Task<void> Worker::Live(Runtime& runtime) {
  TaskGroup connections(runtime);
  absl::Status waited = co_await WaitFor(listening_);
  if (listener_.has_value()) co_await AcceptUntilDrained(runtime, connections);
  listener_.reset();
  TaskGroup deadline(runtime);
  deadline.Spawn(CutOff(connections));
  waited = co_await connections.Wait();
  deadline.Cancel();
  waited = co_await deadline.Wait();
  told_drained_ = true;
  drained_.set_value(cut_off_);
  // Others may still have data in this runtime's region.
  waited = co_await WaitFor(living_);
}

Task<absl::Status> Worker::WaitFor(CancelSource& source) { return WithCancel(source, Sleep(kForever)); }

Task<void> Worker::AcceptUntilDrained(Runtime& runtime, TaskGroup& connections) {
  while (true) {
    const bool last = accepting_.cancelled();
    absl::StatusOr<Stream> peer = absl::CancelledError();
    if (last) {
      peer = co_await WithTimeout(kLastAccept, listener_->Accept());
    } else {
      peer = co_await WithCancel(accepting_, listener_->Accept());
    }
    if (peer.ok()) {
      ++accepted_;
      ++open_;
      connections.Spawn(Serve(runtime, *std::move(peer)));
    } else if (last) {
      co_return;
    } else if (!accepting_.cancelled()) {
      ++accept_errors_;
      const absl::Status slept = co_await WithCancel(accepting_, Sleep(kAcceptPause));
      (void)slept;
    }
  }
}

Task<void> Worker::CutOff(TaskGroup& connections) {
  const absl::Status slept = co_await Sleep(grace_);
  if (!slept.ok()) co_return;
  cut_off_ = open_;
  connections.Cancel();
}

Task<void> Worker::Serve(Runtime& runtime, Stream peer) {
  co_await handler_(runtime, std::move(peer));
  --open_;
}

ServerThreadStats Worker::Look(const Runtime& runtime) const {
  return {.rx_queue = rx_queue_,
          .accepted = accepted_,
          .open = open_,
          .accept_errors = accept_errors_,
          .receive_path = runtime.receive_path(),
          .runtime = runtime.stats()};
}

}  // namespace zcrx::inline v0::internal
