// SPDX-License-Identifier: Apache-2.0
//
// What is known of the reservations on one NIC, and the file that keeps it, so that
// it outlives who made them.
#ifndef ZCRX_LIB_NETDEV_RESERVATION_RECORD_H_
#define ZCRX_LIB_NETDEV_RESERVATION_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/netdev/rules.h"
#include "lib/netdev/settings.h"
#include "zcrx/nic_reservation.h"

namespace zcrx::inline v0::netdev {

// A setting that reservations have changed.
struct KeptSetting {
  Setting setting = Setting::kChannels;
  std::string original;
  std::string set;                     // by us, last
  std::optional<std::string> pending;  // is being set: it is one of both
};

// What makes and marks a process: a pid alone may be another's by now.
struct ProcessId {
  int pid = 0;           // 0: none
  uint64_t started = 0;  // in clock ticks since boot

  static ProcessId Own();
  bool alive() const;
};

struct KeptReservation {
  // Something is being added that has no number yet: what is there afterwards and was not before is it.
  struct Adding {
    bool context = false;          // else the next rule
    std::vector<uint32_t> before;  // numbers of contexts or rules
  };

  uint32_t id = 0;
  ProcessId process;
  std::vector<uint32_t> queues;  // in ascending order
  std::vector<Flow> flows;
  std::optional<uint32_t> context;  // of RSS
  std::vector<uint32_t> rules;      // numbers of the first of RulesOf()
  std::optional<Adding> adding;
  bool removing = false;  // begun: what is not there has been removed
};

// The rules that a reservation needs, in the order in which they are made. To be asked when its context is
// known.
std::vector<TcpRule> RulesOf(const KeptReservation& reservation);

struct NicRecord {
  std::string interface;  // its name when it was made, for people
  uint32_t index = 0;
  std::vector<KeptSetting> settings;
  std::vector<KeptReservation> reservations;

  bool empty() const { return settings.empty() && reservations.empty(); }
  KeptSetting* Find(Setting setting);
  const KeptSetting* Find(Setting setting) const;
  KeptReservation* Find(uint32_t id);

  // As the file has it.
  std::string ToText() const;
  // DATA_LOSS if it makes no sense.
  static absl::StatusOr<NicRecord> FromText(std::string_view text);
};

// The file of one interface, locked for all other processes and threads for as long as this exists.
class RecordFile {
 public:
  // Waits for the lock. Creates the directory.
  static absl::StatusOr<RecordFile> Open(const std::string& directory, const Interface& interface);
  RecordFile(RecordFile&& other) noexcept;
  RecordFile& operator=(RecordFile&&) = delete;
  ~RecordFile();

  // Empty if there is none, or of an interface that is gone.
  absl::StatusOr<NicRecord> Load() const;
  // The file is as it was, or has all of it. Removes it if `record` is empty.
  absl::Status Save(const NicRecord& record) const;

 private:
  RecordFile(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_;
};

// What the file has now, without its lock. Empty if there is none.
absl::StatusOr<NicRecord> ReadRecord(const std::string& directory, const Interface& interface);

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_RESERVATION_RECORD_H_
