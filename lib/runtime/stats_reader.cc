// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/stats_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/ifq/mapping.h"
#include "lib/runtime/stats_publisher.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {
namespace {

constexpr size_t kWords = sizeof(StatsPage) / sizeof(uint64_t);
constexpr size_t kSequenceWord = offsetof(StatsPage, sequence) / sizeof(uint64_t);
using Words = std::array<uint64_t, kWords>;

// A writer takes less than a microsecond, but may be interrupted.
constexpr int kTries = 20;
constexpr auto kPause = std::chrono::microseconds(100);

// What somebody else has mapped as well.
class ForeignMemory {
 public:
  ForeignMemory(int fd, size_t bytes)
      : bytes_(bytes), base_(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0)) {}
  ForeignMemory(const ForeignMemory&) = delete;
  ForeignMemory& operator=(const ForeignMemory&) = delete;
  ~ForeignMemory() {
    if (!empty()) munmap(base_, bytes_);
  }

  bool empty() const { return base_ == MAP_FAILED; }
  uint64_t* words() const { return static_cast<uint64_t*>(base_); }

 private:
  const size_t bytes_;
  void* const base_;
};

// Nothing if the page is being written.
std::optional<Words> TryCopy(uint64_t* memory) {
  const std::atomic_ref<uint64_t> sequence(memory[kSequenceWord]);
  // Acquire: pairs with the last store of WriteStatsPage(); what is copied is no older than that.
  const uint64_t before = sequence.load(std::memory_order_acquire);
  if (before % 2 != 0) return std::nullopt;
  Words words = {};
  for (size_t i = 0; i < kWords; ++i) {
    // Acquire: pairs with the store of the word. One that is newer than `before` brings the odd sequence that
    // came before it, which the load below then sees.
    words[i] = std::atomic_ref(memory[i]).load(std::memory_order_acquire);
  }
  // Relaxed: all loads above come before it, as they acquire.
  if (sequence.load(std::memory_order_relaxed) != before) return std::nullopt;
  return words;
}

absl::StatusOr<StatsPage> Check(StatsPage page) {
  if (page.magic != StatsPage::kMagic)
    return absl::DataLossError("it has not the first bytes of a stats page");
  if (page.version != StatsPage::kVersion) {
    return absl::UnimplementedError(absl::StrCat("its stats page is of version ", page.version,
                                                 ", and this program knows ", StatsPage::kVersion,
                                                 "; fix: programs of the same version of zcrx"));
  }
  if (page.bytes < sizeof(StatsPage)) return absl::DataLossError("its stats page is too short");
  page.holder_count = std::min<uint64_t>(page.holder_count, StatsPage::kMostHolders);
  page.name.back() = '\0';
  // Whatever it says, a terminal is to show it and do nothing else.
  for (char& c : page.name) {
    if (c != '\0' && !absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return page;
}

}  // namespace

absl::StatusOr<StatsPage> ReadStatsPage(int fd) {
  // Without this seal its maker could take the memory away while it is looked at, which would end the reader.
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return ErrnoStatus(errno, "the seals of a stats page");
  struct stat file = {};
  if (fstat(fd, &file) != 0) return ErrnoStatus(errno, "the size of a stats page");
  if ((seals & F_SEAL_SHRINK) == 0 || file.st_size < static_cast<off_t>(sizeof(StatsPage)))
    return absl::DataLossError("its stats page is too short, or could become so");
  const ForeignMemory memory(fd, sizeof(StatsPage));
  if (memory.empty()) return ErrnoStatus(errno, "mapping a stats page");
  for (int i = 0; i < kTries; ++i) {
    if (const std::optional<Words> words = TryCopy(memory.words()))
      return Check(std::bit_cast<StatsPage>(*words));
    std::this_thread::sleep_for(kPause);
  }
  return absl::UnavailableError("its stats page is always being written");
}

namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPagesOfProcess = 256;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// The file system that all memory files are on, and nothing else that has a name.
std::optional<dev_t> MemoryFileDevice() {
  const Mapping ours = Mapping::MapShareable(1);
  struct stat file = {};
  if (ours.empty() || fstat(ours.memory_fd(), &file) != 0) return std::nullopt;
  return file.st_dev;
}

// The number that the process knows itself by, in the innermost pid namespace it is in.
std::optional<int> OwnPid(const fs::path& process) {
  std::ifstream status(process / "status");
  std::optional<int> pid;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("NSpid:", 0) != 0) continue;
    std::istringstream numbers(line.substr(6));
    for (int number = 0; numbers >> number;) pid = number;
  }
  return pid;
}

// Reads the pages of one process, each once.
class ProcessReader {
 public:
  ProcessReader(int pid, fs::path process, dev_t device)
      : pid_(pid), process_(std::move(process)), device_(device) {}

  std::vector<PublishedStats> Read() {
    std::error_code error;
    // Processes come and go, and many are not ours to look into: no error is one.
    for (fs::directory_iterator fd(process_ / "fd", error), end; !error && fd != end; fd.increment(error)) {
      std::error_code gone;
      const fs::path target = fs::read_symlink(fd->path(), gone);
      if (target.native() == absl::StrCat("/memfd:", kStatsFileName, " (deleted)")) Add(fd->path());
      if (pages_.size() == kMostPagesOfProcess) break;
    }
    return std::move(pages_);
  }

 private:
  void Add(const fs::path& link) {
    // Others can make files of any kind appear under this name. As a path only it can be looked at and does
    // nothing: a device is not opened, a pipe or a file system in user space cannot block.
    const FileDescriptor path(open(link.c_str(), O_PATH | O_CLOEXEC));
    struct statx file = {};
    if (path.get() < 0 || statx(path.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
                                STATX_TYPE | STATX_INO | STATX_UID, &file) != 0) {
      return;
    }
    const bool is_memory = makedev(file.stx_dev_major, file.stx_dev_minor) == device_;
    if (!is_memory || !S_ISREG(file.stx_mode) || !seen_.insert(file.stx_ino).second) return;
    const FileDescriptor fd(open(absl::StrCat("/proc/self/fd/", path.get()).c_str(), O_RDONLY | O_CLOEXEC));
    absl::StatusOr<StatsPage> page =
        fd.get() >= 0 ? ReadStatsPage(fd.get())
                      : absl::StatusOr<StatsPage>(ErrnoStatus(errno, "opening a stats page"));
    if (!own_pid_.has_value()) own_pid_ = OwnPid(process_);
    // A child of a server has its files, too, until it executes something else.
    if (page.ok() && page->pid != own_pid_) return;
    pages_.push_back({.pid = pid_, .uid = file.stx_uid, .page = std::move(page)});
  }

  const int pid_;
  const fs::path process_;
  const dev_t device_;
  std::optional<int> own_pid_;
  std::set<uint64_t> seen_;
  std::vector<PublishedStats> pages_;
};

}  // namespace
}  // namespace internal

std::vector<PublishedStats> ReadStatsPages() {
  std::vector<PublishedStats> all;
  const std::optional<dev_t> device = internal::MemoryFileDevice();
  if (!device.has_value()) return all;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry->path().filename().string(), &pid)) continue;
    for (PublishedStats& published : internal::ProcessReader(pid, entry->path(), *device).Read())
      all.push_back(std::move(published));
  }
  const auto key = [](const PublishedStats& published) {
    return std::pair(published.pid, published.page.ok() ? published.page->runtime : 0);
  };
  std::sort(all.begin(), all.end(),
            [&key](const PublishedStats& a, const PublishedStats& b) { return key(a) < key(b); });
  return all;
}

}  // namespace zcrx::inline v0
