// SPDX-License-Identifier: Apache-2.0
//
// The parsers of examples/framing.h, for every way in which their input can come
// in pieces.
#include "examples/framing.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"

namespace zcrx {
namespace {

using std::string_literals::operator""s;

// What comes out of an input, and how that ends.
struct Outcome {
  std::vector<std::string> messages;
  absl::StatusCode end = absl::StatusCode::kOutOfRange;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  for (const std::string& message : outcome.messages) out << '"' << testing::PrintToString(message) << "\" ";
  return out << absl::StatusCodeToString(outcome.end);
}

std::string TextOf(const BufferChain& chain) {
  std::string text(chain.size(), 0);
  EXPECT_EQ(chain.CopyTo(std::as_writable_bytes(std::span(text))), text.size());
  return text;
}

BufferChain ChainOf(Buffer buffer) {
  BufferChain chain;
  chain.Append(std::move(buffer));
  return chain;
}

// How the input goes on behind one of its bytes.
enum class Border { kNone, kBuffer, kArrival, kCount };

class FramingTest : public testing::Test {
 protected:
  // A received fragment with these bytes, which lies there in the region.
  Buffer Received(std::string_view text, size_t offset = 0) {
    internal::BufferRecord* record = ledger_->Issue(offset, text.size(), 0);
    std::memcpy(const_cast<std::byte*>(record->bytes.data()), text.data(), text.size());
    return {record->bytes, record};
  }

  void Settle() {
    ledger_->Settle([](uint64_t) { return true; });
    ASSERT_EQ(ledger_->out(), 0u) << "somebody has kept a buffer";
  }

  // Takes out all messages that are there; false after an error, which is then the outcome's.
  template <typename Parser>
  static bool Drain(Parser& parser, const Buffer& input, Outcome& outcome) {
    while (true) {
      absl::StatusOr<std::optional<BufferChain>> message = parser.Next();
      if (!message.ok()) {
        outcome.end = message.status().code();
        EXPECT_EQ(parser.Next().status(), message.status()) << "an error stays";
        return false;
      }
      if (!message->has_value()) return true;
      for (const Buffer& part : **message) {
        EXPECT_TRUE(part.data() >= input.data() && part.data() + part.size() <= input.data() + input.size())
            << "payload was copied";
      }
      outcome.messages.push_back(TextOf(**message));
    }
  }

  // `input`, whose byte i is followed by borders[i].
  template <typename Parser>
  static Outcome Parse(const Buffer& input, const std::vector<Border>& borders, size_t max_bytes) {
    Outcome outcome;
    Parser parser(max_bytes);
    BufferChain arrival;
    size_t start = 0;
    for (size_t i = 0; i < input.size(); ++i) {
      const Border border = i + 1 < input.size() ? borders[i] : Border::kArrival;
      if (border == Border::kNone) continue;
      arrival.Append(input.Slice(start, i + 1 - start));
      start = i + 1;
      if (border == Border::kBuffer) continue;
      parser.Append(std::exchange(arrival, {}));
      if (!Drain(parser, input, outcome)) return outcome;
    }
    outcome.end = parser.End().code();
    return outcome;
  }

  // Every way to divide `text` into arrivals, and those into buffers: the outcome is always this one.
  template <typename Parser>
  void ExpectAlways(const std::string& text, size_t max_bytes, const Outcome& expected) {
    SCOPED_TRACE(testing::PrintToString(text));
    ASSERT_LE(text.size(), 10u) << "that would be too many ways";
    {
      const Buffer input = Received(text);
      std::vector<Border> borders(text.empty() ? 0 : text.size() - 1, Border::kNone);
      do ASSERT_EQ(Parse<Parser>(input, borders, max_bytes), expected) << Describe(borders);
      while (Advance(borders));
    }
    Settle();
  }

  // Counts through all there are; false after the last.
  static bool Advance(std::vector<Border>& borders) {
    for (Border& border : borders) {
      border = static_cast<Border>(static_cast<int>(border) + 1);
      if (border != Border::kCount) return true;
      border = Border::kNone;
    }
    return false;
  }

  static std::string Describe(const std::vector<Border>& borders) {
    std::string text = "borders behind each byte: ";
    for (const Border border : borders) text += ".|/"[static_cast<int>(border)];
    return text;
  }

