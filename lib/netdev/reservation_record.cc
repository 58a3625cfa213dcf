// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/reservation_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

constexpr char kFirstLine[] = "zcrx-nic 1";

// When the process was started; 0 if there is none. A zombie is none.
uint64_t StartOf(int pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The name, in parentheses, may have anything in it. Behind it come the state and, as the 22nd field of
  // all, the start: proc(5).
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields = absl::StrSplit(line.substr(name_end + 2), ' ');
  uint64_t start = 0;
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X" || !absl::SimpleAtoi(fields[19], &start))
    return 0;
  return start;
}

// --- Text ------------------------------------------------------------------------

std::string ListText(const std::vector<uint32_t>& numbers) {
  return numbers.empty() ? "-" : absl::StrJoin(numbers, ",");
}

void AppendReservation(const KeptReservation& reservation, std::string& text) {
  absl::StrAppend(&text, "reservation ", reservation.id, " ", reservation.process.pid, " ",
                  reservation.process.started, "\n", "queues ", ListText(reservation.queues), "\n");
  for (const Flow& flow : reservation.flows)
    absl::StrAppend(&text, "flow ", flow.port, " ", flow.address.empty() ? "*" : flow.address, "\n");
  if (reservation.context.has_value()) absl::StrAppend(&text, "context ", *reservation.context, "\n");
  absl::StrAppend(&text, "rules ", ListText(reservation.rules), "\n");
  if (reservation.adding.has_value()) {
    absl::StrAppend(&text, "adding ", reservation.adding->context ? "context" : "rule", " ",
                    ListText(reservation.adding->before), "\n");
  }
  if (reservation.removing) absl::StrAppend(&text, "removing\n");
}

// Reads the words of one line; `ok` turns false at the first that makes no sense.
class Words {
 public:
  explicit Words(const std::string& line) : words_(absl::StrSplit(line, ' ')) {}

  std::string Next() {
    if (next_ < words_.size()) return words_[next_++];
    ok_ = false;
    return "";
  }
  template <typename Number>
  Number NextNumber() {
    Number number = 0;
    ok_ &= absl::SimpleAtoi(Next(), &number);
    return number;
  }
  std::vector<uint32_t> NextList() {
    std::vector<uint32_t> numbers;
    const std::string text = Next();
    if (text == "-") return numbers;
    for (const auto word : absl::StrSplit(text, ',')) ok_ &= absl::SimpleAtoi(word, &numbers.emplace_back());
    return numbers;
  }
  bool more() const { return next_ < words_.size(); }
  void Fail() { ok_ = false; }
  // All has been read, and made sense.
  bool ok() const { return ok_ && !more(); }

 private:
  std::vector<std::string> words_;
  size_t next_ = 0;
  bool ok_ = true;
};

void ReadSettingLine(Words& words, NicRecord& record) {
  const std::optional<Setting> setting = FindSetting(words.Next());
  if (!setting.has_value()) return words.Fail();
  KeptSetting& kept = record.settings.emplace_back();
  kept.setting = *setting;
  kept.original = words.Next();
  kept.set = words.Next();
  if (words.more()) kept.pending = words.Next();
}

void ReadReservationLine(const std::string& kind, Words& words, KeptReservation& reservation) {
  if (kind == "queues") {
    reservation.queues = words.NextList();
  } else if (kind == "flow") {
    Flow& flow = reservation.flows.emplace_back();
    flow.port = static_cast<uint16_t>(words.NextNumber<uint32_t>());
    flow.address = words.Next();
    if (flow.address == "*") flow.address.clear();
  } else if (kind == "context") {
    reservation.context = words.NextNumber<uint32_t>();
  } else if (kind == "rules") {
    reservation.rules = words.NextList();
  } else if (kind == "removing") {
    reservation.removing = true;
  } else if (kind == "adding") {
    const std::string what = words.Next();
    if (what != "context" && what != "rule") words.Fail();
    reservation.adding = {.context = what == "context", .before = words.NextList()};
  } else {
    words.Fail();
  }
}

bool ReadLine(const std::string& line, NicRecord& record) {
  Words words(line);
  const std::string kind = words.Next();
  if (kind == "interface") {
    record.index = words.NextNumber<uint32_t>();
    record.interface = words.Next();
  } else if (kind == "setting") {
    ReadSettingLine(words, record);
  } else if (kind == "reservation") {
    KeptReservation& reservation = record.reservations.emplace_back();
    reservation.id = words.NextNumber<uint32_t>();
    reservation.process.pid = words.NextNumber<int>();
    reservation.process.started = words.NextNumber<uint64_t>();
  } else if (!record.reservations.empty()) {
    ReadReservationLine(kind, words, record.reservations.back());
  } else {
    return false;
  }
  return words.ok();
}

// --- Where it is -----------------------------------------------------------------

// Interfaces are numbered anew in each network namespace.
absl::StatusOr<std::string> PathOf(const std::string& directory, const Interface& interface) {
  struct stat space = {};
  if (stat("/proc/thread-self/ns/net", &space) != 0) return ErrnoStatus(errno, "/proc/thread-self/ns/net");
  return absl::StrCat(directory, "/nic-", space.st_ino, "-", interface.index);
}

