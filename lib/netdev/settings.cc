// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/settings.h"

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lib/netdev/channels.h"
#include "lib/netdev/feature_flags.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"

namespace zcrx::inline v0::netdev {
namespace {

constexpr std::array<std::string_view, kSettings.size()> kNames = {
    "channels", "ntuple-filters", "header-split", "header-split-threshold", "rss-table"};
constexpr char kDefault[] = "default";

absl::Status NoValue(Setting setting, const std::string& value) {
  const std::string_view name = NameOf(setting);
  return absl::InvalidArgumentError(
      absl::StrCat("\"", value, "\" is no value of ", absl::string_view(name.data(), name.size())));
}

std::optional<std::vector<uint32_t>> ParseNumbers(const std::string& text, char separator) {
  std::vector<uint32_t> numbers;
  for (const auto word : absl::StrSplit(text, separator)) {
    if (!absl::SimpleAtoi(word, &numbers.emplace_back())) return std::nullopt;
  }
  return numbers;
}

// rx, tx, combined.
std::optional<std::vector<uint32_t>> ParseChannels(const std::string& value) {
  std::optional<std::vector<uint32_t>> counts = ParseNumbers(value, '/');
  return counts.has_value() && counts->size() == 3 ? counts : std::nullopt;
}

std::optional<HeaderSplit> ParseSplit(const std::string& value) {
  for (const HeaderSplit split : {HeaderSplit::kEnabled, HeaderSplit::kDisabled, HeaderSplit::kUnknown}) {
    if (value == NameOf(split)) return split;
  }
  return std::nullopt;
}

std::optional<bool> ParseOn(const std::string& value) {
  if (value == "on") return true;
  if (value == "off") return false;
  return std::nullopt;
}

std::vector<uint32_t> DefaultTable(size_t size, uint32_t rx_queues) {
  std::vector<uint32_t> table(size);
  for (uint32_t i = 0; i < size; ++i) table[i] = i % rx_queues;
  return table;
}

// The weights of ethtool -X are how often each queue stands in the table.
std::string WeightsOf(const std::vector<uint32_t>& table) {
  std::vector<uint32_t> weights;
  for (const uint32_t queue : table) {
    if (queue >= weights.size()) weights.resize(queue + 1);
    ++weights[queue];
  }
  return absl::StrJoin(weights, " ");
}

absl::Status WriteChannels(const Interface& interface, const std::vector<uint32_t>& counts) {
  const auto now = GetChannels(interface);
  if (!now.ok()) return now.status();
  if (!now->has_value()) return absl::UnimplementedError("the driver has a fixed number of channels");
  // Kinds that the NIC does not have must not be named.
  ChannelCounts wanted;
  if ((*now)->rx.max > 0) wanted.rx = counts[0];
  if ((*now)->tx.max > 0) wanted.tx = counts[1];
  if ((*now)->combined.max > 0) wanted.combined = counts[2];
  return SetChannels(interface, wanted);
}

}  // namespace

std::string_view NameOf(Setting setting) { return kNames[static_cast<size_t>(setting)]; }

std::optional<Setting> FindSetting(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return kSettings[static_cast<size_t>(found - kNames.begin())];
}

std::string ChannelsValue(const Channels& channels) {
  return absl::StrCat(channels.rx.count, "/", channels.tx.count, "/", channels.combined.count);
}

std::string TableValue(const std::vector<uint32_t>& table, uint32_t rx_queues) {
  return table == DefaultTable(table.size(), std::max(rx_queues, 1u)) ? kDefault : absl::StrJoin(table, ",");
}

std::optional<std::string> ReadSetting(const NicState& nic, Setting setting) {
  switch (setting) {
    case Setting::kChannels:
      if (!nic.channels.has_value()) return std::nullopt;
      return ChannelsValue(*nic.channels);
    case Setting::kNtupleFilters:
      if (!nic.features.ntuple_filters.has_value()) return std::nullopt;
      return nic.features.ntuple_filters->on ? "on" : "off";
    case Setting::kHeaderSplit:
      return NameOf(nic.rings.header_split);
    case Setting::kHeaderSplitThreshold:
      if (!nic.rings.header_split_threshold.has_value()) return std::nullopt;
      return absl::StrCat(*nic.rings.header_split_threshold);
    case Setting::kRssTable:
      break;
  }
  if (nic.rss.empty() || nic.rss[0].table.empty()) return std::nullopt;
  return TableValue(nic.rss[0].table, nic.interface.rx_queues);
}

absl::Status WriteSetting(const Interface& interface, Setting setting, const std::string& value) {
  switch (setting) {
    case Setting::kChannels: {
      const auto counts = ParseChannels(value);
      return counts.has_value() ? WriteChannels(interface, *counts) : NoValue(setting, value);
    }
    case Setting::kNtupleFilters: {
      const std::optional<bool> on = ParseOn(value);
      return on.has_value() ? SetNtupleFilters(interface, *on) : NoValue(setting, value);
    }
    case Setting::kHeaderSplit: {
      const std::optional<HeaderSplit> split = ParseSplit(value);
      return split.has_value() ? SetRings(interface, split, std::nullopt) : NoValue(setting, value);
    }
    case Setting::kHeaderSplitThreshold: {
      const auto bytes = ParseNumbers(value, ',');
      return bytes.has_value() ? SetRings(interface, std::nullopt, bytes->front()) : NoValue(setting, value);
    }
    case Setting::kRssTable:
      break;
  }
  if (value == kDefault) return ResetRssTable(interface);
  const auto table = ParseNumbers(value, ',');
  return table.has_value() ? SetRssTable(interface, *table) : NoValue(setting, value);
}

bool ImagineSetting(NicState& nic, Setting setting, const std::string& value) {
  switch (setting) {
    case Setting::kChannels: {
      const auto counts = ParseChannels(value);
      if (!counts.has_value() || !nic.channels.has_value()) return false;
      // What has the default table has it for the new number as well.
      const auto table = ReadSetting(nic, Setting::kRssTable);
      nic.channels->rx.count = (*counts)[0];
      nic.channels->tx.count = (*counts)[1];
      nic.channels->combined.count = (*counts)[2];
      nic.interface.rx_queues = (*counts)[0] + (*counts)[2];
      return table != kDefault || ImagineSetting(nic, Setting::kRssTable, kDefault);
    }
    case Setting::kNtupleFilters: {
      const std::optional<bool> on = ParseOn(value);
      if (!on.has_value()) return false;
      nic.features.ntuple_filters = Feature{.on = *on};
      return true;
    }
    case Setting::kHeaderSplit: {
      const std::optional<HeaderSplit> split = ParseSplit(value);
      if (!split.has_value()) return false;
      nic.rings.header_split = *split;
      return true;
    }
    case Setting::kHeaderSplitThreshold: {
      const auto bytes = ParseNumbers(value, ',');
      if (!bytes.has_value()) return false;
      nic.rings.header_split_threshold = bytes->front();
      return true;
    }
    case Setting::kRssTable:
      break;
  }
  if (nic.rss.empty()) return false;
  std::vector<uint32_t>& table = nic.rss[0].table;
  if (value == kDefault) {
    table = DefaultTable(table.size(), std::max(nic.interface.rx_queues, 1u));
    return true;
  }
  const auto wanted = ParseNumbers(value, ',');
  if (wanted.has_value()) table = *wanted;
  return wanted.has_value();
}

std::string SettingCommand(const std::string& interface, Setting setting, const std::string& value) {
  switch (setting) {
    case Setting::kChannels: {
      const std::vector<uint32_t> counts = ParseChannels(value).value_or(std::vector<uint32_t>(3));
      std::string command = absl::StrCat("ethtool -L ", interface);
      if (counts[0] > 0) absl::StrAppend(&command, " rx ", counts[0]);
      if (counts[1] > 0) absl::StrAppend(&command, " tx ", counts[1]);
      if (counts[2] > 0) absl::StrAppend(&command, " combined ", counts[2]);
      return command;
    }
    case Setting::kNtupleFilters:
      return absl::StrCat("ethtool -K ", interface, " ntuple ", value);
    case Setting::kHeaderSplit:
      return absl::StrCat("ethtool -G ", interface, " tcp-data-split ", value == "unknown" ? "auto" : value);
    case Setting::kHeaderSplitThreshold:
      return absl::StrCat("ethtool -G ", interface, " hds-thresh ", value);
    case Setting::kRssTable:
      break;
  }
  if (value == kDefault) return absl::StrCat("ethtool -X ", interface, " default");
  return absl::StrCat("ethtool -X ", interface, " weight ",
                      WeightsOf(ParseNumbers(value, ',').value_or(std::vector<uint32_t>())));
}

}  // namespace zcrx::inline v0::netdev
