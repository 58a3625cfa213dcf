// SPDX-License-Identifier: Apache-2.0
#include "tools/zcrxctl/top_screen.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace zcrx::ctl {
namespace {

constexpr size_t kInterfaceWidth = 9;
constexpr size_t kProcessWidth = 20;
// Pages that cannot be read are named; more of them would push the queues off the screen.
constexpr size_t kMostUnreadable = 3;

// Whatever its name is, it is shown in so many columns and does nothing else to the terminal.
std::string Cut(std::string text, size_t width) {
  for (char& c : text) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  if (text.size() > width) {
    text.resize(width);
    if (width > 1) text.back() = '+';
  }
  return text;
}

std::string ShortOrDash(const std::optional<double>& number) {
  return number.has_value() ? Short(*number) : "-";
}

// The name gives way to the number.
std::string DescribeProcess(const TopRuntime& runtime) {
  const std::string pid = absl::StrCat(" ", runtime.pid);
  return Cut(runtime.process, kProcessWidth - std::min(pid.size(), kProcessWidth)) + pid;
}

// As far as is known the part of the pieces that is out, else how many are.
std::string DescribePool(const TopEntry& entry) {
  if (entry.runtime.has_value() && entry.runtime->page.pool_pieces > 0) {
    const StatsPage& page = entry.runtime->page;
    const double part = static_cast<double>(page.pieces_out) / static_cast<double>(page.pool_pieces);
    return absl::StrFormat("%.0f%%", std::min(100 * part, 999.0));
  }
  if (entry.page_pool.has_value() && entry.page_pool->inflight.has_value())
    return Short(static_cast<double>(*entry.page_pool->inflight));
  return "-";
}

std::string Row(const std::string& interface, const std::string& queue, const std::string& process,
                const std::string& user, const std::array<std::string, 6>& numbers) {
  std::string row = absl::StrFormat("%-*s %5s %-*s %5s", kInterfaceWidth, Cut(interface, kInterfaceWidth),
                                    queue, kProcessWidth, Cut(process, kProcessWidth), Cut(user, 5));
  for (const std::string& number : numbers) absl::StrAppendFormat(&row, " %5s", number);
  return row;
}

std::string Header() {
  return Row("INTERFACE", "QUEUE", "PROCESS", "USER", {"PKT/s", "ZC/s", "CP/s", "ZC", "POOL", "FAIL"});
}

std::string Row(const TopEntry& entry, const TopRates& rates) {
  const bool published = entry.runtime.has_value();
  const auto zero_copy =
      published ? std::optional<double>(static_cast<double>(entry.runtime->page.zero_copy_bytes()))
                : std::nullopt;
  const std::string nobody = entry.owner.empty() ? "-" : absl::StrCat("(", entry.owner, ")");
  return Row(entry.rx_queue.has_value() ? entry.interface : "(copies)",
             entry.rx_queue.has_value() ? absl::StrCat(*entry.rx_queue) : "-",
             published ? DescribeProcess(*entry.runtime) : nobody,
             published ? absl::StrCat(entry.runtime->uid) : "-",
             {ShortOrDash(rates.packets), ShortOrDash(rates.zero_copy_bytes), ShortOrDash(rates.copied_bytes),
              ShortOrDash(zero_copy), DescribePool(entry), Short(static_cast<double>(FailuresOf(entry)))});
}

bool IsUnderPressure(const TopEntry& entry) {
  return entry.runtime.has_value() && entry.runtime->page.pressure_high != 0;
}

// Empty if nothing is held.
std::string Holders(const TopEntry& entry) {
  if (!entry.runtime.has_value() || entry.runtime->page.holder_count == 0) return "";
  const StatsPage& page = entry.runtime->page;
  std::string line = absl::StrCat(
      entry.rx_queue.has_value() ? absl::StrCat(entry.interface, " ", *entry.rx_queue) : "(copies)", ", ",
      DescribeProcess(*entry.runtime), ": ", page.pieces_out, " of ", page.pool_pieces);
  for (uint64_t i = 0; i < page.holder_count; ++i)
    absl::StrAppend(&line, ", stream ", page.holders[i].stream, " ", page.holders[i].pieces);
  return line;
}

std::string Title(const TopSample& sample) {
  std::set<int> processes;
  size_t queues = 0;
  for (const TopEntry& entry : sample.entries) {
    if (entry.rx_queue.has_value()) ++queues;
    if (entry.runtime.has_value()) processes.insert(entry.runtime->pid);
  }
  return absl::StrCat("zcrxctl top - ", queues, queues == 1 ? " queue, " : " queues, ", processes.size(),
                      processes.size() == 1 ? " process" : " processes");
}

std::vector<std::string> Notes(const TopSample& sample) {
  std::vector<std::string> notes;
  if (sample.entries.empty()) {
    notes.emplace_back(
        "nobody receives without a copy, and no process that this user may look into publishes stats");
  }
  if (sample.detached_pools > 0) {
    notes.push_back(absl::StrCat("detached page pools: ", sample.detached_pools, ", which wait for ",
                                 sample.detached_pieces, " pieces"));
  }
  for (size_t i = 0; i < std::min(sample.unreadable.size(), kMostUnreadable); ++i)
    notes.push_back(sample.unreadable[i]);
  if (sample.unreadable.size() > kMostUnreadable)
    notes.push_back(absl::StrCat(sample.unreadable.size() - kMostUnreadable, " more pages cannot be read"));
  return notes;
}

class Page {
 public:
  Page(ScreenSize size, const Style& style) : size_(size), style_(style) {}

