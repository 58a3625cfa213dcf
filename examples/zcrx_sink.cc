// SPDX-License-Identifier: Apache-2.0
//
// Receives files: what arrives on a connection is written to a file of its own.
//
//   zcrx_sink --interface=eth0 --queues=1 --port=5001 --directory=/srv/received --direct
//   cat FILE >/dev/tcp/10.0.0.1/5001                                   # on another machine, in bash
//
// The files are called connection-1, connection-2 and so on (--name). With
// --direct the disk reads the data out of the memory that the NIC wrote it to,
// where both alignments allow that; else the kernel copies it to the page cache.
// A disk that is slow stops the sender: nothing more is received from a
// connection while what it brought is being written, so that TCP closes its window.
//
// Once it serves it prints one line ("listening on ..."), and on SIGINT or SIGTERM
// it drains and prints a summary.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/command_line.h"
#include "examples/server_flags.h"
#include "examples/serving.h"
#include "zcrx/zcrx.h"

ABSL_FLAG(std::string, directory, ".", "where the files go");
ABSL_FLAG(std::string, name, "connection", "of the files, before -1, -2, ...; existing ones are replaced");
ABSL_FLAG(bool, direct, false, "bypass the page cache (O_DIRECT); fails if the file system cannot");

namespace {

using zcrx::Stream;

struct Config {
  std::string files;  // their path, but for the number
  zcrx::FileOptions options;
};

// The threads of the server count.
struct Counts {
  std::atomic<uint64_t> last_file = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<uint64_t> bytes_in_place = 0;
  std::atomic<uint64_t> bytes_copied = 0;
};

// --- One connection --------------------------------------------------------------

zcrx::Task<absl::Status> ReceiveTo(zcrx::File& file, Stream& peer) {
  while (true) {
    absl::StatusOr<zcrx::BufferChain> data = co_await peer.ReceiveBatch();
    if (!data.ok()) co_return data.status();
    if (data->empty()) co_return absl::OkStatus();
    absl::Status written = co_await file.Append(*std::move(data));
    if (!written.ok()) co_return written;
  }
}

zcrx::Task<void> Serve(zcrx::Runtime& runtime, Stream peer, const Config& config, Counts& counts) {
  const std::string path = absl::StrCat(config.files, ++counts.last_file);
  absl::StatusOr<zcrx::File> file = zcrx::File::Open(runtime, path, config.options);
  absl::Status status = file.status();
  if (file.ok()) {
    status = co_await ReceiveTo(*file, peer);
    // Also after an error of the connection: what has arrived is kept.
    const absl::Status finished = co_await file->Finish();
    status.Update(finished);
    counts.bytes_in_place += file->stats().bytes_in_place;
    counts.bytes_copied += file->stats().bytes_copied;
  }
  if (status.ok()) co_return;
  ++counts.failed;
  absl::FPrintF(stderr, "zcrx_sink: %s is not complete: %s\n", path, std::string(status.message()));
}

// --- The whole -------------------------------------------------------------------

void PrintSummary(const zcrx::Server& server, const Counts& counts) {
  uint64_t connections = 0;
  uint64_t received = 0;
  uint64_t copied_in_user_space = counts.bytes_copied;
  uint64_t copied_by_kernel = 0;
  bool copied_known = true;
  for (const zcrx::ServerThreadStats& thread : server.stats()) {
    connections += thread.accepted;
    received += thread.runtime.bytes_received;
    copied_in_user_space += thread.runtime.pressure.copied_out_bytes;
    copied_by_kernel += thread.runtime.copied_bytes.value_or(0);
    copied_known &= thread.runtime.copied_bytes.has_value();
  }
  absl::PrintF("summary: connections=%d failed=%d bytes_received=%d\n", connections, counts.failed, received);
  absl::PrintF("summary: bytes_in_place=%d bytes_copied_in_user_space=%d bytes_copied_by_kernel=%s\n",
               counts.bytes_in_place, copied_in_user_space,
               copied_known ? absl::StrCat(copied_by_kernel) : "unknown");
}

absl::Status Run() {
  const Config config = {
      .files = absl::StrCat(absl::GetFlag(FLAGS_directory), "/", absl::GetFlag(FLAGS_name), "-"),
      .options = {.direct = absl::GetFlag(FLAGS_direct) ? zcrx::DirectIo::kRequired : zcrx::DirectIo::kNo}};
  Counts counts;
  const sigset_t signals = BlockEndingSignals();

  absl::StatusOr<zcrx::Server> server =
      zcrx::Server::Start(ServerOptionsFromFlags(), [&config, &counts](zcrx::Runtime& runtime, Stream peer) {
        return Serve(runtime, std::move(peer), config, counts);
      });
  if (!server.ok()) return server.status();
  PrintListening(server->address(), server->stats().front().receive_path);
  int signal = 0;
  sigwait(&signals, &signal);
  const absl::Status drained = Drain(*server);
  PrintSummary(*server, counts);
  return drained;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Writes what arrives on each TCP connection to a file.");
  const absl::Status status = Run();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "zcrx_sink: %s\n", std::string(status.message()));
  return 1;
}
