// SPDX-License-Identifier: Apache-2.0
//
// What reservations set for all of a NIC: each setting's value is a word, so that
// it can be kept in a file, compared and written back.
#ifndef ZCRX_LIB_NETDEV_SETTINGS_H_
#define ZCRX_LIB_NETDEV_SETTINGS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "zcrx/netdev.h"

namespace zcrx::inline v0::netdev {

enum class Setting {
  kChannels,              // "RX/TX/COMBINED", in numbers
  kNtupleFilters,         // "on", "off"
  kHeaderSplit,           // "on", "off", "unknown"
  kHeaderSplitThreshold,  // bytes
  kRssTable,              // "default", or queues with commas
};

// In the order in which they are set; they go back the other way.
inline constexpr std::array kSettings = {Setting::kChannels, Setting::kNtupleFilters, Setting::kHeaderSplit,
                                         Setting::kHeaderSplitThreshold, Setting::kRssTable};

// "channels", "rss-table" and so on.
std::string_view NameOf(Setting setting);
std::optional<Setting> FindSetting(std::string_view name);

// What it is now; absent if the NIC has no such thing.
std::optional<std::string> ReadSetting(const NicState& nic, Setting setting);

// `value` is one that ReadSetting() has given, or could. INVALID_ARGUMENT if it is none. Needs
// CAP_NET_ADMIN.
absl::Status WriteSetting(const Interface& interface, Setting setting, const std::string& value);

// Makes `nic` look as if it had been set. False if `value` is none.
bool ImagineSetting(NicState& nic, Setting setting, const std::string& value);

// The command of ethtool(8) that sets it.
std::string SettingCommand(const std::string& interface, Setting setting, const std::string& value);

// The words for channels and tables.
std::string ChannelsValue(const Channels& channels);
std::string TableValue(const std::vector<uint32_t>& table, uint32_t rx_queues);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_SETTINGS_H_
