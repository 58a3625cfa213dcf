// SPDX-License-Identifier: Apache-2.0
#include "zcrx/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/net/listening_socket.h"
#include "lib/server/steering.h"
#include "lib/server/worker.h"
#include "zcrx/inherit.h"
#include "zcrx/netdev.h"
#include "zcrx/nic_reservation.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {
namespace {

uint32_t UsableCpus() {
  cpu_set_t cpus;
  // Fails only on machines with more CPUs than the set has.
  return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? static_cast<uint32_t>(CPU_COUNT(&cpus))
                                                        : uint32_t{CPU_SETSIZE};
}

// The CPUs that the queue's interrupt goes to; none if that is unknown.
std::vector<uint32_t> CpusOf(const std::vector<netdev::RxQueue>& queues, uint32_t rx_queue) {
  for (const netdev::RxQueue& queue : queues) {
    if (queue.id != rx_queue || !queue.napi.has_value()) continue;
    const netdev::Napi& napi = *queue.napi;
    return napi.irq_effective_cpus.empty() ? napi.irq_cpus : napi.irq_effective_cpus;
  }
  return {};
}

// Names the inherited queues, if they are asked for.
absl::StatusOr<ServerOptions> WithInherited(ServerOptions options) {
  if (!options.inherited) return options;
  if (!options.rx_queues.empty() || options.runtime.interface_queue.has_value() ||
      options.threads_per_queue != 1) {
    return absl::InvalidArgumentError(
        "ServerOptions::inherited names the queues, with a thread for each; fix: leave rx_queues, "
        "threads_per_queue and runtime.interface_queue as they are");
  }
  const absl::StatusOr<std::vector<InheritedQueue>> queues = InheritedQueues();
  if (!queues.ok()) return queues.status();
  if (queues->empty()) {
    return absl::FailedPreconditionError(
        "this process has inherited no queues; fix: start it by `zcrxctl run`");
  }
  for (const InheritedQueue& queue : *queues) options.rx_queues.push_back(queue.rx_queue);
  options.runtime.interface_queue = {.inherited = 0, .interface = queues->front().interface};
  return options;
}

// The host that the server listens on, as a flow has it: empty for any.
std::string HostOf(const SocketAddress& address) {
  char host[INET6_ADDRSTRLEN] = {};
  if (address.family() == AF_INET) {
    const in_addr& ipv4 = reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr;
    if (ipv4.s_addr != htonl(INADDR_ANY)) inet_ntop(AF_INET, &ipv4, host, sizeof(host));
  } else {
    const in6_addr& ipv6 = reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr;
    if (!IN6_IS_ADDR_UNSPECIFIED(&ipv6)) inet_ntop(AF_INET6, &ipv6, host, sizeof(host));
  }
  return host;
}

// Reserves queues, if that is asked for, and names them.
absl::StatusOr<std::optional<netdev::NicReservation>> Reserve(ServerOptions& options) {
  if (options.reserve_queues == 0) return std::nullopt;
  if (!options.rx_queues.empty() || options.inherited || !options.runtime.interface_queue.has_value()) {
    return absl::InvalidArgumentError(
        "ServerOptions::reserve_queues chooses queues of runtime.interface_queue->interface; fix: name the "
        "interface, and neither rx_queues nor inherited");
  }
  if (options.address.port() == 0) {
    return absl::InvalidArgumentError(
        "ServerOptions::reserve_queues reserves for the port of `address`, which is 0; fix: choose one");
  }
  netdev::ReservationOptions reservation;
  reservation.interface = options.runtime.interface_queue->interface;
  reservation.queues = options.reserve_queues;
  reservation.flows = {{.port = options.address.port(), .address = HostOf(options.address)}};
  absl::StatusOr<netdev::NicReservation> made = netdev::NicReservation::Make(reservation);
  if (!made.ok()) return made.status();
  options.rx_queues = made->rx_queues();
  return *std::move(made);
}

absl::Status Check(const ServerOptions& options, size_t threads) {
  if (!options.rx_queues.empty() && !options.runtime.interface_queue.has_value()) {
    return absl::InvalidArgumentError(
        "ServerOptions::rx_queues needs the interface they are of; fix: set "
        "ServerOptions::runtime.interface_queue");
  }
  if (options.rx_queues.empty() && options.runtime.interface_queue.has_value()) {
    return absl::InvalidArgumentError(
        "ServerOptions::runtime.interface_queue is set, but not which queues; fix: set "
        "ServerOptions::rx_queues");
  }
  if (!options.rx_queues.empty() && options.threads != 0 && options.threads != threads) {
    return absl::InvalidArgumentError(absl::StrCat("ServerOptions::threads is ", options.threads,
                                                   ", but the rx_queues have ", threads,
                                                   " threads; fix: leave it 0"));
  }
  if (options.runtime.interface_queue.has_value() && !options.runtime.interface_queue->reserve.empty()) {
    return absl::InvalidArgumentError(
        "InterfaceQueueOptions::reserve is for a single runtime; fix: ServerOptions::reserve_queues");
  }
  if (options.threads_per_queue == 0) {
    return absl::InvalidArgumentError("ServerOptions::threads_per_queue is 0; fix: at least 1");
  }
  std::vector<uint32_t> queues = options.rx_queues;
  std::sort(queues.begin(), queues.end());
  const auto twice = std::adjacent_find(queues.begin(), queues.end());
  if (twice != queues.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ServerOptions::rx_queues names queue ", *twice, " twice"));
  }
  if (!options.cpus.empty() && options.cpus.size() != threads) {
    return absl::InvalidArgumentError(absl::StrCat("ServerOptions::cpus has ", options.cpus.size(),
                                                   " CPUs for ", threads, " threads; fix: one for each"));
  }
  return absl::OkStatus();
}

}  // namespace

