// SPDX-License-Identifier: Apache-2.0
#include "zcrx/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/uapi/log.h"
#include "tests/log_capture.h"

namespace zcrx::internal {
namespace {

void Tell(const std::string& text) { Log(LogSeverity::kWarning, "test.event", text); }

TEST(LogTest, SinkHearsSeverityNameAndText) {
  const LogCapture heard;
  Log(LogSeverity::kError, "test.event", "stream ", 7, " of ", std::string("x"));
  ASSERT_EQ(heard.Of("test.event").size(), 1u);
  const LogCapture::Event event = heard.Of("test.event").front();
  EXPECT_EQ(event.severity, LogSeverity::kError);
  EXPECT_EQ(event.text, "stream 7 of x");
}

TEST(LogTest, NothingIsPrintedByDefault) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  Tell("a");
  {
    const LogCapture heard;
    Tell("b");
  }
  Tell("c");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(LogTest, TheLatestSinkHearsIt) {
  const LogCapture first;
  Tell("a");
  {
    const LogCapture second;
    Tell("b");
    EXPECT_EQ(second.Of("test.event").size(), 1u);
  }
  Tell("c");  // the end of the second has taken away all
  EXPECT_EQ(first.Of("test.event").size(), 1u);
}

// A sink may stop hearing by itself, and what it has captured ends after it.
TEST(LogTest, SinkMayReplaceItself) {
  auto calls = std::make_shared<int>(0);
  SetLogSink([calls](const LogEvent&) {
    ++*calls;
    SetLogSink(nullptr);
    EXPECT_EQ(calls.use_count(), 2) << "it is running: it must not be destroyed";
  });
  EXPECT_EQ(calls.use_count(), 2);
  Tell("a");
  Tell("b");
  EXPECT_EQ(*calls, 1);
  EXPECT_EQ(calls.use_count(), 1);
}

TEST(LogTest, TextIsNotMadeForNobody) {
  struct Expensive {
    int& made;
    operator absl::AlphaNum() const {  // NOLINT(google-explicit-constructor): what StrCat() takes
      ++made;
      return {1};
    }
  };
  int made = 0;
  Log(LogSeverity::kInfo, "test.event", Expensive{made});
  EXPECT_EQ(made, 0);
  const LogCapture heard;
  Log(LogSeverity::kInfo, "test.event", Expensive{made});
  EXPECT_EQ(made, 1);
}

TEST(LogTest, WhatHappensAllTheTimeIsToldNow) {
  LogLimit limit;
  EXPECT_FALSE(limit.Log(LogSeverity::kInfo, "test.event", "nobody listens"));
  const LogCapture heard;
  const auto began = std::chrono::steady_clock::now();
  uint64_t told = 0;
  for (int i = 0; i < 1000; ++i) told += limit.Log(LogSeverity::kInfo, "test.event", i) ? 1 : 0;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began).count();
  ASSERT_FALSE(heard.Of("test.event").empty());
  EXPECT_EQ(heard.Of("test.event").front().text, "0") << "the first is told at once";
  EXPECT_EQ(heard.Of("test.event").size(), told);
  EXPECT_LE(told, 1 + static_cast<uint64_t>(seconds)) << "and no more than one in a second";
}

// What each of them captured is whole while it is called.
TEST(LogTest, SinksChangeWhileOthersTell) {
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&done] {
      while (!done.load()) Tell("again");
    });
  }
  std::atomic<uint64_t> heard = 0;
  std::atomic<uint64_t> broken = 0;
  for (int i = 0; i < 2000 || heard.load() == 0; ++i) {
    SetLogSink([&heard, &broken, text = std::string("again and again and again")](const LogEvent& event) {
      ++heard;
      if (event.text != "again" || text != "again and again and again") ++broken;
    });
    if (i % 2 == 0) SetLogSink(nullptr);
  }
  SetLogSink(nullptr);
  done = true;
  threads.clear();  // joins
  EXPECT_EQ(broken.load(), 0u);
}

}  // namespace
}  // namespace zcrx::internal
