// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/runtime_core.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/ifq/interface_queue.h"
#include "lib/receive/copy_path.h"
#include "lib/receive/zero_copy_path.h"
#include "lib/uapi/log.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::internal {
namespace {

// Of the time that fragments get. More than the period of the stats page, whose timer spares asking the
// clock.
constexpr std::chrono::nanoseconds kLateness = std::chrono::milliseconds(300);
static_assert(kLateness > StatsPublisher::kPeriod);
// Cancelled operations end at once; only the kernel's hold on memory that it still
// sends from lasts until the peer acknowledges.
constexpr std::chrono::nanoseconds kShutdownGrace = std::chrono::seconds(1);

// One queue of the NIC for the ports.
absl::StatusOr<netdev::NicReservation> Reserve(const InterfaceQueueOptions& options) {
  if (options.rx_queue != 0 || options.share.has_value()) {
    return absl::InvalidArgumentError(
        "InterfaceQueueOptions::reserve chooses the rx queue, for one runtime; fix: neither rx_queue nor "
        "share beside it, or ServerOptions::reserve_queues");
  }
  netdev::ReservationOptions reservation;
  reservation.interface = options.interface;
  for (const uint16_t port : options.reserve) reservation.flows.push_back({.port = port, .address = ""});
  return netdev::NicReservation::Make(reservation);
}

}  // namespace

// --- Creation --------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<RuntimeCore>> RuntimeCore::Create(const RuntimeOptions& options) {
  if (absl::Status checked = CheckPressureOptions(options.pressure); !checked.ok()) return checked;
  KernelFeatures features = ProbeKernel();
  if (!features.io_uring || !features.defer_taskrun || !features.multishot_receive) {
    return absl::UnimplementedError(
        absl::StrCat("zcrx needs the io_uring of Linux 6.1 or later: ", features.reason));
  }
  std::optional<TakenQueue> inherited;
  if (options.interface_queue.has_value() && options.interface_queue->inherited.has_value()) {
    absl::StatusOr<TakenQueue> taken = TakeInheritedQueue(*options.interface_queue->inherited);
    if (!taken.ok()) return taken.status();
    inherited = *std::move(taken);
  }
  const bool by_main_cq = options.mode != ReceiveMode::kCopy && options.interface_queue.has_value() &&
                          !InterfaceQueue::UsesRbufRing(*options.interface_queue, features);
  absl::StatusOr<std::unique_ptr<Ring>> ring =
      inherited.has_value() ? Ring::Adopt(inherited->fds.ring, inherited->description.ring)
                            : Ring::Create({.submission_entries = options.submission_entries,
                                            .completion_entries = options.completion_entries,
                                            .wide_completions = by_main_cq});
  if (!ring.ok()) return ring.status();
  absl::StatusOr<std::shared_ptr<Waker>> waker = Waker::Create();
  if (!waker.ok()) return waker.status();

  std::unique_ptr<RuntimeCore> core(
      new RuntimeCore(std::move(features), *std::move(ring), *std::move(waker)));
  absl::Status received =
      inherited.has_value() ? core->AdoptReceivePath(*inherited) : core->OpenReceivePath(options);
  if (!received.ok()) return received;
  if (absl::Status opened = core->OpenEventFd(); !opened.ok()) return opened;
  core->zero_copy_send_bytes_ = options.zero_copy_send_bytes;
  core->receive_path_->SetPressureOptions(options.pressure);
  if (options.publish_stats) core->StartPublishing();
  core->waker_poll_.Arm();
  core->ring_->StartNotifying(/*now=*/true);
  return core;
}

RuntimeCore::RuntimeCore(KernelFeatures features, std::unique_ptr<Ring> ring, std::shared_ptr<Waker> waker)
    : features_(std::move(features)),
      ring_(std::move(ring)),
      waker_(std::move(waker)),
      waker_poll_(*this),
      timer_poll_(*this),
      context_(this, nullptr),
      tasks_(context_),
      fixed_buffers_(*ring_) {}