  size_t room() const { return size_.lines - lines_.size(); }
  void Add(const std::string& line) { AddCut(Cut(line, size_.columns)); }
  void AddBold(const std::string& line) { AddCut(style_.Bold(Cut(line, size_.columns))); }
  void AddBad(const std::string& line) { AddCut(style_.Bad(Cut(line, size_.columns))); }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  void AddCut(std::string line) {
    if (room() > 0) lines_.push_back(std::move(line));
  }

  const ScreenSize size_;
  const Style& style_;
  std::vector<std::string> lines_;
};

// How many of `wanted` lines fit into `room`, if the last line is taken to say that some do not.
size_t Fitting(size_t wanted, size_t room) {
  if (wanted <= room) return wanted;
  return room > 0 ? room - 1 : 0;
}

}  // namespace

std::string Short(double number) {
  const char* unit = "\0kMGTPE";
  while (number >= 999.5 && unit[1] != '\0') {
    number /= 1000;
    ++unit;
  }
  if (*unit == '\0') return absl::StrFormat("%.0f", number);
  const int digits = number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return absl::StrFormat("%.*f%c", digits, number, *unit);
}

std::vector<std::string> Draw(const TopSample& sample, const std::vector<TopRates>& rates, ScreenSize size,
                              const Style& style) {
  Page page(size, style);
  page.Add(Title(sample));
  page.AddBold(Header());
  const std::vector<std::string> notes = Notes(sample);
  const size_t room = page.room() - std::min(page.room(), notes.size());
  const size_t shown = Fitting(sample.entries.size(), room);
  for (size_t i = 0; i < shown; ++i) {
    const TopEntry& entry = sample.entries[i];
    const std::string row = Row(entry, rates[i]);
    if (IsUnderPressure(entry) || rates[i].more_failures) {
      page.AddBad(row);
    } else {
      page.Add(row);
    }
  }
  if (shown < sample.entries.size())
    page.Add(absl::StrCat(sample.entries.size() - shown, " more do not fit; --once and --json have all"));
  for (const std::string& note : notes) page.Add(note);

  std::vector<std::string> holders;
  for (size_t i = 0; i < shown; ++i) {
    if (std::string line = Holders(sample.entries[i]); !line.empty()) holders.push_back(std::move(line));
  }
  // A blank line, a heading, and at least one below.
  if (holders.empty() || page.room() < 3) return page.Take();
  page.Add("");
  page.AddBold("PIECES THAT ARE OUT, AND THE STREAMS THAT HAVE MOST OF THEM");
  const size_t listed = Fitting(holders.size(), page.room());
  for (size_t i = 0; i < listed; ++i) page.Add(holders[i]);
  if (listed < holders.size()) page.Add(absl::StrCat(holders.size() - listed, " more"));
  return page.Take();
}

}  // namespace zcrx::ctl
