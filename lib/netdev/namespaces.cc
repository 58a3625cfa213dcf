// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

namespace zcrx::inline v0::netdev {
namespace {

bool HasInterface(const std::filesystem::path& space, const std::string& interface) {
  const int fd = open(space.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool found = setns(fd, CLONE_NEWNET) == 0 && if_nametoindex(interface.c_str()) != 0;
  close(fd);
  return found;
}

}  // namespace

std::vector<std::string> NamespacesWith(const std::string& interface) {
  std::vector<std::string> names;
  // A thread of its own, as it does not come back.
  std::thread([&] {
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/run/netns", error), end; !error && entry != end;
         entry.increment(error)) {
      if (HasInterface(entry->path(), interface)) names.push_back(entry->path().filename().string());
    }
  }).join();
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace zcrx::inline v0::netdev
