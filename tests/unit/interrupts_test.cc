// SPDX-License-Identifier: Apache-2.0
//
// Which CPUs an interrupt goes to, from files as /proc/irq has them.
#include "lib/netdev/interrupts.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace zcrx::netdev {
namespace {

using Cpus = std::vector<uint32_t>;

TEST(CpuList, Numbers) {
  EXPECT_EQ(ParseCpuList("0"), Cpus({0}));
  EXPECT_EQ(ParseCpuList("0-3,8,10-11"), Cpus({0, 1, 2, 3, 8, 10, 11}));
}

TEST(CpuList, AnythingElseIsEmpty) {
  for (const char* text : {"", " ", "0-", "-1", "3-1", "0,", ",0", "0,0", "1,0", "a", "0x1", "0-4294967295",
                           "99999999999999999999", "0 1", "0-1-2"}) {
    EXPECT_EQ(ParseCpuList(text), Cpus()) << text;
  }
}

// A directory like /proc/irq.
class InterruptDirectory : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "zcrx-irq-" + std::to_string(getpid());
    std::filesystem::create_directories(directory_ + "/40");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(directory_ + "/40/" + file) << text;
  }
  Napi Read(std::optional<uint32_t> irq) const {
    Napi napi;
    napi.irq = irq;
    AddInterruptCpus(napi, directory_);
    return napi;
  }

 private:
  std::string directory_;
};

TEST_F(InterruptDirectory, HasBothLists) {
  Write("smp_affinity_list", "0-1\n");
  Write("effective_affinity_list", "1\n");
  const Napi napi = Read(40);
  EXPECT_EQ(napi.irq_cpus, Cpus({0, 1}));
  EXPECT_EQ(napi.irq_effective_cpus, Cpus({1}));
}

TEST_F(InterruptDirectory, WhatIsNotThereIsEmpty) {
  Write("smp_affinity_list", "0\n");
  EXPECT_EQ(Read(40).irq_cpus, Cpus({0}));
  EXPECT_EQ(Read(40).irq_effective_cpus, Cpus());
  EXPECT_EQ(Read(41).irq_cpus, Cpus());
  EXPECT_EQ(Read(std::nullopt).irq_cpus, Cpus());
}

}  // namespace
}  // namespace zcrx::netdev
