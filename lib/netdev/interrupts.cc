// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/interrupts.h"

#include <charconv>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace zcrx::inline v0::netdev {
namespace {

// Far more than Linux can have: bounds what a list that is none may cost.
constexpr uint32_t kMaxCpus = 1 << 16;

// Takes a number off the front of `text`; false if there is none, or none of a CPU.
bool TakeCpu(std::string_view& text, uint32_t& cpu) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (error != std::errc() || cpu >= kMaxCpus) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool TakeCharacter(std::string_view& text, char character) {
  if (text.empty() || text.front() != character) return false;
  text.remove_prefix(1);
  return true;
}

std::vector<uint32_t> ReadCpuList(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return ParseCpuList(line);
}

}  // namespace

std::vector<uint32_t> ParseCpuList(std::string_view text) {
  std::vector<uint32_t> cpus;
  while (true) {
    uint32_t first = 0;
    if (!TakeCpu(text, first)) return {};
    uint32_t last = first;
    if (TakeCharacter(text, '-') && !TakeCpu(text, last)) return {};
    // The kernel lists each CPU once, in order.
    if (last < first || (!cpus.empty() && first <= cpus.back())) return {};
    for (uint32_t cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (text.empty()) return cpus;
    if (!TakeCharacter(text, ',')) return {};
  }
}

void AddInterruptCpus(Napi& napi, const std::string& directory) {
  if (!napi.irq.has_value()) return;
  const std::string files = absl::StrCat(directory, "/", *napi.irq, "/");
  napi.irq_cpus = ReadCpuList(files + "smp_affinity_list");
  napi.irq_effective_cpus = ReadCpuList(files + "effective_affinity_list");
}

}  // namespace zcrx::inline v0::netdev
