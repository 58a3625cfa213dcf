// SPDX-License-Identifier: Apache-2.0
//
// The checksum of tests/bench/receive_content.h: a benchmark that did not see wrong
// bytes would measure broken receivers.
#include "tests/bench/receive_content.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace zcrx::bench {
namespace {

constexpr size_t kBytes = 4096;

std::string Content() {
  std::string content(kBytes, '\0');
  FillContent(1, 0, reinterpret_cast<unsigned char*>(content.data()), kBytes);
  return content;
}

Checksum Of(const std::string& bytes) {
  Checksum checksum;
  checksum.Add(bytes.data(), bytes.size());
  return checksum;
}

TEST(ReceiveContentTest, IsTheSameHoweverItIsCut) {
  const std::string content = Content();
  Checksum by_words;
  for (size_t index = 0; index < kBytes / 8; ++index) by_words.AddWord(ContentWord(index));
  EXPECT_EQ(Of(content), by_words);
  for (size_t first = 1; first < 40; ++first) {
    for (size_t size = 1; size < 40; ++size) {
      Checksum cut;
      cut.Add(content.data(), first);
      for (size_t at = first; at < kBytes; at += size)
        cut.Add(content.data() + at, std::min(size, kBytes - at));
      ASSERT_EQ(cut, by_words) << first << " bytes, then " << size << " at a time";
    }
  }
}

TEST(ReceiveContentTest, AnotherByteIsSeen) {
  const std::string content = Content();
  for (size_t at = 0; at < kBytes; ++at) {
    std::string wrong = content;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    ASSERT_FALSE(Of(wrong) == Of(content)) << at;
  }
}

TEST(ReceiveContentTest, MissingDoubledAndMovedWordsAreSeen) {
  const std::string content = Content();
  for (size_t at = 0; at + 16 <= kBytes; at += 8) {
    ASSERT_FALSE(Of(content.substr(0, at) + content.substr(at + 8)) == Of(content)) << at;
    ASSERT_FALSE(Of(content.substr(0, at + 8) + content.substr(at)) == Of(content)) << at;
    std::string moved = content;
    for (size_t i = 0; i < 8; ++i) std::swap(moved[at + i], moved[at + 8 + i]);
    ASSERT_FALSE(Of(moved) == Of(content)) << at;
  }
}

// What belongs to another connection is seen.
TEST(ReceiveContentTest, ConnectionsBeginDifferently) {
  for (uint32_t number = 1; number < 1024; ++number) ASSERT_NE(FirstWord(number), FirstWord(0)) << number;
}

}  // namespace
}  // namespace zcrx::bench
