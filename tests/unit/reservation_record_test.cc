// SPDX-License-Identifier: Apache-2.0
//
// The file of a NIC's reservations: what is written is read again, and nothing else
// is taken for one.
#include "lib/netdev/reservation_record.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace zcrx::netdev {
namespace {

NicRecord FullRecord() {
  NicRecord record;
  record.interface = "eth7";
  record.index = 12;
  record.settings = {{Setting::kChannels, "0/0/4", "0/0/6", std::nullopt},
                     {Setting::kRssTable, "default", "0,1,0,1", "0,0,0,0"}};
  KeptReservation& one = record.reservations.emplace_back();
  one.id = 1;
  one.process = {.pid = 1234, .started = 99887766};
  one.queues = {4, 5};
  one.flows = {{.port = 5001, .address = ""}, {.port = 5002, .address = "fd00::1"}};
  one.context = 3;
  one.rules = {1020, 1021};
  one.adding = {.context = false, .before = {7, 1020, 1021}};
  KeptReservation& other = record.reservations.emplace_back();
  other.id = 2;
  other.flows = {{.port = 80, .address = "10.0.0.1"}};
  other.adding = {.context = true, .before = {}};
  other.removing = true;
  return record;
}

TEST(NicRecordTest, RoundTrip) {
  const NicRecord record = FullRecord();
  const std::string text = record.ToText();
  const auto again = NicRecord::FromText(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToText(), text);
  EXPECT_EQ(again->interface, "eth7");
  EXPECT_EQ(again->index, 12u);
  ASSERT_EQ(again->settings.size(), 2u);
  EXPECT_EQ(again->settings[0].pending, std::nullopt);
  EXPECT_EQ(again->settings[1].setting, Setting::kRssTable);
  EXPECT_EQ(again->settings[1].original, "default");
  EXPECT_EQ(again->settings[1].set, "0,1,0,1");
  EXPECT_EQ(again->settings[1].pending, "0,0,0,0");
  ASSERT_EQ(again->reservations.size(), 2u);
  const KeptReservation& one = again->reservations[0];
  EXPECT_EQ(one.process.pid, 1234);
  EXPECT_EQ(one.process.started, 99887766u);
  EXPECT_EQ(one.queues, (std::vector<uint32_t>{4, 5}));
  ASSERT_EQ(one.flows.size(), 2u);
  EXPECT_EQ(one.flows[0].address, "");
  EXPECT_EQ(one.flows[1].port, 5002);
  EXPECT_EQ(one.flows[1].address, "fd00::1");
  EXPECT_EQ(one.context, 3u);
  EXPECT_EQ(one.rules, (std::vector<uint32_t>{1020, 1021}));
  ASSERT_TRUE(one.adding.has_value());
  EXPECT_FALSE(one.adding->context);
  EXPECT_EQ(one.adding->before, (std::vector<uint32_t>{7, 1020, 1021}));
  EXPECT_FALSE(one.removing);
  const KeptReservation& other = again->reservations[1];
  EXPECT_TRUE(other.queues.empty() && other.rules.empty() && !other.context.has_value());
  EXPECT_TRUE(other.adding.has_value() && other.adding->context && other.adding->before.empty());
  EXPECT_TRUE(other.removing);
}

// Cut off anywhere within a line, or with a line of something else, it is no record.
TEST(NicRecordTest, CorruptText) {
  const std::string start = "zcrx-nic 1\ninterface 12 eth7\n";
  EXPECT_TRUE(NicRecord::FromText(start).ok());
  for (const std::string& text : {std::string(),
                                  std::string("zcrx-nic 2\ninterface 12 eth7\n"),
                                  std::string("zcrx-nic 1\n"),
                                  std::string("zcrx-nic 1\ninterface eth7\n"),
                                  std::string("zcrx-nic 1\ninterface 0 eth7\n"),
                                  start + "interface 12\n",
                                  start + "setting rss-table default\n",
                                  start + "setting speed 1 2\n",
                                  start + "setting rss-table default 0 1 2\n",
                                  start + "reservation 1 2\n",
                                  start + "reservation 1 2 3 4\n",
                                  start + "reservation x 2 3\n",
                                  start + "queues 1\n",
                                  start + "reservation 1 2 3\nqueues 1,,2\n",
                                  start + "reservation 1 2 3\nqueues 1 2\n",
                                  start + "reservation 1 2 3\nflow 5001\n",
                                  start + "reservation 1 2 3\nadding queue -\n",
                                  start + "reservation 1 2 3\nadding rule\n",
                                  start + "reservation 1 2 3\nremoving it\n",
                                  start + "reservation 1 2 3\nwhatever 1\n",
                                  start + "\n",
                                  std::string(100, '\0')}) {
    const auto record = NicRecord::FromText(text);
    EXPECT_EQ(record.status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

TEST(NicRecordTest, AnyCutIsReadOrRefused) {
  const std::string text = FullRecord().ToText();
  for (size_t size = 0; size < text.size(); ++size) {
    const auto record = NicRecord::FromText(text.substr(0, size));
    EXPECT_TRUE(record.ok() || absl::IsDataLoss(record.status())) << record.status();
  }
}

TEST(NicRecordTest, Rules) {
  KeptReservation reservation;
  reservation.queues = {5};
  reservation.flows = {
      {.port = 80, .address = ""}, {.port = 81, .address = "10.0.0.1"}, {.port = 82, .address = "::1"}};
  std::vector<TcpRule> rules = RulesOf(reservation);
  ASSERT_EQ(rules.size(), 4u);
  EXPECT_EQ(rules[0].family, IpFamily::kIpv4);
  EXPECT_EQ(rules[1].family, IpFamily::kIpv6);
  EXPECT_EQ(rules[1].local_port, 80);
  EXPECT_EQ(rules[2].family, IpFamily::kIpv4);
  EXPECT_EQ(rules[2].local_address, "10.0.0.1");
  EXPECT_EQ(rules[3].family, IpFamily::kIpv6);
  EXPECT_EQ(rules[3].rx_queue, 5u);
  EXPECT_EQ(rules[3].rss_context, std::nullopt);
  reservation.context = 2;
  rules = RulesOf(reservation);
  EXPECT_EQ(rules[0].rss_context, 2u);
  EXPECT_EQ(rules[0].rx_queue, 0u);
}

TEST(ProcessIdTest, OwnIsAliveAndOthersAreNot) {
  const ProcessId own = ProcessId::Own();
  EXPECT_EQ(own.pid, getpid());
  EXPECT_TRUE(own.alive());
  EXPECT_FALSE((ProcessId{.pid = own.pid, .started = own.started + 1}).alive())
      << "the pid is another's by now";
  EXPECT_TRUE(ProcessId().alive()) << "none is needed";
  const pid_t child = fork();
  if (child == 0) _exit(0);
  // A zombie is none, nor is what is gone.
  siginfo_t info = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE((ProcessId{.pid = child, .started = 1}).alive());
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE((ProcessId{.pid = child, .started = 1}).alive());
}

class RecordFileTest : public testing::Test {
 protected:
  RecordFileTest() { interface_.index = 12; }
  ~RecordFileTest() override { std::filesystem::remove_all(directory_); }

  std::vector<std::filesystem::path> Records() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.path().extension() != ".lock") found.push_back(entry.path());
    }
    return found;
  }

  const std::string directory_ = absl::StrCat(testing::TempDir(), "/zcrx-records-", getpid());
  Interface interface_;
};

TEST_F(RecordFileTest, SavedIsLoaded) {
  const auto file = RecordFile::Open(directory_, interface_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Load()->empty());
  ASSERT_TRUE(file->Save(FullRecord()).ok());
  EXPECT_EQ(file->Load()->ToText(), FullRecord().ToText());
  // Readers need no lock.
  EXPECT_EQ(ReadRecord(directory_, interface_)->ToText(), FullRecord().ToText());
  Interface other;
  other.index = 13;
  EXPECT_TRUE(ReadRecord(directory_, other)->empty());
  ASSERT_EQ(Records().size(), 1u) << "nothing but the file itself is left";
  ASSERT_TRUE(file->Save(NicRecord()).ok());
  EXPECT_TRUE(Records().empty());
  EXPECT_TRUE(file->Save(NicRecord()).ok()) << "it is gone already";
}

TEST_F(RecordFileTest, CorruptFileIsNamed) {
  const auto file = RecordFile::Open(directory_, interface_);
  ASSERT_TRUE(file.ok() && file->Save(FullRecord()).ok());
  const std::string path = Records().front();
  std::ofstream(path, std::ios::app) << "what is this\n";
  const auto record = file->Load();
  EXPECT_EQ(record.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(record.status().message()).find(path), std::string::npos) << record.status();
  EXPECT_EQ(ReadRecord(directory_, interface_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RecordFileTest, NoDirectory) {
  const auto file = RecordFile::Open(directory_ + "/of/nobody", interface_);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound) << file.status();
}

}  // namespace
}  // namespace zcrx::netdev