absl::Status RuntimeCore::OpenReceivePath(const RuntimeOptions& options) {
  absl::Status zero_copy;
  if (options.mode == ReceiveMode::kCopy) {
    receive_path_info_.reason = "copy was asked for";
  } else if (!options.interface_queue.has_value()) {
    zero_copy = absl::InvalidArgumentError(
        "no interface queue was given; fix: name interface and rx queue in RuntimeOptions::interface_queue");
  } else if (!features_.zero_copy_receive) {
    zero_copy = absl::UnimplementedError(features_.reason);
  } else {
    zero_copy = OpenZeroCopy(*options.interface_queue);
    if (zero_copy.ok()) return zero_copy;
  }
  if (!zero_copy.ok()) {
    if (options.mode == ReceiveMode::kZeroCopy) return zero_copy;
    receive_path_info_.reason = std::string(zero_copy.message());
    // Who names no queue gets what he has asked for.
    Log(options.interface_queue.has_value() ? LogSeverity::kWarning : LogSeverity::kInfo, "runtime.copy",
        "receives with a copy: ", receive_path_info_.reason);
  }
  auto copy = CopyPath::Create(*ring_, options.copy_pool, waker_);
  if (!copy.ok()) return copy.status();
  receive_path_ = *std::move(copy);
  return absl::OkStatus();
}

absl::Status RuntimeCore::OpenZeroCopy(InterfaceQueueOptions options) {
  std::optional<netdev::NicReservation> reservation;
  if (!options.reserve.empty()) {
    auto made = Reserve(options);
    if (!made.ok()) return made.status();
    reservation = *std::move(made);
    options.rx_queue = reservation->rx_queues().front();
  }
  auto queue = InterfaceQueue::Register(*ring_, options, features_, waker_);
  if (!queue.ok()) return queue.status();
  reservation_ = std::move(reservation);
  UseZeroCopy(*std::move(queue),
              absl::StrCat(reservation_.has_value() ? "reserved and " : "", "registered rx queue ",
                           options.rx_queue, " of ", options.interface));
  return absl::OkStatus();
}

absl::Status RuntimeCore::AdoptReceivePath(const TakenQueue& inherited) {
  auto queue = InterfaceQueue::Adopt(*ring_, inherited, features_, waker_);
  if (!queue.ok()) return queue.status();
  UseZeroCopy(*std::move(queue), absl::StrCat("inherited rx queue ", inherited.description.rx_queue, " of ",
                                              inherited.description.interface.data()));
  // Also where the interface cannot be seen from here.
  stats_queue_->interface = inherited.description.interface.data();
  stats_queue_->rx_queue = inherited.description.rx_queue;
  return absl::OkStatus();
}

void RuntimeCore::UseZeroCopy(std::unique_ptr<InterfaceQueue> queue, const std::string& how) {
  const CompletionRing completion = queue->completion();
  stats_queue_ = {.interface = queue->interface().name,
                  .interface_index = queue->interface().index,
                  .rx_queue = queue->rx_queue(),
                  .shared = queue->shared()};
  receive_path_ = std::make_unique<ZeroCopyPath>(*ring_, std::move(queue));
  receive_path_info_ = {.kind = ReceivePathInfo::Kind::kZeroCopy,
                        .completion = completion,
                        .reason = absl::StrCat(how, completion == CompletionRing::kRbufRing
                                                        ? ", completions by its rbuf ring"
                                                        : ", completions by the main queue")};
  Log(LogSeverity::kInfo, "runtime.zero_copy", receive_path_info_.reason);
}

// What the ring tells, and what the waker does: that comes to the ring as well, but when an eventfd makes
// another one readable the kernel puts the second off until an RCU grace period has passed.
absl::Status RuntimeCore::OpenEventFd() {
  event_fd_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event readable = {};
  readable.events = EPOLLIN;
  if (event_fd_ < 0 || epoll_ctl(event_fd_, EPOLL_CTL_ADD, ring_->notification_fd(), &readable) != 0 ||
      epoll_ctl(event_fd_, EPOLL_CTL_ADD, waker_->fd(), &readable) != 0) {
    return ErrnoStatus(errno, "epoll");
  }
  return absl::OkStatus();
}

void RuntimeCore::StartPublishing() {
  auto publisher = StatsPublisher::Create(stats_queue_.has_value() ? &*stats_queue_ : nullptr);
  if (!publisher.ok()) {
    Log(LogSeverity::kWarning, "stats.unpublished",
        "nobody can look on (zcrxctl top): ", publisher.status().message());
    return;
  }
  stats_publisher_ = *std::move(publisher);
  stats_publisher_->Publish(stats(), *receive_path_);
}

// --- The loop ----------------------------------------------------------------------

absl::Status RuntimeCore::Run() {
  ring_->StopNotifying();
  while (task_count() > 0 && !stop_.exchange(false, std::memory_order_acquire)) {
    if (absl::Status turned = Turn(Ring::kForever, /*need_tasks=*/true); !turned.ok()) return turned;
  }
  return absl::OkStatus();
}

