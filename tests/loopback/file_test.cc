// SPDX-License-Identifier: Apache-2.0
#include "zcrx/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "lib/ifq/buffer_ledger.h"
#include "lib/runtime/runtime_core.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

constexpr size_t kPage = 4096;

std::string PathOf(const std::string& name) {
  const std::string path = testing::TempDir() + "/zcrx_file_test." + std::to_string(getpid()) + "." + name;
  unlink(path.c_str());
  return path;
}

std::string Contents(const std::string& path) {
  std::ostringstream contents;
  contents << std::ifstream(path, std::ios::binary).rdbuf();
  return contents.str();
}

void WriteContents(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

// Why the directory of the tests has no direct I/O; empty if it has.
std::string WhyNotDirect() {
  const std::string path = PathOf("probe");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  const int error = fd >= 0 ? 0 : errno;
  if (fd >= 0) close(fd);
  unlink(path.c_str());
  if (error == 0) return "";
  return "the file system of " + testing::TempDir() + " refuses O_DIRECT: " + strerror(error);
}

// Fragments that lie where the test wants them, and know whether they have been given back.
class Fragments {
 public:
  explicit Fragments(size_t bytes)
      : ledger_(internal::BufferLedger::Open(*internal::PoolRegion::Map({.bytes = bytes}, std::nullopt),
                                             *internal::Waker::Create())) {}

  // The next `size` bytes of the pattern, `misplaced` bytes behind the start of a page.
  Buffer Next(size_t size, size_t misplaced = 0) {
    internal::BufferRecord* record = ledger_->Issue(place_ + misplaced, size, place_);
    const std::string bytes = Pattern(pattern_.size(), size);
    std::memcpy(const_cast<std::byte*>(record->bytes.data()), bytes.data(), size);
    pattern_ += bytes;
    place_ += (misplaced + size + kPage - 1) / kPage * kPage;
    return {record->bytes, record};
  }

  // Of all fragments, in order.
  const std::string& pattern() const { return pattern_; }

  // How many have not been given back.
  uint64_t Out() {
    ledger_->Settle([](uint64_t) { return true; });
    return ledger_->out();
  }

 private:
  internal::BufferLedger::Handle ledger_;
  size_t place_ = 0;
  std::string pattern_;
};

Task<void> AppendOne(File& file, BufferChain chain, absl::Status* status) {
  *status = co_await file.Append(std::move(chain));
}

Task<void> FinishIt(File& file, absl::Status* status) { *status = co_await file.Finish(); }

absl::Status Append(Runtime& runtime, File& file, BufferChain chain) {
  absl::Status status = absl::UnknownError("did not run");
  RunToEnd(runtime, AppendOne(file, std::move(chain), &status));
  return status;
}

absl::Status Append(Runtime& runtime, File& file, Buffer buffer) {
  BufferChain chain;
  chain.Append(std::move(buffer));
  return Append(runtime, file, std::move(chain));
}

absl::Status Finish(Runtime& runtime, File& file) {
  absl::Status status = absl::UnknownError("did not run");
  RunToEnd(runtime, FinishIt(file, &status));
  return status;
}

File OpenFile(Runtime& runtime, const std::string& path, const FileOptions& options) {
  absl::StatusOr<File> file = File::Open(runtime, path, options);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : File();
}

// --- Contents, with direct I/O and without --------------------------------------------

class FileTest : public testing::TestWithParam<DirectIo> {
 protected:
  void SetUp() override {
    if (!direct()) return;
    if (const std::string reason = WhyNotDirect(); !reason.empty()) GTEST_SKIP() << reason;
  }
  void TearDown() override { unlink(path_.c_str()); }

  bool direct() const { return GetParam() == DirectIo::kRequired; }
  FileOptions Options() const { return {.direct = GetParam()}; }

  // Finishes the file and compares it to what was given to it.
  void FinishAndCompare(File& file, Fragments& fragments, const std::string& before = "") {
    EXPECT_EQ(file.size(), before.size() + fragments.pattern().size());
    const absl::Status finished = Finish(runtime_, file);
    EXPECT_TRUE(finished.ok()) << finished;
    EXPECT_EQ(file.size(), before.size() + fragments.pattern().size());
    EXPECT_TRUE(Contents(path_) == before + fragments.pattern());
    EXPECT_EQ(file.stats().bytes_in_place + file.stats().bytes_copied, fragments.pattern().size());
    EXPECT_EQ(fragments.Out(), 0u);
  }

  const std::string path_ = PathOf("contents");
  Runtime runtime_ = NewRuntime();
};

INSTANTIATE_TEST_SUITE_P(, FileTest, testing::Values(DirectIo::kNo, DirectIo::kRequired),
                         [](const testing::TestParamInfo<DirectIo>& param) {
                           return param.param == DirectIo::kNo ? "Cached" : "Direct";
                         });

TEST_P(FileTest, FragmentsOfOneSize) {
  for (const size_t size : {1, 511, 512, 513, 4095, 4096, 4097, 16384, 70001}) {
    for (const size_t misplaced : {0, 1, 511, 512, 4095}) {
      SCOPED_TRACE(testing::Message() << size << " bytes each, " << misplaced << " off");
      Fragments fragments(8u << 20);
      File file = OpenFile(runtime_, path_, Options());
      EXPECT_EQ(file.direct(), direct());
      for (int i = 0; i < 33; ++i) {
        ASSERT_TRUE(Append(runtime_, file, fragments.Next(size, misplaced)).ok());
      }
      FinishAndCompare(file, fragments);
    }
  }
}

TEST_P(FileTest, FragmentsInChains) {
  std::mt19937 random(1);
  constexpr size_t kSizes[] = {1, 511, 512, 513, 4095, 4096, 4096, 4096, 4097, 8192, 12288, 50000};
  constexpr size_t kMisplaced[] = {0, 0, 0, 1, 512, 4095};
  uint64_t in_place = 0;
  for (int round = 0; round < 10; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    Fragments fragments(64u << 20);
    FileOptions options = Options();
    options.in_place_bytes = round % 2 == 0 ? 4096 : 0;
    File file = OpenFile(runtime_, path_, options);
    for (int i = 0; i < 10; ++i) {
      BufferChain chain;
      // More than the parts of one request.
      for (size_t count = random() % 300; count > 0; --count) {
        chain.Append(fragments.Next(kSizes[random() % std::size(kSizes)],
                                    kMisplaced[random() % std::size(kMisplaced)]));
      }
      ASSERT_TRUE(Append(runtime_, file, std::move(chain)).ok());
    }
    FinishAndCompare(file, fragments);
    in_place += file.stats().bytes_in_place;
  }
  EXPECT_GT(in_place, 0u);
}

TEST_P(FileTest, AlignedFragmentsGoInPlace) {
  Fragments fragments(8u << 20);
  File file = OpenFile(runtime_, path_, Options());
  BufferChain chain;
  for (int i = 0; i < 100; ++i) chain.Append(fragments.Next(kPage));
  ASSERT_TRUE(Append(runtime_, file, std::move(chain)).ok());
  EXPECT_EQ(fragments.Out(), 0u);
  EXPECT_TRUE(Contents(path_) == fragments.pattern()) << "all is written before Finish()";
  EXPECT_EQ(file.stats().bytes_in_place, 100 * kPage);
  EXPECT_EQ(file.stats().writes, 1u);
  FinishAndCompare(file, fragments);
}

TEST_P(FileTest, FragmentsLargerThanAPart) {
  Fragments fragments(64u << 20);
  File file = OpenFile(runtime_, path_, Options());
  ASSERT_TRUE(Append(runtime_, file, fragments.Next((17u << 20) + 5)).ok());
  ASSERT_TRUE(Append(runtime_, file, fragments.Next((9u << 20) + 5, 1)).ok());
  FinishAndCompare(file, fragments);
}

TEST_P(FileTest, AppendsToWhatThereIs) {
  for (const size_t before : {0, 1, 511, 4096, 5000, 1'100'001}) {
    SCOPED_TRACE(testing::Message() << before << " bytes before");
    const std::string contents = Pattern(77, before);
    WriteContents(path_, contents);
    FileOptions options = Options();
    options.append = true;
    File file = OpenFile(runtime_, path_, options);
    EXPECT_EQ(file.size(), before);
    Fragments fragments(1u << 20);
    for (const size_t size : {1, 4096, 20000}) {
      ASSERT_TRUE(Append(runtime_, file, fragments.Next(size)).ok());
    }
    FinishAndCompare(file, fragments, contents);
  }
}

TEST_P(FileTest, ReplacesWhatThereIs) {
  WriteContents(path_, Pattern(77, 100'000));
  File file = OpenFile(runtime_, path_, Options());
  Fragments fragments(1u << 20);
  ASSERT_TRUE(Append(runtime_, file, fragments.Next(10'000)).ok());
  FinishAndCompare(file, fragments);
}

TEST_P(FileTest, NothingIsAnEmptyFile) {
  File file = OpenFile(runtime_, path_, Options());
  ASSERT_TRUE(Append(runtime_, file, BufferChain()).ok());
  Fragments fragments(1u << 20);
  FinishAndCompare(file, fragments);
  EXPECT_EQ(access(path_.c_str(), F_OK), 0);
}

TEST_P(FileTest, TakesNothingOnceFinished) {
  File file = OpenFile(runtime_, path_, Options());
  Fragments fragments(1u << 20);
  ASSERT_TRUE(Append(runtime_, file, fragments.Next(10)).ok());
  FinishAndCompare(file, fragments);
  EXPECT_TRUE(absl::IsFailedPrecondition(Append(runtime_, file, fragments.Next(10))));
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish(runtime_, file)));
}

// --- Out of the region ------------------------------------------------------------------

Task<absl::StatusOr<BufferChain>> ReceiveOne(Stream& stream) {
  BufferChain chain;
  absl::StatusOr<Buffer> data = co_await stream.Receive();
  if (!data.ok()) co_return data.status();
  chain.Append(*std::move(data));
  co_return chain;
}

Task<absl::StatusOr<BufferChain>> ReceiveSeveral(Stream& stream) {
  absl::StatusOr<BufferChain> data = co_await stream.ReceiveBatch();
  co_return data;
}

// `receive` is one of the above.
Task<void> ReceiveToFile(Runtime& runtime, File& file, const std::string& bytes,
                         Task<absl::StatusOr<BufferChain>> (*receive)(Stream&)) {
  StreamPair pair = co_await ConnectPair(runtime);
  const absl::Status sent = co_await pair.client.SendAll(AsBytes(bytes));
  EXPECT_TRUE(sent.ok()) << sent;
  EXPECT_TRUE(pair.client.Shutdown(Stream::Direction::kSend).ok());
  // All is there before anything is received, so that every piece of the region is filled to its end.
  int arrived = 0;
  while (arrived < static_cast<int>(bytes.size())) {
    EXPECT_EQ(ioctl(pair.server.fd(), FIONREAD, &arrived), 0);
    const absl::Status slept = co_await Sleep(std::chrono::milliseconds(1));
    EXPECT_TRUE(slept.ok());
  }
  while (true) {
    absl::StatusOr<BufferChain> data = co_await receive(pair.server);
    EXPECT_TRUE(data.ok()) << data.status();
    if (!data.ok() || data->empty()) co_return;
    const absl::Status written = co_await file.Append(*std::move(data));
    EXPECT_TRUE(written.ok()) << written;
  }
}

// False where RLIMIT_MEMLOCK does not allow it.
bool RegionIsFixedBuffer(Runtime& runtime) {
  const iovec first = {.iov_base = runtime.core().receive_path().memory().data(), .iov_len = 1};
  return runtime.core().fixed_buffers().Find(std::span(&first, 1)).has_value();
}

TEST_P(FileTest, WritesOutOfTheRegion) {
  File file = OpenFile(runtime_, path_, Options());
  const std::string bytes = Pattern(0, 16 * kPage);
  RunToEnd(runtime_, ReceiveToFile(runtime_, file, bytes, ReceiveOne));
  EXPECT_TRUE(Finish(runtime_, file).ok());
  EXPECT_TRUE(Contents(path_) == bytes);
  EXPECT_EQ(file.stats().bytes_in_place, bytes.size());
  EXPECT_EQ(file.stats().bytes_copied, 0u);
  // The page cache is filled by copying: nothing has to be pinned.
  EXPECT_EQ(file.stats().bytes_fixed, direct() && RegionIsFixedBuffer(runtime_) ? bytes.size() : 0u);
}

TEST_P(FileTest, WritesSeveralPartsOfTheRegionAtOnce) {
  File file = OpenFile(runtime_, path_, Options());
  const std::string bytes = Pattern(0, 16 * kPage);
  RunToEnd(runtime_, ReceiveToFile(runtime_, file, bytes, ReceiveSeveral));
  EXPECT_TRUE(Finish(runtime_, file).ok());
  EXPECT_TRUE(Contents(path_) == bytes);
  EXPECT_EQ(file.stats().bytes_in_place, bytes.size());
  // The kernel knows no such request before 6.15, and what it answers must not be the end of it.
  EXPECT_LE(file.stats().writes, 5u);
}

// --- Errors -----------------------------------------------------------------------------

TEST(FileErrorTest, NoSuchDirectory) {
  Runtime runtime = NewRuntime();
  const absl::StatusOr<File> file = File::Open(runtime, PathOf("none") + "/file");
  EXPECT_EQ(ErrnoOf(file.status()), ENOENT) << file.status();
}

TEST(FileErrorTest, OnlyRegularFiles) {
  Runtime runtime = NewRuntime();
  EXPECT_EQ(ErrnoOf(File::Open(runtime, testing::TempDir()).status()), EISDIR);
  EXPECT_EQ(ErrnoOf(File::Open(runtime, "/dev/null").status()), EINVAL);
}

TEST(FileErrorTest, ADefaultFileTakesNothing) {
  Runtime runtime = NewRuntime();
  File file;
  EXPECT_TRUE(absl::IsFailedPrecondition(Append(runtime, file, BufferChain())));
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish(runtime, file)));
  EXPECT_EQ(file.size(), 0u);
}

// procfs is everywhere and has no direct I/O. Nothing is written there.
TEST(FileErrorTest, NoDirectIo) {
  const std::string path = "/proc/self/comm";
  Runtime runtime = NewRuntime();
  const absl::StatusOr<File> file = File::Open(runtime, path, {.direct = DirectIo::kRequired});
  EXPECT_EQ(ErrnoOf(file.status()), EINVAL) << file.status();
  EXPECT_NE(file.status().message().find("fix: DirectIo::kIfPossible"), std::string::npos) << file.status();
  const absl::StatusOr<File> cached = File::Open(runtime, path, {.direct = DirectIo::kIfPossible});
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_FALSE(cached->direct());
}

// A tiny file system, seen by this thread only.
class TinyFileSystem {
 public:
  TinyFileSystem() : directory_(PathOf("mount")) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mkdir(directory_.c_str(), 0700) != 0) {
      reason_ = std::string("no right to mount: ") + strerror(errno);
    } else if (mount("none", directory_.c_str(), "tmpfs", 0, "size=128k") != 0) {
      reason_ = std::string("mounting a tmpfs: ") + strerror(errno);
    } else {
      mounted_ = true;
    }
  }
  ~TinyFileSystem() {
    if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
    rmdir(directory_.c_str());
  }

  const std::string& reason() const { return reason_; }  // why there is none
  std::string Path() const { return directory_ + "/file"; }
  bool MakeReadOnly() const {
    return mount("none", directory_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  const std::string directory_;
  bool mounted_ = false;
  std::string reason_;
};

TEST_P(FileTest, FullFileSystem) {
  const TinyFileSystem tiny;
  if (!tiny.reason().empty()) GTEST_SKIP() << tiny.reason();
  Fragments fragments(8u << 20);
  absl::StatusOr<File> file = File::Open(runtime_, tiny.Path(), Options());
  if (direct() && ErrnoOf(file.status()) == EINVAL) GTEST_SKIP() << "tmpfs has no O_DIRECT before Linux 6.6";
  ASSERT_TRUE(file.ok()) << file.status();
  BufferChain chain;
  for (int i = 0; i < 100; ++i) chain.Append(fragments.Next(kPage));
  const absl::Status status = Append(runtime_, *file, std::move(chain));
  EXPECT_EQ(ErrnoOf(status), ENOSPC) << status;
  EXPECT_NE(status.message().find(tiny.Path()), std::string::npos) << status;
  EXPECT_EQ(fragments.Out(), 0u);
  EXPECT_EQ(ErrnoOf(Append(runtime_, *file, fragments.Next(1))), ENOSPC) << "the error stays";
  EXPECT_EQ(ErrnoOf(Finish(runtime_, *file)), ENOSPC);
  const std::string contents = Contents(tiny.Path());
  EXPECT_EQ(contents.size(), 128u << 10);
  EXPECT_TRUE(contents == fragments.pattern().substr(0, contents.size()));
}

TEST(FileErrorTest, ReadOnlyFileSystem) {
  const TinyFileSystem tiny;
  if (!tiny.reason().empty()) GTEST_SKIP() << tiny.reason();
  ASSERT_TRUE(tiny.MakeReadOnly()) << strerror(errno);
  Runtime runtime = NewRuntime();
  EXPECT_EQ(ErrnoOf(File::Open(runtime, tiny.Path()).status()), EROFS);
}

// The limit makes the kernel write some, and then nothing: short writes go on where they ended.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*const handler_)(int);
  rlimit before_ = {};
};

TEST_P(FileTest, ShortWritesAndTheirReason) {
  constexpr size_t kLimit = 10 * kPage;
  Fragments fragments(8u << 20);
  File file = OpenFile(runtime_, path_, Options());
  {
    const FileSizeLimit limit(kLimit);
    // In place: the limit is in the middle of a part.
    BufferChain chain;
    for (int i = 0; i < 3; ++i) chain.Append(fragments.Next(4 * kPage));
    EXPECT_EQ(ErrnoOf(Append(runtime_, file, std::move(chain))), EFBIG);
    EXPECT_EQ(file.stats().writes, 2u) << "one that was short, one that told why";
  }
  EXPECT_EQ(ErrnoOf(Finish(runtime_, file)), EFBIG) << "the error stays";
  EXPECT_TRUE(Contents(path_) == fragments.pattern().substr(0, kLimit));
  EXPECT_EQ(file.size(), kLimit);
  EXPECT_EQ(fragments.Out(), 0u);
}

// Of what is gathered, which is nothing without direct I/O.
class GatheringFileTest : public FileTest {};

INSTANTIATE_TEST_SUITE_P(Direct, GatheringFileTest, testing::Values(DirectIo::kRequired));

TEST_P(GatheringFileTest, ShortWritesAtTheEnd) {
  constexpr size_t kLimit = 10 * kPage;
  Fragments fragments(8u << 20);
  File file = OpenFile(runtime_, path_, Options());
  ASSERT_TRUE(Append(runtime_, file, fragments.Next(20 * kPage + 7, 1)).ok());
  EXPECT_EQ(fragments.Out(), 0u) << "what is gathered goes back at once";
  {
    const FileSizeLimit limit(kLimit);
    EXPECT_EQ(ErrnoOf(Finish(runtime_, file)), EFBIG);
  }
  EXPECT_TRUE(Contents(path_) == fragments.pattern().substr(0, kLimit));
}

// --- Tasks, cancelling, the end of the runtime ---------------------------------------------

Task<void> AppendCancelled(Runtime& runtime, File& file, Buffer data, absl::Status* status) {
  TaskGroup group(runtime);
  group.Cancel();
  BufferChain chain;
  chain.Append(std::move(data));
  group.Spawn(file.Append(std::move(chain)));
  *status = co_await group.Wait();
}

TEST_P(FileTest, ACancelledTaskWritesNothing) {
  Fragments fragments(1u << 20);
  File file = OpenFile(runtime_, path_, Options());
  absl::Status status;
  RunToEnd(runtime_, AppendCancelled(runtime_, file, fragments.Next(16 * kPage), &status));
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(absl::IsCancelled(Finish(runtime_, file))) << "data is missing, so it does not go on";
  EXPECT_EQ(fragments.Out(), 0u);
  EXPECT_EQ(Contents(path_), "");
}

TEST_P(FileTest, OneOperationAtATime) {
  Fragments fragments(8u << 20);
  File file = OpenFile(runtime_, path_, Options());
  absl::Status first = absl::UnknownError("did not run");
  absl::Status second = first;
  BufferChain chain;
  chain.Append(fragments.Next(64 * kPage));
  runtime_.Spawn(AppendOne(file, std::move(chain), &first));
  runtime_.Spawn(AppendOne(file, BufferChain(), &second));
  EXPECT_TRUE(runtime_.Run().ok());
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  FinishAndCompare(file, fragments);
}

Task<void> Await(Task<absl::Status> task, absl::Status* status) { *status = co_await std::move(task); }

TEST_P(FileTest, TheFileMayGoWhileItIsWritten) {
  Fragments fragments(8u << 20);
  absl::Status status = absl::UnknownError("did not run");
  {
    File file = OpenFile(runtime_, path_, Options());
    BufferChain chain;
    chain.Append(fragments.Next(64 * kPage));
    runtime_.Spawn(Await(file.Append(std::move(chain)), &status));
    EXPECT_TRUE(runtime_.RunOnce(std::chrono::nanoseconds::zero()).ok());
  }
  EXPECT_TRUE(runtime_.Run().ok());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Contents(path_) == fragments.pattern());
  EXPECT_EQ(fragments.Out(), 0u);
}

