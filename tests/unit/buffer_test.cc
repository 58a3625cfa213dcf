// SPDX-License-Identifier: Apache-2.0
#include "zcrx/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "tests/allocation_counter.h"
#include "zcrx/buffer_chain.h"

namespace zcrx {
namespace {

class BufferTest : public testing::Test {
 protected:
  // A received fragment with these bytes.
  Buffer Received(std::string_view text) {
    internal::BufferRecord* record = ledger_->Issue(next_, text.size(), next_);
    std::memcpy(const_cast<std::byte*>(record->bytes.data()), text.data(), text.size());
    next_ += 4096;
    return {record->bytes, record};
  }

  size_t Returned() {
    return ledger_->Settle([](uint64_t) { return true; });
  }

  internal::BufferLedger::Handle ledger_ = internal::BufferLedger::Open(
      *internal::PoolRegion::Map({.bytes = 64 * 4096}, std::nullopt), *internal::Waker::Create());
  size_t next_ = 0;
};

TEST_F(BufferTest, DefaultIsEmpty) {
  const Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_TRUE(buffer.Copy().empty());
  EXPECT_TRUE(buffer.Share().empty());
}

TEST_F(BufferTest, MovingLeavesNothingBehind) {
  Buffer a = Received("abc");
  Buffer b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(b.text(), "abc");
  b = Received("def");
  EXPECT_EQ(Returned(), 1u);
  Buffer& same = b;
  b = std::move(same);
  EXPECT_EQ(b.text(), "def");
}

TEST_F(BufferTest, SlicesAreClamped) {
  const Buffer buffer = Received("hello");
  EXPECT_EQ(buffer.Slice(1, 3).text(), "ell");
  EXPECT_EQ(buffer.Slice(3, 100).text(), "lo");
  EXPECT_TRUE(buffer.Slice(5, 1).empty());
  EXPECT_TRUE(buffer.Slice(6, SIZE_MAX).empty());
  EXPECT_EQ(buffer.Slice(0, SIZE_MAX).text(), "hello");
}

TEST_F(BufferTest, CopyIsIndependent) {
  Buffer copy;
  {
    const Buffer original = Received("original");
    copy = original.Copy();
    EXPECT_NE(copy.data(), original.data());
  }
  EXPECT_EQ(Returned(), 1u);
  const Buffer shared = copy.Slice(0, 4);
  copy.Reset();
  EXPECT_EQ(shared.text(), "orig");
}

TEST_F(BufferTest, ChainKeepsOrderAndCountsBytes) {
  BufferChain chain;
  chain.Append(Received("one"));
  chain.Append(Buffer());
  chain.Append(Received("three"));
  EXPECT_EQ(chain.size(), 8u);
  EXPECT_EQ(chain.buffer_count(), 2u);
  BufferChain tail;
  tail.Append(Received("!"));
  chain.Append(std::move(tail));
  std::string text(20, '.');
  EXPECT_EQ(chain.CopyTo(std::as_writable_bytes(std::span(text))), 9u);
  EXPECT_EQ(text.substr(0, 9), "onethree!");
  EXPECT_EQ(chain.CopyTo(std::as_writable_bytes(std::span(text)).first(4)), 4u);
  EXPECT_EQ(chain.PopFront().text(), "one");
  EXPECT_EQ(chain.begin()->text(), "three");
  EXPECT_EQ(chain.size(), 6u);
  EXPECT_EQ(chain.PopFront().text(), "three");
  EXPECT_EQ(chain.PopFront().text(), "!");
  EXPECT_TRUE(chain.empty());
  EXPECT_TRUE(chain.PopFront().empty());
  chain.Append(Received("again"));
  EXPECT_EQ(chain.size(), 5u);
}

TEST_F(BufferTest, MovedChainIsEmptyAndUsable) {
  BufferChain a;
  a.Append(Received("x"));
  a.Append(Received("y"));
  a.PopFront();
  BufferChain b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(a.buffer_count(), 0u);
  EXPECT_EQ(b.begin()->text(), "y");
  a.Append(Received("z"));
  EXPECT_EQ(a.begin()->text(), "z");
  a = std::move(b);
  EXPECT_EQ(a.begin()->text(), "y");
  a = {};
  EXPECT_EQ(Returned(), 3u);
}

// As a parser's input, in which the end of one message is always followed by the beginning of the next.
TEST_F(BufferTest, AChainThatIsNeverEmptyDoesNotGrow) {
  const Buffer piece = Received("ab");
  BufferChain chain;
  chain.Append(piece.Share());
  uint64_t before = 0;
  for (int round = 0; round < 100'000; ++round) {
    if (round == 100) before = AllocationCount();
    for (int i = 0; i < 3; ++i) chain.Append(piece.Share());
    chain.Drop(5);
    chain.Drop(1);
  }
  EXPECT_EQ(AllocationCount(), before);
  EXPECT_EQ(chain.size(), 2u);
}

TEST_F(BufferTest, CordsKeepTheirPieces) {
  const std::string text(1000, 'x');  // a Cord copies parts of a few bytes
  absl::Cord cord = Received(text).ToCord();
  EXPECT_EQ(cord, text);
  absl::Cord part = cord.Subcord(100, 800);
  cord.Clear();
  EXPECT_EQ(Returned(), 0u);
  EXPECT_EQ(part, text.substr(100, 800));
  part.Clear();
  EXPECT_EQ(Returned(), 1u);
  EXPECT_TRUE(Buffer().ToCord().empty());

  BufferChain chain;
  chain.Append(Received("ab"));
  chain.Append(Received("cd"));
  cord = std::move(chain).ToCord();
  EXPECT_TRUE(chain.empty());  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(cord, "abcd");
  cord.Clear();
  EXPECT_EQ(Returned(), 2u);
}

TEST_F(BufferTest, ChainFindsWhatIsSpreadOverBuffers) {
  BufferChain chain;
  for (const char* piece : {"GET / HTT", "P/1.1\r", "\n", "\r\r\n\r", "\nbody"})
    chain.Append(Received(piece));
  EXPECT_EQ(chain.Find("\r\n"), 14u);
  EXPECT_EQ(chain.Find("\r\n\r\n"), 17u) << "not at the first of two \\r";
  EXPECT_EQ(chain.Find("\r\n", 15), 17u);
  EXPECT_EQ(chain.Find("body"), chain.size() - 4);
  EXPECT_EQ(chain.Find("bodyguard"), BufferChain::kNotFound);
  EXPECT_EQ(chain.Find("", 3), 3u);
  EXPECT_EQ(chain.Find("", chain.size()), chain.size());
  EXPECT_EQ(chain.Find("G", chain.size() + 1), BufferChain::kNotFound);
  EXPECT_EQ(BufferChain().Find("x"), BufferChain::kNotFound);
}

TEST_F(BufferTest, PeekIsInPlaceWhereItCanBe) {
  BufferChain chain;
  chain.Append(Received("abcd"));
  chain.Append(Received("ef"));
  std::byte scratch[8];
  EXPECT_EQ(chain.Peek(std::span(scratch, 4)).data(), chain.begin()->data());
  const std::span<const std::byte> spread = chain.Peek(std::span(scratch, 5));
  EXPECT_EQ(spread.data(), scratch);
  EXPECT_EQ(std::memcmp(spread.data(), "abcde", 5), 0);
  EXPECT_EQ(chain.Peek(scratch).size(), 6u) << "there is no more";
}

std::string TextOf(const BufferChain& chain) {
  std::string text(chain.size(), 0);
  EXPECT_EQ(chain.CopyTo(std::as_writable_bytes(std::span(text))), text.size());
  return text;
}

// Against std::string, in random steps.
TEST_F(BufferTest, ChainBehavesLikeAString) {
  std::mt19937 random(4);
  const auto below = [&random](size_t bound) { return static_cast<size_t>(random() % bound); };
  for (int round = 0; round < 200; ++round) {
    next_ = 0;
    BufferChain chain;
    std::string model;
    std::vector<BufferChain> kept;  // shares pieces with the chain
    for (int step = 0; step < 60; ++step) {
      switch (below(6)) {
        case 0: {
          std::string piece(below(5), 0);  // also none
          for (char& c : piece) c = static_cast<char>('a' + below(2));
          model += piece;
          if (!piece.empty()) chain.Append(Received(piece));
          break;
        }
        case 1: {
          const size_t count = below(model.size() + 3);
          kept.push_back(chain.Split(count));
          ASSERT_EQ(TextOf(kept.back()), model.substr(0, count));
          model.erase(0, std::min(count, model.size()));
          break;
        }
        case 2: {
          const size_t count = below(3);
          chain.Drop(count);
          model.erase(0, std::min(count, model.size()));
          break;
        }
        case 3: {
          const std::string pattern = std::string(below(3), 'a') + std::string(below(3), 'b');
          const size_t from = below(model.size() + 2);
          const size_t expected = model.find(pattern, from);
          ASSERT_EQ(chain.Find(pattern, from),
                    expected == std::string::npos ? BufferChain::kNotFound : expected);
          break;
        }
        case 4: {
          iovec parts[4];
          const size_t from = below(model.size() + 2);
          const size_t count = chain.ToIovecs(parts, from);
          std::string text;
          for (const iovec& part : std::span(parts, count))
            text.append(static_cast<const char*>(part.iov_base), part.iov_len);
          ASSERT_EQ(text, from < model.size() ? model.substr(from, text.size()) : "");
          ASSERT_TRUE(count == 4 || from + text.size() >= model.size());
          break;
        }
        case 5: {
          std::string out(below(6), 0);
          const size_t from = below(model.size() + 2);
          const size_t copied = chain.CopyTo(std::as_writable_bytes(std::span(out)), from);
          ASSERT_EQ(out.substr(0, copied), from < model.size() ? model.substr(from, out.size()) : "");
          break;
        }
      }
      ASSERT_EQ(chain.size(), model.size());
      ASSERT_EQ(TextOf(chain), model);
    }
    chain = BufferChain();
    kept.clear();
    Returned();
    ASSERT_EQ(ledger_->out(), 0u);
  }
}

}  // namespace
}  // namespace zcrx