absl::Status RuntimeCore::RunOnce(std::chrono::nanoseconds max_wait) {
  ring_->StopNotifying();
  absl::Status turned = Turn(max_wait);
  // What the first turn made ready runs now, and what it prepared is submitted now:
  // the caller may go and wait elsewhere.
  if (turned.ok()) turned = Turn(std::chrono::nanoseconds::zero());
  // Asks to be woken by returns of other threads, so it must not be left out.
  const bool may_sleep = receive_path_->PrepareToSleep();
  ring_->StartNotifying(!may_sleep || !ready_.empty() || ring_->has_prepared() ||
                        !timer_poll_.Covers(NextDue()));
  return turned;
}

absl::Status RuntimeCore::Turn(std::chrono::nanoseconds max_wait, bool need_tasks) {
  ++turns_;
  receive_path_->StayAwake();
  RunPosted();
  if (timer_poll_.TakeDue() || shutting_down_) timers_.Fire(Timer::Clock::now());
  RunReady();
  receive_path_->Flush();
  TellPressure();
  if (stats_publisher_ != nullptr && stats_publisher_->IsDue(*receive_path_))
    stats_publisher_->Publish(stats(), *receive_path_);
  const bool idle =
      ready_.empty() && !stop_.load(std::memory_order_relaxed) && !(need_tasks && task_count() == 0);
  if (!idle || !receive_path_->PrepareToSleep()) max_wait = std::chrono::nanoseconds::zero();
  // One request serves many turns, where a limit of the wait itself would be a timer for each of them.
  if (!shutting_down_ && !timer_poll_.Cover(NextDue())) max_wait = std::chrono::nanoseconds::zero();
  absl::Status entered = ring_->SubmitAndWait(max_wait);
  // The same request tells when time has passed. Without it the wait may have been long.
  if (!timer_poll_.Covers(receive_path_->now() + kLateness)) receive_path_->set_now(Timer::Clock::now());
  completions_ += ring_->DispatchCompletions();
  return entered;
}

Timer::Clock::time_point RuntimeCore::NextDue() const {
  const auto stats =
      stats_publisher_ != nullptr ? stats_publisher_->due(*receive_path_) : Timer::Clock::time_point::max();
  return std::min(timers_.next(), stats);
}

void RuntimeCore::RunReady() {
  // Only those that are ready now: what they make ready waits for the next turn,
  // so that I/O gets its turn as well.
  std::swap(running_, ready_);
  for (const std::coroutine_handle<> coroutine : running_) coroutine.resume();
  running_.clear();
}

void RuntimeCore::TellPressure() {
  const Pressure before = std::exchange(told_pressure_, receive_path_->pressure());
  if (before == told_pressure_) return;
  // Those that wait anew are for the next change.
  for (PressureAwaiter* waiter : std::exchange(pressure_waiters_, {})) waiter->Wake();
}

PressureAwaiter::~PressureAwaiter() {
  if (waiter_) runtime_.RemovePressureWaiter(this);
}

void PressureAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  StartWaiting();
  runtime_.AddPressureWaiter(this);
}

void PressureAwaiter::Wake() {
  if (waiter_) runtime_.Schedule(std::exchange(waiter_, nullptr));
}

void PressureAwaiter::OnCancel() {
  runtime_.RemovePressureWaiter(this);
  Wake();
}

absl::StatusOr<Pressure> PressureAwaiter::await_resume() {
  StopWaiting();
  if (cancelled()) return ErrnoStatus(ECANCELED, "pressure change");
  return runtime_.receive_path().pressure();
}

void RuntimeCore::RunPosted() {
  // Acquire: pairs with the release in Post(). Spares the lock when there is nothing, which is nearly always.
  if (!has_posted_.load(std::memory_order_acquire)) return;
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(posted_mutex_);
    functions.swap(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
  }
  for (const std::function<void()>& function : functions) function();
}

void RuntimeCore::Post(std::function<void()> function) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(function));
    has_posted_.store(true, std::memory_order_release);
  }
  waker_->Wake();
}

void RuntimeCore::Stop() {
  // Release: what the caller did before is seen by the code after Run().
  stop_.store(true, std::memory_order_release);
  waker_->Wake();
}

void RuntimeCore::WakerPoll::Arm() {
  io_uring_sqe* entry = core_.ring_->Prepare(this);
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = core_.waker_->fd();
  entry->poll32_events = POLLIN;
  entry->len = IORING_POLL_ADD_MULTI;
}

void RuntimeCore::WakerPoll::OnCompletion(Completion completion) {
  core_.waker_->Clear();
  if (!completion.more() && !core_.shutting_down_) Arm();
}

