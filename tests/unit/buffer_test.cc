// SPDX-License-Identifier: Apache-2.0
#include "zcrx/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "lib/ifq/buffer_ledger.h"
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
    size_t count = 0;
    internal::RecordQueue& returned = ledger_->CollectReturned();
    for (; !returned.empty(); ++count) ledger_->Settle(returned.Pop());
    return count;
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

}  // namespace
}  // namespace zcrx