class ServerState {
 public:
  ServerState(std::optional<netdev::NicReservation> reservation, Server::Handler handler, size_t threads)
      : reservation_(std::move(reservation)),
        handler_(std::move(handler)),
        group_(std::make_shared<RuntimeGroup>(threads)) {}
  ~ServerState() {
    const absl::Status drained = Drain({});
    (void)drained;  // nobody is left to be told
  }
  ServerState(const ServerState&) = delete;
  ServerState& operator=(const ServerState&) = delete;

  absl::Status Start(const ServerOptions& options);
  absl::Status Drain(std::chrono::nanoseconds grace);
  const SocketAddress& address() const { return address_; }
  std::vector<ServerThreadStats> stats() const;

 private:
  absl::Status StartWorkers(const ServerOptions& options);
  absl::Status Listen(const ServerOptions& options);

  // Undone when no thread has a queue any more.
  std::optional<netdev::NicReservation> reservation_;
  const Server::Handler handler_;
  const std::shared_ptr<RuntimeGroup> group_;
  std::vector<std::unique_ptr<Worker>> workers_;
  SocketAddress address_;
  std::optional<absl::Status> result_;  // of Drain()
};

absl::Status ServerState::Start(const ServerOptions& options) {
  absl::Status started = StartWorkers(options);
  // Every queue is registered before the first connection can come: what arrives earlier is copied.
  if (started.ok()) started = Listen(options);
  return started;
}

absl::Status ServerState::StartWorkers(const ServerOptions& options) {
  std::vector<netdev::RxQueue> interrupts;
  if (options.run_where_interrupts_go && !options.rx_queues.empty()) {
    absl::StatusOr<netdev::NicState> nic = netdev::ReadNic(options.runtime.interface_queue->interface);
    if (!nic.ok()) return nic.status();
    interrupts = std::move(nic->rx_queues);
  }
  std::vector<QueueShare> shares;
  shares.reserve(options.rx_queues.size());
  for (size_t i = 0; i < options.rx_queues.size(); ++i) shares.emplace_back(options.threads_per_queue);
  for (size_t i = 0; i < group_->size(); ++i) {
    WorkerOptions worker = {.runtime = options.runtime, .cpus = {}, .no_delay = options.listener.no_delay};
    if (!options.rx_queues.empty()) {
      const size_t place = i / options.threads_per_queue;
      InterfaceQueueOptions& queue = *worker.runtime.interface_queue;
      queue.rx_queue = options.rx_queues[place];
      if (options.threads_per_queue > 1) queue.share = shares[place];
      if (options.inherited) queue.inherited = static_cast<uint32_t>(place);
      worker.cpus = CpusOf(interrupts, queue.rx_queue);
    }
    if (!options.cpus.empty()) worker.cpus = {options.cpus[i]};
    workers_.push_back(std::make_unique<Worker>(group_, i, worker, handler_));
  }
  absl::Status first;
  for (const auto& worker : workers_) first.Update(worker->Created());
  return first;
}