bool RuntimeCore::TimerPoll::Cover(Timer::Clock::time_point time) {
  if (Covers(time)) return true;
  const Timer::Clock::time_point now = Timer::Clock::now();
  core_.receive_path_->set_now(now);
  if (time <= now) {
    due_ = true;
    return false;
  }
  const bool armed = armed_for_ != Timer::Clock::time_point::max();
  armed_for_ = time;
  kernel_time_ = ToTimespec(time.time_since_epoch());
  // An armed one is moved; if it happens meanwhile (ENOENT) its completion is on the way, and that is early
  // enough.
  io_uring_sqe* entry = core_.ring_->Prepare(armed ? nullptr : this);
  entry->fd = -1;
  if (armed) {
    entry->opcode = IORING_OP_TIMEOUT_REMOVE;
    entry->addr = reinterpret_cast<uint64_t>(static_cast<CompletionHandler*>(this));
    entry->addr2 = reinterpret_cast<uint64_t>(&kernel_time_);
    entry->timeout_flags = IORING_TIMEOUT_UPDATE | IORING_TIMEOUT_ABS;
  } else {
    entry->opcode = IORING_OP_TIMEOUT;
    entry->addr = reinterpret_cast<uint64_t>(&kernel_time_);
    entry->len = 1;
    entry->timeout_flags = IORING_TIMEOUT_ABS;
  }
  return true;
}

void RuntimeCore::TimerPoll::OnCompletion(Completion) {
  armed_for_ = Timer::Clock::time_point::max();
  due_ = true;
  core_.receive_path_->set_now(Timer::Clock::now());
}

RuntimeStats RuntimeCore::stats() const {
  RuntimeStats stats;
  stats.turns = turns_;
  stats.completions = completions_;
  stats.completion_bytes = completions_ * ring_->completion_entry_bytes();
  stats.misplaced_streams = misplaced_;
  stats.completion_overflows = ring_->overflows();
  receive_path_->AddStats(stats);
  return stats;
}

// --- The end -----------------------------------------------------------------------

void RuntimeCore::Attach(RuntimeResource* resource) {
  resource->next_ = resources_;
  if (resources_ != nullptr) resources_->previous_ = resource;
  resources_ = resource;
}

void RuntimeCore::Detach(RuntimeResource* resource) {
  (resource->previous_ != nullptr ? resource->previous_->next_ : resources_) = resource->next_;
  if (resource->next_ != nullptr) resource->next_->previous_ = resource->previous_;
  resource->previous_ = resource->next_ = nullptr;
}

RuntimeCore::~RuntimeCore() {
  End();
  if (event_fd_ >= 0) close(event_fd_);
}

void RuntimeCore::End() {
  if (shutting_down_) return;
  if (receive_path_ != nullptr) Shutdown();
  operations_ended_ = true;
  stats_publisher_.reset();
  // Those that wait for something that is not ours.
  tasks_.DestroyAll();
  while (resources_ != nullptr) {
    RuntimeResource* resource = resources_;
    Detach(resource);
    resource->OnRuntimeGone();
  }
  // The ring goes before the region it fills: the kernel must have no reason to write there any more.
  ring_.reset();
  reservation_.reset();
}

void RuntimeCore::Shutdown() {
  shutting_down_ = true;
  context_.Cancel();
  const auto overdue = std::chrono::steady_clock::now() + kShutdownGrace;
  bool dropped = false;
  bool progress = true;
  while (true) {
    // A resource may go away in OnShutdown(): take the next one first.
    for (RuntimeResource *resource = resources_, *next; resource != nullptr; resource = next) {
      next = resource->next_;
      resource->OnShutdown();
    }
    if (!dropped && std::chrono::steady_clock::now() > overdue) {
      for (RuntimeResource *resource = resources_, *next; resource != nullptr; resource = next) {
        next = resource->next_;
        resource->OnShutdownOverdue();
      }
      dropped = true;
    }
    if (ring_->in_flight() == 0 && ready_.empty()) return;
    // What nobody has cancelled by itself, once all else has completed: for each request that it finds the
    // kernel walks past those that are cancelled already. With 10,000 streams that took a minute.
    std::chrono::nanoseconds wait = std::chrono::nanoseconds::zero();
    if (!progress) {
      ring_->PrepareCancelAll();
      wait = std::chrono::milliseconds(10);
    }
    const uint64_t before = completions_;
    // An error here would be one of the ring itself: the kernel ends what is left when the ring is closed.
    if (!Turn(wait).ok()) return;
    progress = completions_ != before;
  }
}

}  // namespace zcrx::inline v0::internal