  internal::BufferLedger::Handle ledger_ = internal::BufferLedger::Open(
      *internal::PoolRegion::Map({.bytes = 4096}, std::nullopt), *internal::Waker::Create());
};

using enum absl::StatusCode;

TEST_F(FramingTest, Lines) {
  ExpectAlways<LineParser>("", 3, {{}, kOutOfRange});
  ExpectAlways<LineParser>("\n", 3, {{""}, kOutOfRange});
  ExpectAlways<LineParser>("\n\n\r\n\n", 3, {{"", "", "", ""}, kOutOfRange});
  ExpectAlways<LineParser>("a\nbc\r\ndef\n", 3, {{"a", "bc", "def"}, kOutOfRange});
  ExpectAlways<LineParser>("abc\r\n\nde\r\n", 3, {{"abc", "", "de"}, kOutOfRange});
  ExpectAlways<LineParser>("\0a\n\xff\n"s, 3, {{"\0a"s, "\xff"}, kOutOfRange});
}

TEST_F(FramingTest, CarriageReturnsInsideALineAreItsOwn) {
  ExpectAlways<LineParser>("a\rb\n\r\r\n\rc\n", 3, {{"a\rb", "\r", "\rc"}, kOutOfRange});
}

TEST_F(FramingTest, LinesThatAreTooLong) {
  ExpectAlways<LineParser>("abcd\n", 3, {{}, kInvalidArgument});
  ExpectAlways<LineParser>("abcd", 3, {{}, kInvalidArgument});
  ExpectAlways<LineParser>("abc\n\nabcd\n", 3, {{"abc", ""}, kInvalidArgument});
  ExpectAlways<LineParser>("abcd\r\ne\n", 3, {{}, kInvalidArgument});
  ExpectAlways<LineParser>("abc\rd\n", 3, {{}, kInvalidArgument});
  ExpectAlways<LineParser>("abc\r\r\n", 3, {{}, kInvalidArgument});
  ExpectAlways<LineParser>("\r\n\na\n", 0, {{"", ""}, kInvalidArgument});
}

TEST_F(FramingTest, LinesThatDoNotEnd) {
  ExpectAlways<LineParser>("a", 3, {{}, kDataLoss});
  ExpectAlways<LineParser>("abc\r", 3, {{}, kDataLoss});
  ExpectAlways<LineParser>("\r", 0, {{}, kDataLoss});
  ExpectAlways<LineParser>("ab\r\n\nabc", 3, {{"ab", ""}, kDataLoss});
}

TEST_F(FramingTest, Frames) {
  ExpectAlways<FrameParser>("", 3, {{}, kOutOfRange});
  ExpectAlways<FrameParser>("\0\0\0\0"s, 3, {{""}, kOutOfRange});
  ExpectAlways<FrameParser>("\0\0\0\0\0\0\0\0"s, 0, {{"", ""}, kOutOfRange});
  ExpectAlways<FrameParser>("\0\0\0\3\0\n\xff"s, 3, {{"\0\n\xff"s}, kOutOfRange});
  ExpectAlways<FrameParser>("\0\0\0\1a\0\0\0\1b"s, 1, {{"a", "b"}, kOutOfRange});
  ExpectAlways<FrameParser>("\0\0\0\2ab\0\0\0\0"s, 3, {{"ab", ""}, kOutOfRange});
}

TEST_F(FramingTest, FramesThatAreTooLong) {
  ExpectAlways<FrameParser>("\0\0\0\4"s, 3, {{}, kInvalidArgument});
  ExpectAlways<FrameParser>("\0\0\0\4abcd"s, 3, {{}, kInvalidArgument});
  ExpectAlways<FrameParser>("\0\0\0\1a\0\0\1\0"s, 255, {{"a"}, kInvalidArgument});
  ExpectAlways<FrameParser>("\x80\0\0\0"s, 0x7fffffff, {{}, kInvalidArgument});
  ExpectAlways<FrameParser>("\xff\xff\xff\xff"s, 0xfffffffe, {{}, kInvalidArgument});
}

TEST_F(FramingTest, FramesThatDoNotEnd) {
  ExpectAlways<FrameParser>("\0"s, 3, {{}, kDataLoss});
  ExpectAlways<FrameParser>("\0\0\0"s, 3, {{}, kDataLoss});
  ExpectAlways<FrameParser>("\0\0\0\1"s, 3, {{}, kDataLoss});
  ExpectAlways<FrameParser>("\0\0\0\3ab"s, 3, {{}, kDataLoss});
  ExpectAlways<FrameParser>("\xff\xff\xff\xff\0"s, 0xffffffff, {{}, kDataLoss});
  ExpectAlways<FrameParser>("\0\0\0\2ab\0"s, 3, {{"ab"}, kDataLoss});
}

TEST_F(FramingTest, HeadersAreBigEndian) {
  const auto header = FrameParser::Header(0x01020304);
  EXPECT_EQ(std::memcmp(header.data(), "\1\2\3\4", 4), 0);
  const auto none = FrameParser::Header(0);
  EXPECT_EQ(std::memcmp(none.data(), "\0\0\0\0", 4), 0);
}

TEST_F(FramingTest, ErrorsNameTheLimit) {
  {
    LineParser lines(3);
    lines.Append(ChainOf(Received("abcd")));
    EXPECT_EQ(lines.Next().status().message(), "a line is longer than 3 bytes");
  }
  {
    FrameParser frames(3);
    frames.Append(ChainOf(Received("\0\0\1\0"s)));
    EXPECT_EQ(frames.Next().status().message(), "a frame of 256 bytes; at most 3 are accepted");
  }
  Settle();
}

// What has been searched is changed behind the parser's back, to what it searches for: it must not see that.
// Else a line would take time by the square of its fragments, of which the peer decides how many there are.
TEST_F(FramingTest, NoByteIsSearchedTwice) {
  LineParser lines(10);
  {
    Buffer first = Received("abc");
    const std::span<std::byte> memory(const_cast<std::byte*>(first.data()), first.size());
    lines.Append(ChainOf(std::move(first)));
    absl::StatusOr<std::optional<BufferChain>> line = lines.Next();
    ASSERT_TRUE(line.ok() && !line->has_value()) << line.status();
    std::memset(memory.data(), '\n', memory.size());
    lines.Append(ChainOf(Received("de\n", 1000)));
    line = lines.Next();
    ASSERT_TRUE(line.ok() && line->has_value()) << line.status();
    EXPECT_EQ(TextOf(**line), "\n\n\nde");
  }
  Settle();
}

// What has been given out and dropped goes back at once, not when the parser goes.
TEST_F(FramingTest, NothingIsHeldBetweenMessages) {
  LineParser lines(10);
  FrameParser frames(10);
  lines.Append(ChainOf(Received("ab\r\n")));
  EXPECT_EQ(TextOf(**lines.Next()), "ab");
  Settle();
  frames.Append(ChainOf(Received("\0\0\0\2ab"s)));
  EXPECT_EQ(TextOf(**frames.Next()), "ab");
  Settle();
}

}  // namespace
}  // namespace zcrx
