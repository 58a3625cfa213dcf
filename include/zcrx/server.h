// SPDX-License-Identifier: Apache-2.0
//
// A Server runs a thread for each rx queue, or several, each with a runtime of its
// own, and gives each connection to a thread whose queue its packets arrive on.
// Use it when one thread is not enough:
//
//   zcrx::Task<void> Serve(zcrx::Runtime&, zcrx::Stream peer);
//
//   zcrx::ServerOptions options;
//   options.address = *zcrx::SocketAddress::Parse(":5001");
//   options.rx_queues = {4, 5, 6, 7};
//   options.runtime.interface_queue = {.interface = "eth0"};
//   absl::StatusOr<zcrx::Server> server = zcrx::Server::Start(options, Serve);
//   if (!server.ok()) return Fail(server.status());
//   WaitForSignal();                                                // sigwait(3), or whatever ends it
//   absl::Status drained = server->Drain(std::chrono::seconds(10));
//
// The NIC must spread the connections over those queues: by an RSS context and a
// flow rule into it, or by the RSS table (ethtool -X eth0 start 4 equal 4); or the
// server does that itself, with `reserve_queues` in place of `rx_queues`.
#ifndef ZCRX_SERVER_H_
#define ZCRX_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/address.h"
#include "zcrx/listener.h"
#include "zcrx/runtime.h"
#include "zcrx/stream.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {
class ServerState;
}  // namespace internal

struct ServerOptions {
  // Where to listen. Port 0 takes a free one, see Server::address().
  SocketAddress address;
  // `reuse_port` is always on: each thread has a listening socket of its own.
  ListenerOptions listener = {};
  // Queues of runtime.interface_queue->interface, each with threads of its own.
  std::vector<uint32_t> rx_queues = {};
  // Not 0: so many queues of runtime.interface_queue->interface are chosen instead, and reserved for
  // connections to `address` (zcrx/nic_reservation.h): Start() sets the NIC up, the end of the server undoes
  // it. `rx_queues` is then empty, and the address has a port. Errors as NicReservation::Make().
  uint32_t reserve_queues = 0;
  // Threads that receive from each of them. More than one where the traffic of a queue is too much for a
  // thread; see QueueShare, also for which kernels can. The region is then that of all of them.
  uint32_t threads_per_queue = 1;
  // Receive from all queues that the process has inherited (zcrx/inherit.h), with a thread for each;
  // `rx_queues` and runtime.interface_queue are then not set.
  bool inherited = false;
  // Threads if there are no queues; they copy. 0: one per CPU that the process may use.
  uint32_t threads = 0;
  // Of each thread. Of interface_queue, `rx_queue` is replaced by that of the thread.
  RuntimeOptions runtime = {};
  // CPU of each thread (queue by queue). Empty: any, or see below.
  std::vector<uint32_t> cpus = {};
  // If there are no `cpus`: each thread runs where its queue's interrupt goes, so that what the kernel has
  // just touched is in the cache. Where the kernel does not tell (before 6.8, virtual interfaces) it runs
  // anywhere. irqbalance may move interrupts later; threads do not follow.
  bool run_where_interrupts_go = false;
  // Whether the kernel chooses the thread by the queue that a connection's first packet arrives on
  // (SO_ATTACH_REUSEPORT_CBPF). Else it does so by a hash, and only the NIC's rules can tell where data goes.
  bool steer = true;
};

struct ServerThreadStats {
  uint32_t rx_queue = 0;       // 0 without queues
  uint64_t accepted = 0;       // connections
  uint64_t open = 0;           // of these, whose handler has not ended
  uint64_t accept_errors = 0;  // EMFILE and the like: waited for a moment and tried again
  ReceivePathInfo receive_path;
  // `misplaced_streams`: connections whose data came by another thread's queue. That thread received it for
  // this one, by copy.
  RuntimeStats runtime;
};

// Move-only. May be used by any thread that is not one of its own.
class Server {
 public:
  // Serves a connection on the thread that the runtime belongs to. Is called by all threads.
  using Handler = std::function<Task<void>(Runtime& runtime, Stream peer)>;

  // Starts the threads, in the network namespace of the caller. Returns when all of
  // them accept connections, or, with the first error, when none is left. Errors:
  // those of Runtime::Create() and Listener::Create(); InvalidArgument for options that do not fit together.
  static absl::StatusOr<Server> Start(const ServerOptions& options, Handler handler);

  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  // Drain() without any time.
  ~Server();

  // Stops accepting, gives the handlers `grace` to end, cancels those that have
  // not, and ends the threads. Blocks. DEADLINE_EXCEEDED, with their number, if
  // some had to be cancelled; an error of a thread's loop, if one has failed; ABORTED, if what
  // `reserve_queues` set up had been changed by somebody else and was left. A second call gives what the
  // first gave.
  absl::Status Drain(std::chrono::nanoseconds grace);

  // The address it is bound to.
  SocketAddress address() const;

  // One for each thread; after Drain(), what was true at its end. Waits for each thread to come by.
  std::vector<ServerThreadStats> stats() const;

 private:
  explicit Server(std::unique_ptr<internal::ServerState> state);

  std::unique_ptr<internal::ServerState> state_;
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_SERVER_H_
