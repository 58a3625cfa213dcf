// SPDX-License-Identifier: Apache-2.0
//
// Servers without any capability. Registering an interface queue takes
// CAP_NET_ADMIN; receiving from it takes none. So a launcher that has it prepares
// the queues, drops it and executes the server, which inherits them as file
// descriptors, in the manner of LISTEN_FDS. `zcrxctl run` is such a launcher; to
// be one oneself:
//
//   absl::StatusOr<zcrx::PreparedQueue> queue = zcrx::PreparedQueue::Create(options);  // as for a Runtime
//   if (!queue.ok()) return queue.status();
//   if (fork() == 0) {
//     // in the child, which has one thread: drop capabilities, change the user, and then
//     if (!zcrx::PassOn({&*queue, 1}).ok()) _exit(1);
//     execv("/usr/bin/server", arguments);
//   }
//   *queue = zcrx::PreparedQueue();  // now it is the server's alone, and ends with it
//
// The server says which of the inherited queues a runtime receives from:
//
//   zcrx::RuntimeOptions options;
//   options.interface_queue = {.inherited = 0};
//   absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
//
// The environment variable ZCRX_INHERIT has "PID:RING,QUEUE,RINGS,REGION;..." : the
// process that it is meant for, and for each queue the descriptors of the io_uring
// (created disabled, enabled by whoever receives), of the queue's description, of
// the memory of its rings, and of the pool region (sealed memory files).
// Launcher and server must have the same version of this library.
#ifndef ZCRX_INHERIT_H_
#define ZCRX_INHERIT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/runtime.h"

namespace zcrx::inline v0 {

// A registered interface queue that nobody receives from yet. Move-only; the kernel
// frees the queue when this is gone, and with it whoever has inherited it.
class PreparedQueue {
 public:
  // `options` as for Runtime::Create(), of which those of the interface queue, its region and the sizes of
  // the rings count. Errors as Runtime::Create() with ReceiveMode::kZeroCopy.
  static absl::StatusOr<PreparedQueue> Create(const RuntimeOptions& options);

  PreparedQueue();
  PreparedQueue(PreparedQueue&&) noexcept;
  PreparedQueue& operator=(PreparedQueue&&) noexcept;
  ~PreparedQueue();

 private:
  friend absl::Status PassOn(std::span<const PreparedQueue> queues);
  struct State;

  std::unique_ptr<State> state_;
};

// Lets the program that this process executes next inherit the queues, which are numbered from 0 there: sets
// ZCRX_INHERIT, and leaves the descriptors open. To be called in the process that executes it, which has the
// same pid then. Not thread-safe, as setenv(3) is not.
absl::Status PassOn(std::span<const PreparedQueue> queues);

struct InheritedQueue {
  std::string interface;
  uint32_t rx_queue = 0;
};

// Those that this process has inherited; none if no launcher has passed any on. INVALID_ARGUMENT if the
// variable, or a descriptor in it, is not what a launcher of this version writes. Thread-safe.
absl::StatusOr<std::vector<InheritedQueue>> InheritedQueues();

}  // namespace zcrx::inline v0

#endif  // ZCRX_INHERIT_H_
