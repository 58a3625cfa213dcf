// SPDX-License-Identifier: Apache-2.0
//
// A File takes what a runtime's streams receive to disk. Use it for large data
// that the CPU need not see: with DirectIo the device reads it out of the memory
// that the NIC wrote it to, where both alignments allow that.
//
//   zcrx::Task<absl::Status> Save(zcrx::Runtime& runtime, zcrx::Stream peer) {
//     absl::StatusOr<zcrx::File> file =
//         zcrx::File::Open(runtime, "received", {.direct = zcrx::DirectIo::kIfPossible});
//     if (!file.ok()) co_return file.status();
//     while (true) {
//       absl::StatusOr<zcrx::BufferChain> data = co_await peer.ReceiveBatch();
//       if (!data.ok()) co_return data.status();
//       if (data->empty()) break;
//       absl::Status written = co_await file->Append(*std::move(data));
//       if (!written.ok()) co_return written;
//     }
//     absl::Status finished = co_await file->Finish();
//     co_return finished;
//   }
//
// How much needs no copy depends on where fragments begin and end: with direct
// I/O a segment size that is a multiple of 4096 (an MTU of 4096 or 8192 plus
// headers), and data that begins with the stream. FileStats tells.
#ifndef ZCRX_FILE_H_
#define ZCRX_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zcrx/buffer.h"
#include "zcrx/buffer_chain.h"
#include "zcrx/runtime.h"
#include "zcrx/task.h"

namespace zcrx::inline v0 {

namespace internal {
class FileState;
}  // namespace internal

// Whether writes bypass the page cache (O_DIRECT).
enum class DirectIo {
  // The kernel copies all data to the page cache.
  kNo,
  // Where the file system can, else kNo; File::direct() says which.
  kIfPossible,
  // Or Open() fails.
  kRequired,
};

struct FileOptions {
  // Data goes behind what the file has. Else the file is made empty first.
  bool append = false;
  DirectIo direct = DirectIo::kNo;
  // With direct I/O: parts of fragments that have fewer bytes are gathered in a buffer of the file, as a
  // request for each would take longer than the copy. 0: every block that can be is written in place.
  size_t in_place_bytes = 4096;
  // Permissions of a new file, less the umask.
  uint32_t permissions = 0666;
};

// Counts since Open(), of what the kernel has taken and of the copies made before.
struct FileStats {
  uint64_t bytes_in_place = 0;  // written out of the buffers given to Append()
  uint64_t bytes_fixed = 0;     // of these, out of the region, which is pinned once and not per request
  // Copied, in user space, to the buffer in which unaligned parts are gathered.
  uint64_t bytes_copied = 0;
  uint64_t writes = 0;  // requests that have ended, also those that failed
};

// Move-only. Belongs to the thread of its runtime, which it may outlive; it takes nothing then. One Append()
// or Finish() at a time: a second gives FAILED_PRECONDITION and leaves the first alone.
class File {
 public:
  File() = default;
  File(File&&) noexcept = default;
  File& operator=(File&&) noexcept = default;
  // Closes the file, once an Append() that is in progress is over. Without Finish() up to 1 MiB of the data
  // may be missing at its end.
  ~File() = default;

  // Opens the regular file `path`, creates it if there is none. Blocks as open(2) does. Errors: what open(2)
  // answers (ENOENT, EACCES, EROFS, ...); EINVAL if it is no regular file, or if `direct` is required and the
  // file system cannot; CANCELLED if the runtime ends.
  static absl::StatusOr<File> Open(Runtime& runtime, const std::string& path,
                                   const FileOptions& options = {});

  // `co_await` writes `data` behind all that came before, and keeps the buffers until the kernel is done with
  // them. Parts that were gathered go back at once; they may be written later. Errors: ENOSPC, EDQUOT, EFBIG,
  // EIO, ...; CANCELLED if the task is cancelled or the runtime ends. After an error the file has a part of
  // the data from its start on, and every further call gives that error.
  [[nodiscard]] Task<absl::Status> Append(BufferChain data);
  [[nodiscard]] Task<absl::Status> Append(Buffer data);

  // `co_await` writes what was gathered, gives the file its exact size, and closes it. Errors as Append().
  // Does not wait until the data is on stable storage, as fsync(2) would. Afterwards the file takes nothing:
  // FAILED_PRECONDITION.
  [[nodiscard]] Task<absl::Status> Finish();

  // Bytes of the file, those included that Append() has gathered and not written.
  uint64_t size() const;
  // Whether its writes bypass the page cache.
  bool direct() const;
  FileStats stats() const;

 private:
  explicit File(std::shared_ptr<internal::FileState> state) : state_(std::move(state)) {}

  std::shared_ptr<internal::FileState> state_;  // also an operation's that is in progress
};

}  // namespace zcrx::inline v0

#endif  // ZCRX_FILE_H_
