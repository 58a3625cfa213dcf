// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/owners.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace zcrx::ctl {
namespace {

namespace fs = std::filesystem;

// Processes come and go, and many are not ours to look into: no error is one.
bool HasIoUring(const fs::path& process) {
  std::error_code error;
  for (fs::directory_iterator fd(process / "fd", error), end; !error && fd != end; fd.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(fd->path(), gone) == "anon_inode:[io_uring]") return true;
  }
  return false;
}

}  // namespace

std::string NameOfProcess(int pid) {
  std::ifstream comm(absl::StrCat("/proc/", pid, "/comm"));
  std::string name;
  std::getline(comm, name);
  // Whatever a process calls itself, a terminal is to show it and do nothing else.
  for (char& c : name) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return name;
}

std::vector<Process> IoUringProcesses() {
  std::vector<Process> processes;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    Process process;
    if (!absl::SimpleAtoi(entry->path().filename().string(), &process.pid) || !HasIoUring(entry->path()))
      continue;
    process.name = NameOfProcess(process.pid);
    processes.push_back(process);
  }
  std::sort(processes.begin(), processes.end(),
            [](const Process& a, const Process& b) { return a.pid < b.pid; });
  return processes;
}

uint64_t OwnNetworkNamespace() {
  struct stat file = {};
  return stat("/proc/thread-self/ns/net", &file) == 0 ? file.st_ino : 0;
}

bool ReceivesFrom(const PublishedStats& published, uint64_t netns, const netdev::Interface& interface,
                  uint32_t rx_queue) {
  if (!published.page.ok()) return false;
  const StatsPage& page = *published.page;
  return page.zero_copy != 0 && page.netns == netns && page.interface_index == interface.index &&
         page.rx_queue == rx_queue;
}

std::vector<Process> ReceiversOf(const std::vector<PublishedStats>& pages, const netdev::Interface& interface,
                                 uint32_t rx_queue) {
  const uint64_t netns = OwnNetworkNamespace();
  std::vector<Process> receivers;
  for (const PublishedStats& published : pages) {
    if (ReceivesFrom(published, netns, interface, rx_queue))
      receivers.push_back({.pid = published.pid, .name = NameOfProcess(published.pid)});
  }
  return receivers;
}

std::string Describe(const std::vector<Process>& processes) {
  return absl::StrJoin(processes, ", ", [](std::string* out, const Process& process) {
    absl::StrAppend(out, process.name, " (", process.pid, ")");
  });
}

Json ToJson(const std::vector<Process>& processes) {
  Json list = Json::array();
  for (const Process& process : processes) list.push_back({{"pid", process.pid}, {"name", process.name}});
  return list;
}

}  // namespace zcrx::ctl
