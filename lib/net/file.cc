// SPDX-License-Identifier: Apache-2.0
#include "zcrx/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <coroutine>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "lib/ifq/mapping.h"
#include "lib/ring/completion.h"
#include "lib/runtime/runtime_core.h"
#include "lib/uapi/zcrx.h"
#include "zcrx/status.h"

namespace zcrx::inline v0 {
namespace internal {
namespace {

// What is gathered before it is written. A multiple of every alignment.
constexpr size_t kGatherBytes = size_t{1} << 20;
// Parts per request.
constexpr size_t kMostParts = 128;
// Bytes per part, so that all of them fit the kernel's 2 GiB per request; a multiple of every alignment.
constexpr size_t kMostPartBytes = size_t{8} << 20;
// Where the kernel does not tell, that is before 6.1 or for file systems that do not: a page is enough.
constexpr size_t kUsualAlignment = 4096;

// What the kernel wants addresses in memory to be a multiple of, and offsets and lengths in the file. Powers
// of two.
struct Alignment {
  size_t memory = 1;
  size_t block = 1;
};

size_t RoundDown(size_t bytes, size_t unit) { return bytes / unit * unit; }

struct FreeStorage {
  void operator()(std::byte* storage) const { std::free(storage); }
};

// Awaits one request that writes `parts`; gives the bytes written, or a negated errno. Goes on only when the
// kernel is done with the memory, cancelled or not.
class WriteAwaiter final : public CompletionHandler, public CancellableAwaiter {
 public:
  struct Request {
    int fd;
    std::span<const iovec> parts;
    uint64_t offset;
    std::optional<uint16_t> fixed_buffer;  // that the parts lie in
  };

  WriteAwaiter(RuntimeCore& runtime, const Request& request) : runtime_(runtime), request_(request) {}

  bool await_ready() const { return cancelled(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    StartWaiting();
    const bool fixed = request_.fixed_buffer.has_value();
    io_uring_sqe* entry = runtime_.ring().Prepare(this);
    entry->fd = request_.fd;
    entry->off = request_.offset;
    if (fixed) entry->buf_index = *request_.fixed_buffer;
    if (request_.parts.size() == 1) {
      entry->opcode = fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;
      entry->addr = reinterpret_cast<uint64_t>(request_.parts[0].iov_base);
      entry->len = static_cast<uint32_t>(request_.parts[0].iov_len);
    } else {
      entry->opcode = fixed ? uapi::kOpWritevFixed : uint8_t{IORING_OP_WRITEV};
      entry->addr = reinterpret_cast<uint64_t>(request_.parts.data());
      entry->len = static_cast<uint32_t>(request_.parts.size());
    }
  }
  int await_resume() const { return result_; }

  void OnCompletion(Completion completion) override {
    StopWaiting();
    result_ = completion.res;
    runtime_.Schedule(waiter_);
  }

 private:
  void OnCancel() override { runtime_.ring().PrepareCancel(this); }

  RuntimeCore& runtime_;
  const Request request_;
  std::coroutine_handle<> waiter_;
  int result_ = -ECANCELED;
};

}  // namespace

// Lives until the File and the operation have let go.
//
// The file has, in this order: what is written, up to `written_`, which is aligned; what is gathered; and
// what the next Append() brings. Without direct I/O everything is aligned and nothing is gathered.
class FileState final : public RuntimeResource {
 public:
  // Takes over the descriptor.
  FileState(RuntimeCore& runtime, int fd, std::string path, size_t in_place_bytes)
      : runtime_(&runtime), fd_(fd), path_(std::move(path)), in_place_bytes_(in_place_bytes) {
    runtime_->Attach(this);
  }
  ~FileState() {
    if (fd_ >= 0) close(fd_);
    if (runtime_ != nullptr) runtime_->Detach(this);
  }
  FileState(const FileState&) = delete;
  FileState& operator=(const FileState&) = delete;

  // Makes writes bypass the page cache.
  absl::Status GoDirect();
  // Goes on behind the first `size` bytes.
  absl::Status StartAt(uint64_t size);

  uint64_t size() const { return written_ + gathered_; }
  bool direct() const { return storage_ != nullptr; }
  const FileStats& stats() const { return stats_; }

  // One operation at a time, and none after an error: says why not, or is to be followed by End().
  absl::Status Begin() {
    if (busy_) return absl::FailedPreconditionError(absl::StrCat(path_, ": another task is writing already"));
    busy_ = end_.ok();
    return end_;
  }
  void End(const absl::Status& status) {
    busy_ = false;
    end_ = status;
  }

