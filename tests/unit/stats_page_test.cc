// SPDX-License-Identifier: Apache-2.0
//
// The stats page: what is written is read, never half of it, and nothing that
// anybody puts in its place does harm.
#include "zcrx/stats_page.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "lib/runtime/stats_publisher.h"
#include "lib/runtime/stats_reader.h"

namespace zcrx {
namespace {

using internal::ReadStatsPage;
using internal::WriteStatsPage;

// A memory file, as whoever wants to could make one.
class MemoryFile {
 public:
  explicit MemoryFile(size_t bytes = sizeof(StatsPage), int seals = F_SEAL_SHRINK | F_SEAL_GROW)
      : fd_(memfd_create(internal::kStatsFileName, MFD_CLOEXEC | MFD_ALLOW_SEALING)), bytes_(bytes) {
    EXPECT_EQ(ftruncate(fd_, static_cast<off_t>(bytes)), 0);
    EXPECT_EQ(fcntl(fd_, F_ADD_SEALS, seals), 0);
    memory_ = mmap(nullptr, std::max<size_t>(bytes, 1), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    EXPECT_NE(memory_, MAP_FAILED);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() {
    munmap(memory_, std::max<size_t>(bytes_, 1));
    close(fd_);
  }

  int fd() const { return fd_; }
  uint64_t* words() const { return static_cast<uint64_t*>(memory_); }
  StatsPage* page() const { return static_cast<StatsPage*>(memory_); }

 private:
  const int fd_;
  const size_t bytes_;
  void* memory_;
};

StatsPage SomePage() {
  StatsPage page;
  page.bytes = sizeof(page);
  page.pid = getpid();
  page.runtime = 7;
  std::string("eth0").copy(page.name.data(), page.name.size());
  page.bytes_received = 1000;
  page.copied_bytes = 1;
  page.zero_copy = 1;
  page.holder_count = 2;
  page.holders = {StatsHolder{.stream = 5, .pieces = 9}, StatsHolder{.stream = 6, .pieces = 8}};
  return page;
}

TEST(StatsPageTest, WhatIsWrittenIsRead) {
  const MemoryFile file;
  WriteStatsPage(SomePage(), file.words());
  const absl::StatusOr<StatsPage> page = ReadStatsPage(file.fd());
  ASSERT_TRUE(page.ok()) << page.status();
  StatsPage expected = SomePage();
  expected.sequence = 2;
  EXPECT_EQ(std::memcmp(&*page, &expected, sizeof(expected)), 0);
  EXPECT_EQ(page->zero_copy_bytes(), 999u);
}

TEST(StatsPageTest, WhatIsNotCounted) {
  StatsPage page = SomePage();
  page.copied_bytes = StatsPage::kNotCounted;
  EXPECT_EQ(page.zero_copy_bytes(), 1000u);
  // The kernel has counted what has not been received yet.
  page.copied_bytes = 1001;
  EXPECT_EQ(page.zero_copy_bytes(), 0u);
  page = SomePage();
  page.zero_copy = 0;
  EXPECT_EQ(page.zero_copy_bytes(), 0u);
}

TEST(StatsPageTest, APageThatIsBeingWrittenIsNotRead) {
  const MemoryFile file;
  WriteStatsPage(SomePage(), file.words());
  ++file.page()->sequence;
  EXPECT_TRUE(absl::IsUnavailable(ReadStatsPage(file.fd()).status()));
  ++file.page()->sequence;
  EXPECT_TRUE(ReadStatsPage(file.fd()).ok());
}

// All counts of a page are one number. A reader that got half of one page and half of another would see two.
TEST(StatsPageTest, NeverHalfOfAPage) {
  const MemoryFile file;
  WriteStatsPage(SomePage(), file.words());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint64_t n = 1; !stop.load(); ++n) {
      StatsPage page = SomePage();
      page.bytes_received = page.fragments_received = page.pieces_out = page.copied_out_bytes = n;
      page.holders.back() = {.stream = n, .pieces = n};
      WriteStatsPage(page, file.words());
    }
  });
  uint64_t last = 0;
  int read = 0;
  while (read < 2000 || last == 0) {
    const absl::StatusOr<StatsPage> page = ReadStatsPage(file.fd());
    // With one CPU, and the writer interrupted.
    if (absl::IsUnavailable(page.status())) continue;
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->bytes_received == 1000) continue;  // the first
    ++read;
    ASSERT_EQ(page->fragments_received, page->bytes_received);
    ASSERT_EQ(page->pieces_out, page->bytes_received);
    ASSERT_EQ(page->copied_out_bytes, page->bytes_received);
    ASSERT_EQ(page->holders.back().stream, page->bytes_received);
    ASSERT_EQ(page->holders.back().pieces, page->bytes_received);
    ASSERT_GE(page->bytes_received, last) << "nor an older one";
    last = page->bytes_received;
  }
  stop.store(true);
  writer.join();
}

