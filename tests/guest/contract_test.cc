// SPDX-License-Identifier: Apache-2.0
//
// Runs the list of contract.h on the kernel it finds itself on. Which outcome is
// expected follows from what the kernel says of itself, never from its version.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/guest/contract.h"
#include "tests/guest/guest.h"

namespace zcrx {

// What GoogleTest shows of a case.
void PrintTo(const Case& contract_case, std::ostream* out) { *out << contract_case.name; }

namespace {

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (auto* list : {SetupCases, RegisterCases, NicCases, ControlCases, ReceiveCases}) {
    std::vector<Case> some = list();
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return all;
}

int cases_run = 0;
int differences_seen = 0;

class Contract : public GuestTest, public testing::WithParamInterface<Case> {
 protected:
  static void TearDownTestSuite() {
    if (cases_run == 0) return;
    printf("contract: %d cases, %d intended differences seen\n", cases_run, differences_seen);
  }
};

TEST_P(Contract, Holds) {
  const Case& contract_case = GetParam();
  const bool differs = contract_case.difference != nullptr && contract_case.difference->applies(AskKernel());
  const std::string& expected = differs ? contract_case.otherwise : contract_case.expected;
  const std::string outcome = contract_case.observe();
  if (outcome.starts_with(kSkip)) GTEST_SKIP() << outcome.substr(sizeof(kSkip) - 1);
  ++cases_run;
  EXPECT_EQ(outcome, expected) << (differs ? contract_case.difference->name : "as in mainline");
  if (differs && outcome == expected && outcome != contract_case.expected) ++differences_seen;
}

INSTANTIATE_TEST_SUITE_P(Kernel, Contract, testing::ValuesIn(AllCases()),
                         [](const testing::TestParamInfo<Case>& each) {
                           return std::string(each.param.name);
                         });

// The list of docs/contract-differences.md as the cases have it.
std::string ListOfDifferences() {
  std::string text;
  std::set<std::string_view> seen;
  const std::vector<Case> all = AllCases();
  for (const Case& first : all) {
    if (first.difference == nullptr || !seen.insert(first.difference->name).second) continue;
    text += std::string("\n### ") + first.difference->name + "\n\n" + first.difference->reason +
            "\n\n| case | Linux 7.3 | Linux 6.12 with our series |\n|---|---|---|\n";
    for (const Case& each : all) {
      if (each.difference != first.difference) continue;
      text += std::string("| `") + each.name + "` | " + each.expected + " | " + each.otherwise + " |\n";
    }
  }
  return text;
}

TEST(ContractDocument, ListsTheIntendedDifferences) {
  std::ifstream file(ZCRX_SOURCE_DIRECTORY "/docs/contract-differences.md");
  ASSERT_TRUE(file.good()) << "docs/contract-differences.md";
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string heading = "## The list\n";
  const size_t start = text.find(heading);
  ASSERT_NE(start, std::string::npos) << "no heading: " << heading;
  const std::string list = ListOfDifferences();
  EXPECT_TRUE(text.substr(start + heading.size()) == list)
      << "docs/contract-differences.md is to end, after " << heading << "with" << list;
}

}  // namespace
}  // namespace zcrx