  Task<absl::Status> Write(BufferChain& data);
  Task<absl::Status> WriteEnd();
  // The file takes nothing any more.
  absl::Status Close();

  // RuntimeResource. Writes take part in the cancelling of tasks; nothing else is in flight.
  void OnShutdown() override {}
  void OnShutdownOverdue() override {}
  void OnRuntimeGone() override { runtime_ = nullptr; }

 private:
  absl::StatusOr<Alignment> FindAlignment() const;
  size_t BytesToGather(const Buffer& buffer, uint64_t offset) const;
  size_t CollectInPlace(const BufferChain& data);
  void Gather(BufferChain& data);
  Task<absl::Status> WriteGathered();
  Task<absl::Status> WriteParts(size_t count);
  std::optional<uint16_t> FindFixedBuffer(std::span<const iovec> parts);
  absl::Status Error(int error, std::string_view what) const {
    return ErrnoStatus(error, absl::StrCat(absl::string_view(what.data(), what.size()), " ", path_));
  }

  RuntimeCore* runtime_;  // null once it is gone
  int fd_;
  const std::string path_;
  const size_t in_place_bytes_;
  Alignment alignment_;
  bool fixed_parts_ = true;  // the kernel writes several parts of a fixed buffer in one request, since 6.15

  uint64_t written_ = 0;
  std::unique_ptr<std::byte, FreeStorage> storage_;  // null: no direct I/O
  size_t gathered_ = 0;
  std::array<iovec, kMostParts> parts_;  // of the request in flight