TEST(StatsPageTest, OtherVersionsAreNamed) {
  const MemoryFile file;
  StatsPage page = SomePage();
  page.version = 2;
  page.bytes = 24;
  WriteStatsPage(page, file.words());
  const absl::Status status = ReadStatsPage(file.fd()).status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_NE(status.message().find("version 2"), std::string::npos) << status;
}

TEST(StatsPageTest, ALongerPageOfTheSameVersionIsRead) {
  const MemoryFile file(8192);
  StatsPage page = SomePage();
  page.bytes = sizeof(page) + 64;
  WriteStatsPage(page, file.words());
  EXPECT_TRUE(ReadStatsPage(file.fd()).ok());
}

TEST(StatsPageTest, WhatCouldShrinkIsNotTouched) {
  const MemoryFile file(sizeof(StatsPage), F_SEAL_GROW);
  WriteStatsPage(SomePage(), file.words());
  EXPECT_TRUE(absl::IsDataLoss(ReadStatsPage(file.fd()).status()));
}

TEST(StatsPageTest, TruncatedPages) {
  for (const size_t bytes : {size_t{0}, size_t{8}, sizeof(StatsPage) - 1}) {
    const MemoryFile file(bytes);
    EXPECT_TRUE(absl::IsDataLoss(ReadStatsPage(file.fd()).status())) << bytes;
  }
  // Long enough, and says that it is not.
  const MemoryFile file;
  StatsPage page = SomePage();
  page.bytes = sizeof(page) - 8;
  WriteStatsPage(page, file.words());
  EXPECT_TRUE(absl::IsDataLoss(ReadStatsPage(file.fd()).status()));
}

TEST(StatsPageTest, Garbage) {
  const MemoryFile empty;
  EXPECT_TRUE(absl::IsDataLoss(ReadStatsPage(empty.fd()).status()));
  const MemoryFile file;
  std::memset(file.words(), 0xfe, sizeof(StatsPage));
  EXPECT_TRUE(absl::IsDataLoss(ReadStatsPage(file.fd()).status()));
  // The first bytes right, all else wrong: counts and names are cut to what can be.
  file.page()->magic = StatsPage::kMagic;
  file.page()->version = StatsPage::kVersion;
  std::memset(file.page()->name.data(), '\x1b', file.page()->name.size());
  const absl::StatusOr<StatsPage> page = ReadStatsPage(file.fd());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->holder_count, page->holders.size());
  EXPECT_EQ(std::string(page->name.data()), std::string(page->name.size() - 1, '?'));
}

TEST(StatsPageTest, NotAMemoryFile) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(ReadStatsPage(ends[0]).ok());
  close(ends[0]);
  close(ends[1]);
  EXPECT_FALSE(ReadStatsPage(-1).ok());
}

// Those of this process.
std::vector<PublishedStats> Mine() {
  std::vector<PublishedStats> pages = ReadStatsPages();
  std::erase_if(pages, [](const PublishedStats& one) { return one.pid != getpid(); });
  return pages;
}

TEST(ReadStatsPagesTest, FindsThoseThatAreAndSaysWhoseTheyAre) {
  ASSERT_TRUE(Mine().empty());
  {
    const MemoryFile good;
    WriteStatsPage(SomePage(), good.words());
    const int again = dup(good.fd());
    const MemoryFile garbage;
    const std::vector<PublishedStats> pages = Mine();
    ASSERT_EQ(pages.size(), 2u) << "a file is read once, however many descriptors it has";
    EXPECT_EQ(pages[0].uid, geteuid());
    EXPECT_TRUE(absl::IsDataLoss(pages[0].page.status()));
    ASSERT_TRUE(pages[1].page.ok()) << pages[1].page.status();
    EXPECT_EQ(pages[1].page->runtime, 7u);
    close(again);
  }
  EXPECT_TRUE(Mine().empty());
}

// A child has the files of its parent, but not its runtimes.
TEST(ReadStatsPagesTest, AChildIsNotItsParent) {
  const MemoryFile file;
  WriteStatsPage(SomePage(), file.words());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    char unused;
    close(ends[1]);
    _exit(read(ends[0], &unused, 1) == 0 ? 0 : 1);
  }
  const std::vector<PublishedStats> pages = ReadStatsPages();
  EXPECT_EQ(std::count_if(pages.begin(), pages.end(), [](const auto& one) { return one.pid == getpid(); }),
            1);
  EXPECT_EQ(std::count_if(pages.begin(), pages.end(), [&](const auto& one) { return one.pid == child; }), 0);
  close(ends[1]);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  close(ends[0]);
}

// Something else of the same name is not opened.
TEST(ReadStatsPagesTest, OtherFilesOfThatNameAreLeftAlone) {
  const std::string name = std::string("/memfd:") + internal::kStatsFileName + " (deleted)";
  if (mkfifo(name.c_str(), 0600) != 0) GTEST_SKIP() << "cannot make files in /";
  const int fd = open(name.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_GE(fd, 0);
  EXPECT_TRUE(Mine().empty());
  EXPECT_EQ(unlink(name.c_str()), 0);
  close(fd);
}

}  // namespace
}  // namespace zcrx