TEST_P(FileTest, TheRuntimeMayEndWhileItIsWritten) {
  constexpr int kFiles = 8;
  Fragments fragments(32u << 20);
  std::vector<absl::Status> results(kFiles, absl::UnknownError("did not end"));
  std::vector<File> files;
  files.reserve(kFiles);  // the tasks refer to them
  {
    Runtime runtime = NewRuntime();
    for (int i = 0; i < kFiles; ++i) {
      files.push_back(OpenFile(runtime, path_, Options()));
      BufferChain chain;
      for (int j = 0; j < 100; ++j) chain.Append(fragments.Next(kPage));
      chain.Append(fragments.Next(1u << 20, 1));
      runtime.Spawn(AppendOne(files.back(), std::move(chain), &results[static_cast<size_t>(i)]));
    }
    EXPECT_TRUE(runtime.RunOnce(std::chrono::nanoseconds::zero()).ok());
  }
  for (const absl::Status& result : results) {
    EXPECT_TRUE(result.ok() || absl::IsCancelled(result)) << result;
  }
  EXPECT_EQ(fragments.Out(), 0u);
  // They outlive it and take nothing.
  File fresh;
  {
    Runtime runtime = NewRuntime();
    fresh = OpenFile(runtime, path_, Options());
  }
  EXPECT_TRUE(absl::IsCancelled(Append(runtime_, fresh, fragments.Next(16 * kPage))));
}

}  // namespace
}  // namespace zcrx
