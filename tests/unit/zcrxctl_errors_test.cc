// SPDX-License-Identifier: Apache-2.0
//
// What zcrxctl's explain knows is what docs/errors.md says.
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tools/zcrxctl/error_table.h"

namespace zcrx::ctl {
namespace {

struct DocumentedError {
  int error;
  std::string cause;
  std::string line;
};

// The errnos in backquotes that stand alone in a cell; the cell behind it has the cause.
std::vector<DocumentedError> Documented() {
  std::ifstream file(ZCRX_SOURCE_DIRECTORY "/docs/errors.md");
  std::vector<DocumentedError> found;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    for (size_t i = 0; i + 1 < cells.size() && absl::StartsWith(line, "|"); ++i) {
      std::string cause(absl::StripSuffix(cells[i + 1], " |"));
      const std::string names(absl::StripPrefix(cells[i], "| "));
      if (!absl::StartsWith(names, "`E")) continue;
      for (const absl::string_view name : absl::StrSplit(names, ", ")) {
        const std::string plain(absl::StripPrefix(absl::StripSuffix(name, "`"), "`"));
        const auto error = ParseErrno(plain);
        if (error.has_value()) found.push_back({*error, cause, line});
      }
    }
  }
  return found;
}

TEST(ErrorTableTest, EverythingDocumentedIsKnown) {
  const auto documented = Documented();
  EXPECT_GE(documented.size(), 40u);
  for (const DocumentedError& row : documented) {
    bool known = false;
    for (const Meaning& meaning : AllMeanings())
      known |= meaning.error == row.error && row.cause == meaning.cause;
    EXPECT_TRUE(known) << row.line;
  }
}

TEST(ErrorTableTest, EverythingKnownIsDocumented) {
  const auto documented = Documented();
  for (const Meaning& meaning : AllMeanings()) {
    bool found = false;
    for (const DocumentedError& row : documented) {
      // The fix stands beside it, but for errors of streams, most of which have none.
      found |= row.error == meaning.error && row.cause == meaning.cause &&
               (meaning.operation == Operation::kRecv || absl::StrContains(row.line, meaning.fix));
    }
    EXPECT_TRUE(found) << meaning.error << " " << meaning.cause;
  }
}

TEST(ErrorTableTest, TheLikelyOnesComeFirst) {
  const auto plain = MeaningsOf(EINVAL, Operation::kRegister, {});
  const auto ranked = MeaningsOf(EINVAL, Operation::kRegister, {"header-split-threshold", "interface-down"});
  ASSERT_EQ(plain.size(), ranked.size());
  ASSERT_GT(ranked.size(), 2u);
  EXPECT_TRUE(absl::StrContains(plain[0].meaning->cause, "split is off"));
  EXPECT_FALSE(plain[0].likely);
  EXPECT_TRUE(ranked[0].likely);
  EXPECT_TRUE(absl::StrContains(ranked[0].meaning->cause, "threshold"));
  EXPECT_FALSE(ranked[1].likely);
  EXPECT_EQ(ranked[1].meaning, plain[0].meaning) << "the others stay in their order";
  EXPECT_TRUE(MeaningsOf(ENOTTY, std::nullopt, {}).empty());
  EXPECT_GT(MeaningsOf(EFAULT, std::nullopt, {}).size(), MeaningsOf(EFAULT, Operation::kCtrl, {}).size());
}

TEST(ErrorTableTest, NamesAndNumbers) {
  EXPECT_EQ(ParseErrno("ENOMEM"), ENOMEM);
  EXPECT_EQ(ParseErrno("12"), 12);
  EXPECT_EQ(ParseErrno("-12"), 12);
  EXPECT_EQ(ParseErrno("ENOTSUP"), EOPNOTSUPP);
  for (const char* text : {"", "0", "4000", "41", "enomem", "ENOTHING", "12x"})
    EXPECT_EQ(ParseErrno(text), std::nullopt) << text;
  for (const Operation operation : {Operation::kRegister, Operation::kRecv, Operation::kCtrl})
    EXPECT_EQ(FindOperation(NameOf(operation)), operation);
  EXPECT_EQ(FindOperation("send"), std::nullopt);
}

}  // namespace
}  // namespace zcrx::ctl
