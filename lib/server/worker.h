// SPDX-License-Identifier: Apache-2.0
//
// One thread of a server: its runtime, its listener, its connections.
#ifndef ZCRX_LIB_SERVER_WORKER_H_
#define ZCRX_LIB_SERVER_WORKER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "lib/runtime/runtime_group.h"
#include "zcrx/cancel.h"
#include "zcrx/listener.h"
#include "zcrx/runtime.h"
#include "zcrx/server.h"
#include "zcrx/task.h"
#include "zcrx/task_group.h"

namespace zcrx::inline v0::internal {

struct WorkerOptions {
  RuntimeOptions runtime;
  std::vector<uint32_t> cpus;  // where to run; empty: anywhere
  bool no_delay = true;
};

// Its life: Created(), Listen() if that went well, Drain(), Drained(), End(); all called by the server's
// user.
class Worker {
 public:
  // Starts the thread, which creates its runtime.
  Worker(std::shared_ptr<RuntimeGroup> group, size_t index, const WorkerOptions& options,
         const Server::Handler& handler);
  // After End().
  ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Waits for the runtime.
  absl::Status Created() { return created_.get_future().get(); }
  // Accepts connections from the socket `fd`, which it takes over.
  void Listen(int fd);
  // Stops accepting, and after `grace` cancels what is left.
  void Drain(std::chrono::nanoseconds grace);
  // Waits until all connections have ended. How many had to be cancelled.
  size_t Drained() { return drained_.get_future().get(); }
  // Ends the thread, once no other worker needs this one any more. How its loop ended.
  absl::Status End();
  // Waits for the thread to come by.
  ServerThreadStats stats();

 private:
  void Main(const WorkerOptions& options);
  Task<void> Live(Runtime& runtime);
  Task<void> AcceptUntilDrained(Runtime& runtime, TaskGroup& connections);
  Task<void> Serve(Runtime& runtime, Stream peer);
  Task<void> CutOff(TaskGroup& connections);
  Task<absl::Status> WaitFor(CancelSource& source);
  ServerThreadStats Look(const Runtime& runtime) const;

  const std::shared_ptr<RuntimeGroup> group_;
  const size_t index_;
  const Server::Handler& handler_;
  const bool no_delay_;
  const uint32_t rx_queue_;

  // Set by the worker's thread, each once.
  std::promise<absl::Status> created_;
  std::promise<size_t> drained_;

  // Of the worker's thread.
  CancelSource listening_;  // cancelled once there is a listener
  CancelSource accepting_;  // cancelled when there is to be none any more
  CancelSource living_;
  std::optional<Listener> listener_;
  std::chrono::nanoseconds grace_ = {};
  uint64_t accepted_ = 0;
  uint64_t open_ = 0;
  uint64_t accept_errors_ = 0;
  size_t cut_off_ = 0;
  bool told_drained_ = false;

  // Written by the worker's thread before it ends.
  absl::Status result_;
  ServerThreadStats last_;

  std::thread thread_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_SERVER_WORKER_H_
