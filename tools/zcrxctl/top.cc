// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/zcrxctl/command.h"
#include "tools/zcrxctl/flags.h"
#include "tools/zcrxctl/terminal.h"
#include "tools/zcrxctl/top_json.h"
#include "tools/zcrxctl/top_rates.h"
#include "tools/zcrxctl/top_sample.h"
#include "tools/zcrxctl/top_screen.h"

namespace zcrx::ctl {
namespace {

using Clock = std::chrono::steady_clock;

struct TopOptions {
  std::optional<std::string> interface;
  std::chrono::nanoseconds interval = {};
  uint32_t count = 0;  // 0: no end
  Style style = Style(false);
};

// Until the user ends it.
absl::StatusOr<Outcome> Watch(const TopOptions& options) {
  absl::StatusOr<TopSample> before = TakeSample(options.interface);
  if (!before.ok()) return before.status();
  absl::StatusOr<TopSample> now = *before;
  Terminal terminal;
  uint32_t drawn = 0;
  auto next = Clock::now() + options.interval;
  while (true) {
    terminal.Show(Draw(*now, RatesOf(*before, *now), terminal.size(), options.style));
    const Terminal::Event event = terminal.WaitUntil(next);
    if (event == Terminal::Event::kEnd) return Outcome();
    if (event == Terminal::Event::kResized) continue;
    if (options.count != 0 && ++drawn > options.count) return Outcome();
    absl::StatusOr<TopSample> sample = TakeSample(options.interface);
    if (!sample.ok()) return sample.status();
    before = std::exchange(now, std::move(sample));
    next = Clock::now() + options.interval;
  }
}

absl::StatusOr<Outcome> Print(const TopOptions& options) {
  absl::StatusOr<TopSample> before = TakeSample(options.interface);
  if (!before.ok()) return before.status();
  Outcome outcome;
  Json samples = Json::array();
  for (uint32_t i = 0; i < options.count; ++i) {
    std::this_thread::sleep_for(options.interval);
    absl::StatusOr<TopSample> now = TakeSample(options.interface);
    if (!now.ok()) return now.status();
    const std::vector<TopRates> rates = RatesOf(*before, *now);
    if (absl::GetFlag(FLAGS_json)) {
      samples.push_back(ToJson(*now, rates));
    } else {
      printf("%s%s\n", i > 0 ? "\n" : "", absl::StrJoin(Draw(*now, rates, {}, options.style), "\n").c_str());
      fflush(stdout);
    }
    before = std::move(now);
  }
  outcome.json = {{"samples", std::move(samples)}};
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> Top(const Arguments& arguments) {
  const double seconds = absl::GetFlag(FLAGS_interval);
  // Written so that a NaN, which compares false with everything, is refused as well.
  if (!(seconds >= 0.1 && seconds <= 3600))
    return absl::InvalidArgumentError(absl::StrCat("--interval: ", seconds, " is not from 0.1 to 3600"));
  TopOptions options;
  if (!arguments.operands.empty()) options.interface = arguments.operands[0];
  options.interval = std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
  options.count = absl::GetFlag(FLAGS_count);
  options.style = arguments.style;
  const bool once = absl::GetFlag(FLAGS_once);
  if (once && options.count > 1)
    return absl::InvalidArgumentError("--once is --count=1, and another --count is given");
  if (Terminal::IsThere() && !once && !absl::GetFlag(FLAGS_json)) return Watch(options);
  if (options.count == 0) options.count = 1;
  return Print(options);
}

}  // namespace zcrx::ctl
