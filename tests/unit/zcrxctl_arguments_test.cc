// SPDX-License-Identifier: Apache-2.0
//
// zcrxctl's command line, and what it makes of a command that it runs.
#include "tools/zcrxctl/arguments.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_replace.h"
#include "tools/zcrxctl/child.h"
#include "tools/zcrxctl/flags.h"

namespace zcrx::ctl {
namespace {

using Words = std::vector<std::string>;

class ArgumentsTest : public testing::Test {
 protected:
  static std::string Error(const Words& words) {
    const auto line = ParseLine(words);
    EXPECT_TRUE(line.ok() || absl::IsInvalidArgument(line.status()));
    return std::string(line.status().message());
  }

  absl::FlagSaver saver_;
};

TEST_F(ArgumentsTest, OptionsStandAnywhere) {
  const auto line = ParseLine({"--json", "up", "--queues=2", "eth0", "--port", "80,81"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_STREQ(line->command->name, "up");
  EXPECT_EQ(line->arguments.operands, Words{"eth0"});
  EXPECT_TRUE(absl::GetFlag(FLAGS_json));
  EXPECT_EQ(absl::GetFlag(FLAGS_queues), 2u);
  EXPECT_EQ(absl::GetFlag(FLAGS_port), "80,81");
  EXPECT_EQ(absl::GetFlag(FLAGS_queue), std::nullopt);
}

TEST_F(ArgumentsTest, WhatStandsBehindTheDashesIsTheCommands) {
  const auto line = ParseLine({"up", "eth0", "--port=80", "--exec", "--", "server", "--port=7", "--", "-x"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->arguments.command, (Words{"server", "--port=7", "--", "-x"}));
  EXPECT_EQ(absl::GetFlag(FLAGS_port), "80");
  EXPECT_TRUE(absl::GetFlag(FLAGS_exec));
}

TEST_F(ArgumentsTest, SwitchesCanBeSwitchedOff) {
  ASSERT_TRUE(ParseLine({"status", "--json"}).ok());
  ASSERT_TRUE(ParseLine({"status", "--nojson"}).ok());
  EXPECT_FALSE(absl::GetFlag(FLAGS_json));
  ASSERT_TRUE(ParseLine({"status", "--state-directory=/x"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_state_directory), "/x");
}

TEST_F(ArgumentsTest, WrongUsageIsNamed) {
  EXPECT_NE(Error({}).find("no subcommand"), std::string::npos);
  EXPECT_NE(Error({"dance"}).find("\"dance\""), std::string::npos);
  EXPECT_NE(Error({"status", "--speed=3"}).find("--speed=3"), std::string::npos);
  EXPECT_NE(Error({"status", "-v"}).find("-v"), std::string::npos);
  EXPECT_NE(Error({"status", "--port=3"}).find("status has no option --port"), std::string::npos);
  EXPECT_NE(Error({"up", "eth0", "--queues=two"}).find("two"), std::string::npos);
  EXPECT_NE(Error({"up", "eth0", "--queues"}).find("needs a value"), std::string::npos);
  EXPECT_NE(Error({"up"}).find("usage: zcrxctl up IF"), std::string::npos);
  EXPECT_NE(Error({"up", "eth0", "eth1"}).find("usage"), std::string::npos);
  EXPECT_NE(Error({"status", "eth0", "--", "ls"}).find("takes no command"), std::string::npos);
  // Abseil's own flags are none of ours.
  EXPECT_NE(Error({"status", "--flagfile=x"}).find("--flagfile"), std::string::npos);
  EXPECT_NE(Error({"up", "eth0", "--noport"}).find("--noport"), std::string::npos);
}

TEST_F(ArgumentsTest, HelpOfAllAndOfEach) {
  const auto all = ParseLine({"--help"});
  ASSERT_TRUE(all.ok() && all->help && all->command == nullptr);
  const std::string help = Help(nullptr);
  for (const Command& command : Commands()) {
    EXPECT_NE(help.find(command.name), std::string::npos);
    const auto line = ParseLine({command.name, "--help"});
    ASSERT_TRUE(line.ok() && line->help) << "though operands are missing";
    const std::string own = Help(line->command);
    for (const char* flag : command.flags) EXPECT_NE(own.find(flag), std::string::npos) << own;
  }
}

std::string TextOf(const std::string& file) {
  std::ifstream stream(std::string(ZCRX_SOURCE_DIRECTORY) + "/" + file);
  std::ostringstream text;
  text << stream.rdbuf();
  // As the man page wants hyphens.
  return absl::StrReplaceAll(text.str(), {{"\\-", "-"}});
}

TEST_F(ArgumentsTest, ManPageAndCompletionHaveAllOfIt) {
  for (const char* file : {"tools/zcrxctl/zcrxctl.8", "tools/zcrxctl/zcrxctl.bash"}) {
    const std::string text = TextOf(file);
    for (const Command& command : Commands()) {
      EXPECT_NE(text.find(command.name), std::string::npos) << file << " lacks " << command.name;
      for (const char* flag : command.flags)
        EXPECT_NE(text.find(std::string("--") + flag), std::string::npos) << file << " lacks --" << flag;
    }
  }
}

TEST_F(ArgumentsTest, Ports) {
  EXPECT_EQ(*ParsePorts("80,65535"), (std::vector<uint16_t>{80, 65535}));
  EXPECT_TRUE(ParsePorts("")->empty());
  for (const char* text : {"0", "65536", "http", "80,-1", "80 81"})
    EXPECT_FALSE(ParsePorts(text).ok()) << text;
}

TEST(ChildTest, PlacesAreFilledIn) {
  EXPECT_EQ(FillIn({"{interface}", "--q={queues}", "{queue}{queue}", "{other}"}, "eth0", {4, 7}),
            (Words{"eth0", "--q=4,7", "44", "{other}"}));
}

TEST(ChildTest, StatusAsShellsHaveIt) {
  ChildRunner runner;
  EXPECT_EQ(runner.Run({"sh", "-c", "exit 3"}, {}), 3);
  EXPECT_EQ(runner.Run({"sh", "-c", "kill -9 $$"}, {}), 128 + SIGKILL);
  EXPECT_EQ(runner.Run({"/no/such/program"}, {}), 127);
  EXPECT_EQ(runner.Run({"/dev/null"}, {}), 126);
  EXPECT_EQ(runner.Run({"sh", "-c", "test \"$ZCRX_QUEUES\" = 4,7"}, {{"ZCRX_QUEUES", "4,7"}}), 0);
}

TEST(ChildTest, SignalsArePassedOn) {
  ChildRunner runner;
  std::thread sender([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(getpid(), SIGTERM);
  });
  EXPECT_EQ(runner.Run({"sh", "-c", "trap 'exit 42' TERM; while :; do sleep 0.05; done"}, {}), 42);
  sender.join();
}

TEST(ChildTest, ASignalThatCameBeforeStartsNothing) {
  ChildRunner runner;
  raise(SIGINT);
  EXPECT_EQ(runner.Run({"sh", "-c", "exit 3"}, {}), 128 + SIGINT);
}

}  // namespace
}  // namespace zcrx::ctl
