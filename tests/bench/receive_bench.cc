// SPDX-License-Identifier: Apache-2.0
//
// Receives what receive_load sends, in one of several ways, and says what that
// took, in one line of JSON:
//
//   receive_bench CONTENDER touch|leave PORT CONNECTIONS MIB WARM_UP_MIB KEEP_MIB INTERFACE QUEUE
//
//   epoll      epoll and recv(2)
//   multishot  multishot receives of io_uring into provided buffers
//   fixed      reads of io_uring into one registered buffer
//   c          zero-copy receive, written by hand in C
//   zcrx       the library, completions by the main queue
//   zcrx-rbuf  the library, completions by the rbuf ring
//
// "touch" reads every byte, and compares its checksum with that of what was sent;
// the number of bytes is always compared. Nothing is measured before WARM_UP_MIB
// have come. KEEP_MIB: see ReceivePlan::keep_bytes.
//
// CPU times, in seconds: "app" is this thread, its user and system part as far as
// the kernel's ticks tell them apart. "stack" are the NAPI threads of INTERFACE (it
// must be set to threaded NAPI): the simulated NIC's DMA, which copies, and IP and
// TCP as far as the application's thread does not do that. "sender" is the process
// that sends, "peer" are the NAPI threads of its interface.
#include <dirent.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

#include "tests/bench/receive.h"

namespace zcrx::bench {
namespace {

using Clock = std::chrono::steady_clock;

const std::map<std::string_view, std::unique_ptr<Contender> (*)(const ReceivePlan&)> kContenders = {
    {"epoll", MakeEpoll}, {"multishot", MakeMultishot}, {"fixed", MakeFixed},
    {"c", MakeCLoop},     {"zcrx", MakeZcrxMain},       {"zcrx-rbuf", MakeZcrxRbuf}};

// Only a contender that has lost bytes takes so long.
constexpr unsigned kPatienceSeconds = 600;

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}
double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double CpuSeconds(clockid_t clock) {
  timespec time = {};
  Require(clock_gettime(clock, &time) == 0, "CPU time of a process", errno);
  return Seconds(time);
}

// Processes and kernel threads whose name begins with `prefix`.
std::vector<clockid_t> ClocksOf(const std::string& prefix) {
  std::vector<clockid_t> clocks;
  DIR* const all = opendir("/proc");
  Require(all != nullptr, "/proc", errno);
  while (const dirent* entry = readdir(all)) {
    const auto pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    std::string name;
    if (pid == 0 || !std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name)) continue;
    clockid_t clock;
    if (name.starts_with(prefix) && clock_getcpuclockid(pid, &clock) == 0) clocks.push_back(clock);
  }
  closedir(all);
  return clocks;
}

// Whose CPU time is told apart.
class Accounts {
 public:
  explicit Accounts(const std::string& interface)
      : stack_(ClocksOf("napi/" + interface + "-")), sender_(ClocksOf("receive_load")) {
    Require(!stack_.empty(), ("no thread does NAPI for " + interface + ": write 1 to /sys/class/net/" +
                              interface + "/threaded")
                                 .c_str());
    // The interface's own are among them.
    const std::vector<clockid_t> every = ClocksOf("napi/");
    for (const clockid_t clock : every) {
      if (std::find(stack_.begin(), stack_.end(), clock) == stack_.end()) peer_.push_back(clock);
    }
  }
  double stack() const { return Total(stack_); }
  double peer() const { return Total(peer_); }
  double sender() const { return Total(sender_); }

 private:
  static double Total(const std::vector<clockid_t>& clocks) {
    double total = 0;
    for (const clockid_t clock : clocks) total += CpuSeconds(clock);
    return total;
  }

  std::vector<clockid_t> stack_;
  std::vector<clockid_t> sender_;
  std::vector<clockid_t> peer_;
};

struct Moment {
  Moment(const Accounts& accounts, const ReceiveCounts& counted)
      : wall(Clock::now()),
        app(CpuSeconds(CLOCK_THREAD_CPUTIME_ID)),
        stack(accounts.stack()),
        peer(accounts.peer()),
        sender(accounts.sender()),
        counts(counted) {
    getrusage(RUSAGE_THREAD, &usage);
  }
  Clock::time_point wall;
  double app;
  double stack;
  double peer;
  double sender;
  ReceiveCounts counts;
  rusage usage;
};

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Require(fd >= 0, "socket", errno);
  const int on = 1;
  Require(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "SO_REUSEADDR", errno);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  Require(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "bind", errno);
  Require(listen(fd, 4096) == 0, "listen", errno);
  (void)printf("listening on %u\n", port);
  (void)fflush(stdout);
  return fd;
}

