// SPDX-License-Identifier: Apache-2.0
#include "zcrx/nic_reservation.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/reservation_plan.h"
#include "lib/netdev/reservation_record.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"
#include "lib/uapi/log.h"
#include "zcrx/netdev.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

// A queue whose io_uring has just been closed is freed a little later; until then NICs refuse changes.
constexpr auto kLongestWait = std::chrono::seconds(10);
constexpr auto kPause = std::chrono::milliseconds(10);

using Progress = std::function<void(const Change& change, bool done)>;

template <typename T>
std::vector<uint32_t> IdsOf(const std::vector<T>& all) {
  std::vector<uint32_t> ids;
  ids.reserve(all.size());
  for (const T& one : all) ids.push_back(one.id);
  return ids;
}

template <typename T>
const T* FindById(const std::vector<T>& all, uint32_t id) {
  const auto found = std::find_if(all.begin(), all.end(), [id](const T& one) { return one.id == id; });
  return found != all.end() ? &*found : nullptr;
}

bool Contains(const std::vector<uint32_t>& ids, uint32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

absl::Status NotAsWritten(const std::string& interface, const std::string& what) {
  return absl::AbortedError(
      absl::StrCat(what, " of ", interface, ": the driver says it is done, and it reads as if it were not"));
}

// --- The NIC and its record, while the file is locked --------------------------------

class Workshop {
 public:
  static absl::StatusOr<Workshop> Open(const std::string& interface, const std::string& directory) {
    absl::StatusOr<Interface> found = FindInterface(interface);
    if (!found.ok()) return found.status();
    absl::StatusOr<RecordFile> file = RecordFile::Open(directory, *found);
    if (!file.ok()) return file.status();
    absl::StatusOr<NicRecord> record = file->Load();
    if (!record.ok()) return record.status();
    Workshop workshop(*std::move(found), *std::move(file), *std::move(record));
    workshop.record_.interface = workshop.interface_.name;
    workshop.record_.index = workshop.interface_.index;
    if (absl::Status settled = workshop.SettleInterrupted(); !settled.ok()) return settled;
    return workshop;
  }

  NicRecord& record() { return record_; }

  // A new one, made step by step. On an error what has been done is undone.
  absl::StatusOr<uint32_t> Add(const ReservationOptions& options, const Progress& progress);

  // Undoes one. ABORTED, with what was left as it is.
  absl::Status Remove(uint32_t id);

  absl::StatusOr<uint32_t> RemoveDead();

 private:
  Workshop(Interface interface, RecordFile file, NicRecord record)
      : interface_(std::move(interface)), file_(std::move(file)), record_(std::move(record)) {}

  absl::Status Save() const { return file_.Save(record_); }
  absl::StatusOr<NicState> Read() const { return ReadNic(interface_.name); }

  // What a process has died in.
  absl::Status SettleInterrupted();

  absl::Status TakeSteps(uint32_t id, uint32_t queues, const Progress& progress);
  absl::Status Do(const Step& step, const NicState& nic, uint32_t id);
  absl::Status DoSetting(Setting setting, const std::string& from, const std::string& to);
  absl::Status DoContext(const ContextStep& step, const NicState& nic, KeptReservation& mine);
  absl::Status DoRule(const RuleStep& step, const NicState& nic, KeptReservation& mine);

  void RemoveRules(const KeptReservation& reservation);
  void RemoveContext(const KeptReservation& reservation);
  absl::Status PutSettingsBack();
  void Leave(const std::string& what) { left_.push_back(what); }
  void WaitUntilFree(const std::vector<uint32_t>& queues) const;

  Interface interface_;
  RecordFile file_;
  NicRecord record_;
  std::vector<std::string> left_;  // what somebody else has changed, in sentences
};

absl::Status Workshop::SettleInterrupted() {
  const absl::StatusOr<NicState> nic = Read();
  if (!nic.ok()) return nic.status();
  for (KeptReservation& reservation : record_.reservations) {
    if (!reservation.adding.has_value()) continue;
    const std::vector<uint32_t>& before = reservation.adding->before;
    if (reservation.adding->context) {
      const std::vector<uint32_t> table = ContextTable(*nic, reservation.queues);
      for (const RssContext& context : nic->rss) {
        if (!Contains(before, context.id) && context.table == table) reservation.context = context.id;
      }
    } else {
      const std::vector<TcpRule> rules = RulesOf(reservation);
      for (const Rule& rule : nic->rules) {
        const size_t next = reservation.rules.size();
        if (next < rules.size() && !Contains(before, rule.id) && Matches(rule, rules[next]))
          reservation.rules.push_back(rule.id);
      }
    }
    reservation.adding.reset();
  }
  for (KeptSetting& kept : record_.settings) {
    if (!kept.pending.has_value()) continue;
    if (ReadSetting(*nic, kept.setting) == kept.pending) kept.set = *kept.pending;
    kept.pending.reset();
  }
  return absl::OkStatus();
}

// --- Making ----------------------------------------------------------------------

absl::StatusOr<uint32_t> Workshop::Add(const ReservationOptions& options, const Progress& progress) {
  // Else what a killed process has left would be in the way.
  if (const auto removed = RemoveDead(); !removed.ok()) return removed.status();
  const absl::StatusOr<NicState> nic = Read();
  if (!nic.ok()) return nic.status();
  if (absl::Status checked = CheckNic(*nic, options); !checked.ok()) return checked;
  uint32_t id = 1;
  while (record_.Find(id) != nullptr) ++id;
  KeptReservation& mine = record_.reservations.emplace_back();
  mine.id = id;
  mine.flows = options.flows;
  if (!options.outlive_process) mine.process = ProcessId::Own();
  absl::Status taken = TakeSteps(id, options.queues, progress);
  // Also where it reads as if it were on: the kernel wants to have been asked for it (see HeaderSplit), and
  // does not tell whether it was.
  if (taken.ok() && record_.Find(Setting::kHeaderSplit) == nullptr)
    taken = WriteSetting(interface_, Setting::kHeaderSplit, "on");
  if (taken.ok()) return id;
  if (const absl::Status removed = Remove(id); !removed.ok()) {
    return ErrnoStatus(ErrnoOf(taken), absl::StrCat(taken.message(),
                                                    "; and undoing what had been done: ", removed.message()));
  }
  return taken;
}

absl::Status Workshop::TakeSteps(uint32_t id, uint32_t queues, const Progress& progress) {
  while (true) {
    const absl::StatusOr<NicState> nic = Read();
    if (!nic.ok()) return nic.status();
    const auto step = NextStep(*nic, record_, id, queues);
    if (!step.ok()) return step.status();
    if (!step->has_value()) return Save();
    const Change change = Describe(**step, interface_.name);
    if (progress) progress(change, false);
    if (absl::Status done = Do(**step, *nic, id); !done.ok()) return done;
    if (progress) progress(change, true);
  }
}

absl::Status Workshop::Do(const Step& step, const NicState& nic, uint32_t id) {
  KeptReservation& mine = *record_.Find(id);
  if (const auto* setting = std::get_if<SettingStep>(&step))
    return DoSetting(setting->setting, setting->from, setting->to);
  if (const auto* context = std::get_if<ContextStep>(&step)) return DoContext(*context, nic, mine);
  return DoRule(std::get<RuleStep>(step), nic, mine);
}

absl::Status Workshop::DoSetting(Setting setting, const std::string& from, const std::string& to) {
  if (record_.Find(setting) == nullptr) record_.settings.push_back({setting, from, from, std::nullopt});
  KeptSetting& kept = *record_.Find(setting);
  kept.pending = to;
  if (absl::Status saved = Save(); !saved.ok()) return saved;
  absl::Status written = WriteSetting(interface_, setting, to);
  const absl::StatusOr<NicState> nic = Read();
  if (!nic.ok()) return nic.status();
  kept.pending.reset();
  const bool done = ReadSetting(*nic, setting) == to;
  if (done) kept.set = to;
  // The number of queues may have changed.
  interface_ = nic->interface;
  if (!written.ok()) return written;
  return done ? Save()
              : NotAsWritten(interface_.name, Describe(SettingStep{setting, from, to}, interface_.name).what);
}

absl::Status Workshop::DoContext(const ContextStep& step, const NicState& nic, KeptReservation& mine) {
  mine.adding = {.context = true, .before = IdsOf(nic.rss)};
  if (absl::Status saved = Save(); !saved.ok()) return saved;
  const absl::StatusOr<uint32_t> added = AddRssContext(interface_, step.table);
  mine.adding.reset();
  if (ErrnoOf(added.status()) == EOPNOTSUPP) {
    return ErrnoStatus(EOPNOTSUPP,
                       absl::StrCat("the driver of ", interface_.name,
                                    " has no RSS contexts, which would spread over several queues; fix: "
                                    "one queue"));
  }
  if (!added.ok()) return added.status();
  mine.context = *added;
  return Save();
}

absl::Status Workshop::DoRule(const RuleStep& step, const NicState& nic, KeptReservation& mine) {
  mine.adding = {.context = false, .before = IdsOf(nic.rules)};
  if (absl::Status saved = Save(); !saved.ok()) return saved;
  const absl::StatusOr<uint32_t> added = AddTcpRule(interface_, step.rule);
  mine.adding.reset();
  if (!added.ok()) return added.status();
  mine.rules.push_back(*added);
  const absl::StatusOr<std::vector<Rule>> now = ListRules(interface_);
  if (!now.ok()) return now.status();
  const Rule* rule = FindById(*now, *added);
  if (rule == nullptr || !Matches(*rule, step.rule))
    return NotAsWritten(interface_.name, Describe(step, interface_.name).what);
  return Save();
}

// --- Undoing ---------------------------------------------------------------------

absl::Status Workshop::Remove(uint32_t id) {
  KeptReservation* found = record_.Find(id);
  if (found == nullptr) {
    return absl::NotFoundError(absl::StrCat(interface_.name, " has no reservation ", id));
  }
  const KeptReservation reservation = *found;
  found->removing = true;
  if (absl::Status saved = Save(); !saved.ok()) return saved;
  WaitUntilFree(reservation.queues);
  RemoveRules(reservation);
  RemoveContext(reservation);
  std::erase_if(record_.reservations, [id](const KeptReservation& kept) { return kept.id == id; });
  if (absl::Status saved = Save(); !saved.ok()) return saved;
  if (absl::Status put_back = PutSettingsBack(); !put_back.ok()) return put_back;
  const std::vector<std::string> left = std::exchange(left_, {});
  if (left.empty()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("left as it is: ", absl::StrJoin(left, "; ")));
}

void Workshop::RemoveRules(const KeptReservation& reservation) {
  if (reservation.rules.empty()) return;
  const absl::StatusOr<std::vector<Rule>> now = ListRules(interface_);
  if (!now.ok()) return Leave(std::string(now.status().message()));
  const std::vector<TcpRule> rules = RulesOf(reservation);
  for (size_t i = reservation.rules.size(); i-- > 0;) {
    const uint32_t number = reservation.rules[i];
    const Rule* rule = FindById(*now, number);
    if (rule == nullptr) {
      if (!reservation.removing)
        Leave(absl::StrCat("rule ", number, " of ", interface_.name, ", which is not there any more"));
    } else if (!Matches(*rule, rules[i])) {
      Leave(absl::StrCat("rule ", number, " of ", interface_.name, ", which is another one now"));
    } else if (absl::Status removed = RemoveRule(interface_, number); !removed.ok()) {
      Leave(std::string(removed.message()));
    }
  }
}

void Workshop::RemoveContext(const KeptReservation& reservation) {
  if (!reservation.context.has_value()) return;
  const absl::StatusOr<NicState> nic = Read();
  const RssContext* context = nic.ok() ? FindById(nic->rss, *reservation.context) : nullptr;
  const std::string name = absl::StrCat("RSS context ", *reservation.context, " of ", interface_.name);
  if (context == nullptr) {
    if (!reservation.removing) Leave(absl::StrCat(name, ", which is not there any more"));
  } else if (context->table != ContextTable(*nic, reservation.queues)) {
    Leave(absl::StrCat(name, ", which has another table now"));
  } else if (absl::Status removed = RemoveRssContext(interface_, *reservation.context); !removed.ok()) {
    Leave(std::string(removed.message()));
  }
}

absl::Status Workshop::PutSettingsBack() {
  for (size_t i = kSettings.size(); i-- > 0;) {
    const Setting setting = kSettings[i];
    const KeptSetting* kept = record_.Find(setting);
    if (kept == nullptr) continue;
    const absl::StatusOr<NicState> nic = Read();
    if (!nic.ok()) return nic.status();
    const std::string now = ReadSetting(*nic, setting).value_or("nothing");
    const std::string wanted = DesiredValue(*nic, record_, setting).value_or(now);
    const std::string_view words = NameOf(setting);
    const std::string name =
        absl::StrCat(absl::string_view(words.data(), words.size()), " of ", interface_.name);
    if (now != kept->set && now != wanted) {
      Leave(absl::StrCat(name, ", which was set to ", now, " meanwhile (by us to ", kept->set,
                         ", before that ", kept->original, ")"));
    } else if (setting == Setting::kNtupleFilters && wanted == "off" && now == "on" && !nic->rules.empty()) {
      // Switching it off would remove them.
      Leave(absl::StrCat(name, ", which stays on: others have set rules"));
    } else if (now != wanted) {
      if (absl::Status done = DoSetting(setting, now, wanted); !done.ok()) Leave(std::string(done.message()));
    }
    if (!record_.reservations.empty()) continue;
    std::erase_if(record_.settings, [setting](const KeptSetting& one) { return one.setting == setting; });
    if (absl::Status saved = Save(); !saved.ok()) return saved;
  }
  return Save();
}

absl::StatusOr<uint32_t> Workshop::RemoveDead() {
  std::vector<uint32_t> dead;
  for (const KeptReservation& reservation : record_.reservations) {
    if (!reservation.process.alive() || reservation.removing) dead.push_back(reservation.id);
  }
  absl::Status status;
  for (const uint32_t id : dead) status.Update(Remove(id));
  // A process that died while it undid its last one has left settings alone.
  if (dead.empty() && record_.reservations.empty()) status.Update(PutSettingsBack());
  if (!status.ok()) return status;
  return static_cast<uint32_t>(dead.size());
}

void Workshop::WaitUntilFree(const std::vector<uint32_t>& queues) const {
  const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto now = GetRxQueues(interface_);
    const bool free = !now.ok() || std::none_of(now->begin(), now->end(), [&queues](const RxQueue& queue) {
      return queue.io_uring && Contains(queues, queue.id);
    });
    if (free) return;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

// --- What is public --------------------------------------------------------------

struct NicReservation::State {
  std::string interface;
  std::string directory;
  uint32_t id = 0;
  std::vector<uint32_t> queues;
  std::vector<Change> changes;
  bool outlives = false;
  bool released = false;
};

absl::StatusOr<std::vector<Change>> PlanReservation(const ReservationOptions& options) {
  if (absl::Status checked = CheckOptions(options); !checked.ok()) return checked;
  absl::StatusOr<NicState> nic = ReadNic(options.interface);
  if (!nic.ok()) return nic.status();
  if (absl::Status checked = CheckNic(*nic, options); !checked.ok()) return checked;
  absl::StatusOr<NicRecord> record = ReadRecord(options.state_directory, nic->interface);
  if (!record.ok()) return record.status();
  const uint32_t id = UINT32_MAX;
  KeptReservation& mine = record->reservations.emplace_back();
  mine.id = id;
  mine.flows = options.flows;
  std::vector<Change> changes;
  while (true) {
    const auto step = NextStep(*nic, *record, id, options.queues);
    if (!step.ok()) return step.status();
    if (!step->has_value()) return changes;
    changes.push_back(Describe(**step, nic->interface.name));
    Imagine(**step, *nic, *record, id);
  }
}

absl::StatusOr<NicReservation> NicReservation::Make(const ReservationOptions& options) {
  if (absl::Status checked = CheckOptions(options); !checked.ok()) return checked;
  absl::StatusOr<Workshop> workshop = Workshop::Open(options.interface, options.state_directory);
  if (!workshop.ok()) return workshop.status();
  auto state = std::make_unique<State>();
  const absl::StatusOr<uint32_t> id = workshop->Add(options, [&](const Change& change, bool done) {
    if (done) state->changes.push_back(change);
    if (options.progress) options.progress(change, done);
  });
  if (!id.ok()) return id.status();
  state->interface = options.interface;
  state->directory = options.state_directory;
  state->id = *id;
  state->queues = workshop->record().Find(*id)->queues;
  state->outlives = options.outlive_process;
  return NicReservation(std::move(state));
}

NicReservation::NicReservation(std::unique_ptr<State> state) : state_(std::move(state)) {}
NicReservation::NicReservation(NicReservation&&) noexcept = default;
NicReservation& NicReservation::operator=(NicReservation&& other) noexcept {
  // What this had is released by the destructor of the other.
  std::swap(state_, other.state_);
  return *this;
}

NicReservation::~NicReservation() {
  if (state_ == nullptr || state_->outlives) return;
  if (const absl::Status released = Release(); !released.ok())
    internal::Log(LogSeverity::kWarning, "reservation.left", released.message());
}

uint32_t NicReservation::id() const { return state_->id; }
const std::vector<uint32_t>& NicReservation::rx_queues() const { return state_->queues; }
const std::vector<Change>& NicReservation::changes() const { return state_->changes; }

absl::Status NicReservation::Release() {
  if (std::exchange(state_->released, true)) return absl::OkStatus();
  return ReleaseReservation(state_->interface, state_->id, state_->directory);
}

absl::StatusOr<std::vector<ReservationInfo>> ListReservations(const std::string& interface,
                                                              const std::string& state_directory) {
  const absl::StatusOr<Interface> found = FindInterface(interface);
  if (!found.ok()) return found.status();
  const absl::StatusOr<NicRecord> record = ReadRecord(state_directory, *found);
  if (!record.ok()) return record.status();
  std::vector<ReservationInfo> list;
  for (const KeptReservation& kept : record->reservations) {
    list.push_back({.id = kept.id,
                    .pid = kept.process.pid,
                    .alive = kept.process.alive(),
                    .rx_queues = kept.queues,
                    .flows = kept.flows});
  }
  return list;
}

absl::Status ReleaseReservation(const std::string& interface, uint32_t id,
                                const std::string& state_directory) {
  absl::StatusOr<Workshop> workshop = Workshop::Open(interface, state_directory);
  return workshop.ok() ? workshop->Remove(id) : workshop.status();
}

absl::StatusOr<uint32_t> RestoreNic(const std::string& interface, const std::string& state_directory) {
  absl::StatusOr<Workshop> workshop = Workshop::Open(interface, state_directory);
  return workshop.ok() ? workshop->RemoveDead() : workshop.status();
}

}  // namespace zcrx::inline v0::netdev