absl::StatusOr<NicRecord> ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return NicRecord();
  std::ostringstream text;
  text << file.rdbuf();
  absl::StatusOr<NicRecord> record = NicRecord::FromText(text.str());
  if (!record.ok()) {
    return absl::DataLossError(absl::StrCat(path, " is not what zcrx wrote: ", record.status().message(),
                                            "; fix: see that the NIC is as it should be, and remove it"));
  }
  return record;
}

}  // namespace

ProcessId ProcessId::Own() { return {.pid = getpid(), .started = StartOf(getpid())}; }

bool ProcessId::alive() const { return pid == 0 || (started != 0 && StartOf(pid) == started); }

std::vector<TcpRule> RulesOf(const KeptReservation& reservation) {
  std::vector<TcpRule> rules;
  for (const Flow& flow : reservation.flows) {
    for (const IpFamily family : {IpFamily::kIpv4, IpFamily::kIpv6}) {
      const bool ipv6 = flow.address.find(':') != std::string::npos;
      if (!flow.address.empty() && ipv6 != (family == IpFamily::kIpv6)) continue;
      TcpRule& rule = rules.emplace_back();
      rule.family = family;
      rule.local_port = flow.port;
      rule.local_address = flow.address;
      rule.rss_context = reservation.context;
      if (!reservation.context.has_value() && !reservation.queues.empty())
        rule.rx_queue = reservation.queues[0];
    }
  }
  return rules;
}

KeptSetting* NicRecord::Find(Setting setting) {
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [setting](const KeptSetting& kept) { return kept.setting == setting; });
  return found != settings.end() ? &*found : nullptr;
}

const KeptSetting* NicRecord::Find(Setting setting) const {
  return const_cast<NicRecord*>(this)->Find(setting);
}

KeptReservation* NicRecord::Find(uint32_t id) {
  const auto found = std::find_if(reservations.begin(), reservations.end(),
                                  [id](const KeptReservation& kept) { return kept.id == id; });
  return found != reservations.end() ? &*found : nullptr;
}

std::string NicRecord::ToText() const {
  std::string text = absl::StrCat(kFirstLine, "\ninterface ", index, " ", interface, "\n");
  for (const KeptSetting& kept : settings) {
    const std::string_view name = NameOf(kept.setting);
    absl::StrAppend(&text, "setting ", absl::string_view(name.data(), name.size()), " ", kept.original, " ",
                    kept.set, kept.pending.has_value() ? absl::StrCat(" ", *kept.pending) : "", "\n");
  }
  for (const KeptReservation& reservation : reservations) AppendReservation(reservation, text);
  return text;
}

absl::StatusOr<NicRecord> NicRecord::FromText(std::string_view text) {
  NicRecord record;
  std::istringstream lines{std::string(text)};
  std::string line;
  if (!std::getline(lines, line) || line != kFirstLine)
    return absl::DataLossError(absl::StrCat("it does not begin with \"", kFirstLine, "\""));
  while (std::getline(lines, line)) {
    if (!ReadLine(line, record)) return absl::DataLossError(absl::StrCat("what does \"", line, "\" mean?"));
  }
  if (record.index == 0) return absl::DataLossError("it does not name an interface");
  return record;
}

// --- The file --------------------------------------------------------------------

absl::StatusOr<RecordFile> RecordFile::Open(const std::string& directory, const Interface& interface) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, absl::StrCat("creating ", directory));
  const absl::StatusOr<std::string> path = PathOf(directory, interface);
  if (!path.ok()) return path.status();
  const std::string lock_path = absl::StrCat(*path, ".lock");
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return ErrnoStatus(errno, absl::StrCat("opening ", lock_path));
  RecordFile file(*path, lock);
  while (flock(lock, LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, absl::StrCat("locking ", lock_path));
  }
  return file;
}

RecordFile::RecordFile(RecordFile&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RecordFile::~RecordFile() {
  if (lock_ >= 0) close(lock_);
}

absl::StatusOr<NicRecord> RecordFile::Load() const { return ReadFile(path_); }

absl::StatusOr<NicRecord> ReadRecord(const std::string& directory, const Interface& interface) {
  const absl::StatusOr<std::string> path = PathOf(directory, interface);
  if (!path.ok()) return path.status();
  return ReadFile(*path);
}

absl::Status RecordFile::Save(const NicRecord& record) const {
  if (record.empty()) {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT)
      return ErrnoStatus(errno, absl::StrCat("removing ", path_));
    return absl::OkStatus();
  }
  const std::string next = absl::StrCat(path_, ".new");
  const std::string text = record.ToText();
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!written) return ErrnoStatus(error, absl::StrCat("writing ", next));
  if (rename(next.c_str(), path_.c_str()) != 0) return ErrnoStatus(errno, absl::StrCat("writing ", path_));
  return absl::OkStatus();
}

}  // namespace zcrx::inline v0::netdev