std::vector<int> Accept(int listening, uint32_t connections) {
  std::vector<int> sockets;
  while (sockets.size() < connections) {
    sockets.push_back(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    Require(sockets.back() >= 0, "accept", errno);
  }
  close(listening);
  return sockets;
}

void AllowManyFiles() {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  Require(setrlimit(RLIMIT_NOFILE, &files) == 0, "RLIMIT_NOFILE", errno);
}

void Run(std::string_view name, const ReceivePlan& plan, uint16_t port, uint64_t bytes, uint64_t warm_up) {
  AllowManyFiles();
  // Before anybody may send: what comes earlier is not in its memory.
  const std::unique_ptr<Contender> contender = kContenders.at(name)(plan);
  std::vector<int> sockets = Accept(Listen(port), plan.connections + 1);
  // The last one carries no data. The sender begins when it gets a byte by it, and is there until its end.
  const int control = sockets.back();
  sockets.pop_back();
  const Accounts accounts(plan.interface);

  std::optional<Moment> begin;
  Arrivals arrivals(plan, warm_up, [&] { begin.emplace(accounts, contender->counts()); });
  Require(send(control, "", 1, MSG_NOSIGNAL) == 1, "send", errno);
  contender->Receive(sockets, arrivals);
  const Moment end(accounts, contender->counts());
  close(control);
  arrivals.Check(bytes);
  Require(begin.has_value(), "there is nothing behind the warm-up");

  (void)printf(
      "{\"contender\": \"%.*s\", \"touch\": %s, \"connections\": %u, \"keep_mib\": %zu, \"bytes\": %llu, "
      "\"seconds\": %.6f, \"app\": %.6f, \"app_user\": %.6f, \"app_system\": %.6f, \"stack\": %.6f, "
      "\"sender\": %.6f, \"peer\": %.6f, \"completions\": %llu, \"system_calls\": %llu}\n",
      static_cast<int>(name.size()), name.data(), plan.touch ? "true" : "false", plan.connections,
      plan.keep_bytes >> 20, static_cast<unsigned long long>(bytes - warm_up),
      std::chrono::duration<double>(end.wall - begin->wall).count(), end.app - begin->app,
      Seconds(end.usage.ru_utime) - Seconds(begin->usage.ru_utime),
      Seconds(end.usage.ru_stime) - Seconds(begin->usage.ru_stime), end.stack - begin->stack,
      end.sender - begin->sender, end.peer - begin->peer,
      static_cast<unsigned long long>(end.counts.completions - begin->counts.completions),
      static_cast<unsigned long long>(end.counts.system_calls - begin->counts.system_calls));
}

uint32_t Number(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  Require(error == std::errc() && end == text.data() + text.size(), "not a number");
  return number;
}

}  // namespace
}  // namespace zcrx::bench

int main(int argc, char** argv) {
  using zcrx::bench::Number;
  if (argc != 10 || !zcrx::bench::kContenders.contains(argv[1]) ||
      (strcmp(argv[2], "touch") != 0 && strcmp(argv[2], "leave") != 0)) {
    (void)fputs(
        "usage: receive_bench epoll|multishot|fixed|c|zcrx|zcrx-rbuf touch|leave PORT CONNECTIONS MIB "
        "WARM_UP_MIB KEEP_MIB INTERFACE QUEUE\n",
        stderr);
    return 2;
  }
  const zcrx::bench::ReceivePlan plan = {.connections = Number(argv[4]),
                                         .touch = strcmp(argv[2], "touch") == 0,
                                         .keep_bytes = size_t{Number(argv[7])} << 20,
                                         .interface = argv[8],
                                         .rx_queue = Number(argv[9])};
  zcrx::bench::Require(plan.connections > 0, "no connections");
  alarm(zcrx::bench::kPatienceSeconds);
  zcrx::bench::Run(argv[1], plan, static_cast<uint16_t>(Number(argv[3])), uint64_t{Number(argv[5])} << 20,
                   uint64_t{Number(argv[6])} << 20);
  return 0;
}