absl::Status ServerState::Listen(const ServerOptions& options) {
  ListenerOptions listener = options.listener;
  listener.reuse_port = true;
  address_ = options.address;
  std::vector<int> sockets;
  absl::Status status;
  while (status.ok() && sockets.size() < workers_.size()) {
    const absl::StatusOr<int> fd = OpenListeningSocket(address_, listener);
    status = fd.status();
    if (!fd.ok()) break;
    sockets.push_back(*fd);
    if (sockets.size() > 1) continue;
    // The others join the first, whatever port it got, and its program.
    const absl::StatusOr<SocketAddress> bound = BoundAddress(*fd);
    status = bound.status();
    if (bound.ok()) address_ = *bound;
    if (status.ok() && options.steer && !options.rx_queues.empty())
      status = SteerByQueue(*fd, options.rx_queues, options.threads_per_queue);
  }
  for (size_t i = 0; i < sockets.size(); ++i) {
    if (status.ok()) {
      workers_[i]->Listen(sockets[i]);
    } else {
      close(sockets[i]);
    }
  }
  return status;
}

absl::Status ServerState::Drain(std::chrono::nanoseconds grace) {
  if (result_.has_value()) return *result_;
  for (const auto& worker : workers_) worker->Drain(grace);
  size_t cancelled = 0;
  for (const auto& worker : workers_) cancelled += worker->Drained();
  absl::Status result;
  if (cancelled > 0) {
    result = ErrnoStatus(ETIMEDOUT,
                         absl::StrCat(cancelled, " connections had not ended in time and were cancelled"));
  }
  // Only now: until here a worker may have data for the others.
  for (const auto& worker : workers_) result.Update(worker->End());
  if (reservation_.has_value()) result.Update(reservation_->Release());
  result_ = result;
  return result;
}

std::vector<ServerThreadStats> ServerState::stats() const {
  std::vector<ServerThreadStats> stats;
  stats.reserve(workers_.size());
  for (const auto& worker : workers_) stats.push_back(worker->stats());
  return stats;
}

}  // namespace internal

absl::StatusOr<Server> Server::Start(const ServerOptions& options, Handler handler) {
  absl::StatusOr<ServerOptions> with_queues = internal::WithInherited(options);
  if (!with_queues.ok()) return with_queues.status();
  auto reservation = internal::Reserve(*with_queues);
  if (!reservation.ok()) return reservation.status();
  size_t threads = with_queues->rx_queues.size() * with_queues->threads_per_queue;
  if (threads == 0) threads = with_queues->threads != 0 ? with_queues->threads : internal::UsableCpus();
  if (absl::Status checked = internal::Check(*with_queues, threads); !checked.ok()) return checked;
  auto state = std::make_unique<internal::ServerState>(*std::move(reservation), std::move(handler), threads);
  if (absl::Status started = state->Start(*with_queues); !started.ok()) return started;
  return Server(std::move(state));
}

Server::Server(std::unique_ptr<internal::ServerState> state) : state_(std::move(state)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

absl::Status Server::Drain(std::chrono::nanoseconds grace) { return state_->Drain(grace); }
SocketAddress Server::address() const { return state_->address(); }
std::vector<ServerThreadStats> Server::stats() const { return state_->stats(); }

}  // namespace zcrx::inline v0