  bool busy_ = false;
  absl::Status end_;  // not OK: the file takes nothing any more
  FileStats stats_;
};

// --- Opening -----------------------------------------------------------------------

// EINVAL: the file system has no direct I/O for this file.
absl::StatusOr<Alignment> FileState::FindAlignment() const {
  struct statx status = {};
  if (statx(fd_, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return Error(errno, "statx of");
  if ((status.stx_mask & STATX_DIOALIGN) == 0) return Alignment{kUsualAlignment, kUsualAlignment};
  const Alignment told = {status.stx_dio_mem_align, status.stx_dio_offset_align};
  if (told.memory == 0 || told.block == 0) return Error(EINVAL, "O_DIRECT for");
  // So that the ends of a block in memory are aligned if its start is.
  return Alignment{told.memory, std::max(told.memory, told.block)};
}

absl::Status FileState::GoDirect() {
  const absl::StatusOr<Alignment> alignment = FindAlignment();
  if (!alignment.ok()) return alignment.status();
  if (!std::has_single_bit(alignment->block) || !std::has_single_bit(alignment->memory) ||
      alignment->block > kGatherBytes) {
    return Error(EINVAL, "alignment for O_DIRECT of");
  }
  // Now, and not by open(2), which could have created a file and then failed.
  if (fcntl(fd_, F_SETFL, O_DIRECT) != 0) return Error(errno, "O_DIRECT for");
  auto* storage =
      static_cast<std::byte*>(std::aligned_alloc(std::max(alignment->block, kUsualAlignment), kGatherBytes));
  if (storage == nullptr) return Error(ENOMEM, "the buffer for");
  storage_.reset(storage);
  alignment_ = *alignment;
  return absl::OkStatus();
}

absl::Status FileState::StartAt(uint64_t size) {
  written_ = RoundDown(size, alignment_.block);
  gathered_ = size - written_;
  if (gathered_ == 0) return absl::OkStatus();
  // The last block is written again, with more.
  ssize_t bytes;
  do {
    bytes = pread(fd_, storage_.get(), alignment_.block, static_cast<off_t>(written_));
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return Error(errno, "reading the end of");
  if (static_cast<size_t>(bytes) < gathered_)
    return absl::AbortedError(absl::StrCat(path_, " became shorter while it was opened"));
  return absl::OkStatus();
}

// --- Writing -----------------------------------------------------------------------

// How many bytes of a buffer that belongs at `offset` have to be gathered before one can be written out of
// the memory it lies in; all of them if there is none.
size_t FileState::BytesToGather(const Buffer& buffer, uint64_t offset) const {
  const size_t to_block = RoundUp(offset, alignment_.block) - offset;
  if (to_block >= buffer.size()) return buffer.size();
  const bool aligned = reinterpret_cast<uintptr_t>(buffer.data() + to_block) % alignment_.memory == 0;
  const size_t blocks = RoundDown(buffer.size() - to_block, alignment_.block);
  const bool worth_it = blocks > 0 && (!direct() || blocks >= in_place_bytes_);
  return aligned && worth_it ? to_block : buffer.size();
}

// Describes in `parts_` what can be written out of the first buffers, behind what is gathered. The number of
// parts; 0 if the first byte is to be gathered.
size_t FileState::CollectInPlace(const BufferChain& data) {
  uint64_t offset = size();
  size_t count = 0;
  for (const Buffer& buffer : data) {
    if (count == parts_.size() || BytesToGather(buffer, offset) != 0) break;
    const size_t bytes = std::min(RoundDown(buffer.size(), alignment_.block), kMostPartBytes);
    parts_[count++] = {.iov_base = const_cast<std::byte*>(buffer.data()), .iov_len = bytes};
    offset += bytes;
    if (bytes < buffer.size()) break;
  }
  return count;
}

// Copies what the first buffer has before its part that can be written in place, as far as there is room.
void FileState::Gather(BufferChain& data) {
  const Buffer& first = *data.begin();
  const size_t bytes = std::min(BytesToGather(first, size()), kGatherBytes - gathered_);
  std::memcpy(storage_.get() + gathered_, first.data(), bytes);
  gathered_ += bytes;
  stats_.bytes_copied += bytes;
  data.Drop(bytes);
}

Task<absl::Status> FileState::Write(BufferChain& data) {
  while (!data.empty()) {
    const size_t count = CollectInPlace(data);
    if (count == 0) Gather(data);
    // What is gathered ends with a block when something can be written in place behind it.
    if (gathered_ == kGatherBytes || (count > 0 && gathered_ > 0)) {
      absl::Status written = co_await WriteGathered();
      if (!written.ok()) co_return written;
    } else if (count > 0) {
      const uint64_t before = written_;
      absl::Status written = co_await WriteParts(count);
      stats_.bytes_in_place += written_ - before;
      if (!written.ok()) co_return written;
      data.Drop(written_ - before);
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> FileState::WriteGathered() {
  parts_[0] = {.iov_base = storage_.get(), .iov_len = gathered_};
  const uint64_t before = written_;
  absl::Status written = co_await WriteParts(1);
  gathered_ -= written_ - before;
  co_return written;
}

Task<absl::Status> FileState::WriteEnd() {
  if (gathered_ == 0) co_return absl::OkStatus();
  const uint64_t true_size = size();
  const size_t padded = RoundUp(gathered_, alignment_.block);
  std::memset(storage_.get() + gathered_, 0, padded - gathered_);
  gathered_ = padded;
  absl::Status written = co_await WriteGathered();
  // Also after an error: a part of the padding may be in the file.
  if (written_ > true_size) {
    const bool cut = ftruncate(fd_, static_cast<off_t>(true_size)) == 0;
    if (!cut && written.ok()) written = Error(errno, "cutting");
    written_ = true_size;
  }
  gathered_ = true_size - written_;
  co_return written;
}

absl::Status FileState::Close() {
  // Network file systems tell of errors as late as here. Linux has closed it all the same.
  if (close(std::exchange(fd_, -1)) != 0 && errno != EINTR) return Error(errno, "closing");
  return absl::OkStatus();
}

// Writes the first `count` of `parts_` to where `written_` says, and moves that.
Task<absl::Status> FileState::WriteParts(size_t count) {
  std::span<iovec> parts(parts_.data(), count);
  while (!parts.empty()) {
    if (runtime_ == nullptr || runtime_->shutting_down()) co_return Error(ECANCELED, "writing");
    const std::optional<uint16_t> fixed_buffer = FindFixedBuffer(parts);
    WriteAwaiter request(*runtime_, {fd_, parts, written_, fixed_buffer});
    const int result = co_await request;
    ++stats_.writes;
    if (result == -EINTR || result == -EAGAIN) continue;
    if (result == -EINVAL && fixed_buffer.has_value() && parts.size() > 1 && fixed_parts_) {
      fixed_parts_ = false;
      continue;
    }
    if (result == -EINVAL && direct()) {
      co_return Error(EINVAL,
                      "O_DIRECT refused, though aligned as the kernel says; fix: DirectIo::kNo. Writing");
    }
    if (result < 0) co_return Error(-result, "writing");
    if (result == 0) co_return Error(EIO, "the kernel takes nothing. Writing");
    // Short writes are usual where a disk is nearly full; the next one says what is wrong.
    written_ += static_cast<size_t>(result);
    if (fixed_buffer.has_value()) stats_.bytes_fixed += static_cast<size_t>(result);
    size_t rest = static_cast<size_t>(result);
    while (!parts.empty() && rest >= parts[0].iov_len) {
      rest -= parts[0].iov_len;
      parts = parts.subspan(1);
    }
    if (rest > 0) {
      parts[0].iov_base = static_cast<std::byte*>(parts[0].iov_base) + rest;
      parts[0].iov_len -= rest;
    }
  }
  co_return absl::OkStatus();
}

// The page cache gets its copy by the CPU: nothing is pinned for that, and the region need not be either.
std::optional<uint16_t> FileState::FindFixedBuffer(std::span<const iovec> parts) {
  if (!direct() || (parts.size() > 1 && !fixed_parts_)) return std::nullopt;
  return runtime_->fixed_buffers().Find(parts);
}

}  // namespace internal

// --- File --------------------------------------------------------------------------

namespace {

// The operations own what they work on: the File may go away meanwhile.
Task<absl::Status> AppendTo(std::shared_ptr<internal::FileState> file, BufferChain data) {
  if (file == nullptr) co_return absl::FailedPreconditionError("append: the file is not open");
  absl::Status begun = file->Begin();
  if (!begun.ok()) co_return begun;
  absl::Status written = co_await file->Write(data);
  file->End(written);
  co_return written;
}

Task<absl::Status> FinishOf(std::shared_ptr<internal::FileState> file) {
  if (file == nullptr) co_return absl::FailedPreconditionError("finish: the file is not open");
  absl::Status begun = file->Begin();
  if (!begun.ok()) co_return begun;
  absl::Status written = co_await file->WriteEnd();
  absl::Status closed = file->Close();
  if (written.ok()) written = closed;
  file->End(written.ok() ? absl::FailedPreconditionError("the file is finished") : written);
  co_return written;
}

}  // namespace

absl::StatusOr<File> File::Open(Runtime& runtime, const std::string& path, const FileOptions& options) {
  if (runtime.core().shutting_down()) return ErrnoStatus(ECANCELED, absl::StrCat("opening ", path));
  // What is behind the last whole block is read back.
  const int flags = O_CREAT | O_CLOEXEC | (options.append ? O_RDWR : O_WRONLY | O_TRUNC);
  const int fd = open(path.c_str(), flags, static_cast<mode_t>(options.permissions));
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("opening ", path));
  auto file = std::make_shared<internal::FileState>(runtime.core(), fd, path, options.in_place_bytes);
  struct stat status = {};
  if (fstat(fd, &status) != 0) return ErrnoStatus(errno, absl::StrCat("fstat of ", path));
  if (!S_ISREG(status.st_mode)) return ErrnoStatus(EINVAL, absl::StrCat(path, " is no regular file"));
  if (options.direct != DirectIo::kNo) {
    absl::Status direct = file->GoDirect();
    const bool unable = ErrnoOf(direct) == EINVAL;
    if (unable && options.direct == DirectIo::kRequired) {
      return ErrnoStatus(EINVAL, absl::StrCat("the file system of ", path,
                                              " has no O_DIRECT; fix: DirectIo::kIfPossible or kNo, or "
                                              "another file system, such as ext4 or xfs"));
    }
    if (!direct.ok() && !unable) return direct;
  }
  if (absl::Status started = file->StartAt(static_cast<uint64_t>(status.st_size)); !started.ok())
    return started;
  return File(std::move(file));
}

Task<absl::Status> File::Append(BufferChain data) { return AppendTo(state_, std::move(data)); }

Task<absl::Status> File::Append(Buffer data) {
  BufferChain chain;
  chain.Append(std::move(data));
  return AppendTo(state_, std::move(chain));
}

Task<absl::Status> File::Finish() { return FinishOf(state_); }

uint64_t File::size() const { return state_ != nullptr ? state_->size() : 0; }
bool File::direct() const { return state_ != nullptr && state_->direct(); }
FileStats File::stats() const { return state_ != nullptr ? state_->stats() : FileStats(); }

}  // namespace zcrx::inline v0
