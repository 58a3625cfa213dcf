// SPDX-License-Identifier: Apache-2.0
//
// Answers each message with its size and CRC-32, as a message of the same kind:
// lines, or frames with their length in front (see framing.h). The bytes are
// looked at where they were received, and never copied.
//
//   zcrx_checksum --port=5003 --framing=lines
//   $ echo hello | nc -N 127.0.0.1 5003
//   5 3610a686
//
// Once it serves it prints one line, for scripts to wait for:
//   listening on 10.0.0.1:5003 receive path: zero-copy because ...
// It ends on SIGINT or SIGTERM.
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "examples/command_line.h"
#include "examples/framing.h"
#include "examples/serving.h"
#include "zcrx/zcrx.h"

ABSL_FLAG(std::string, interface, "", "interface to receive from without a copy; none: copy");
ABSL_FLAG(uint32_t, queue, 1, "rx queue of --interface; a flow rule is to steer --port into it");
ABSL_FLAG(uint16_t, port, 5003, "TCP port to listen on; 0 takes a free one");
ABSL_FLAG(std::string, framing, "lines",
          "what a message is: lines (LF or CRLF), length (32 bits, big-endian)");
ABSL_FLAG(uint32_t, max_bytes, 1 << 20, "longest message; a peer that sends a longer one is disconnected");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(30),
          "the same for one that sends no whole message for so long");

namespace {

zcrx::Runtime* g_runtime = nullptr;  // set while signals are caught

void OnSignal(int) { g_runtime->Stop(); }

// The CRC-32 of zlib, gzip and Ethernet, of bytes that come in parts.
class Crc32 {
 public:
  void Add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      rest_ = kTable[(rest_ ^ std::to_integer<uint32_t>(byte)) & 0xff] ^ rest_ >> 8;
    }
  }
  uint32_t value() const { return ~rest_; }

 private:
  // What each byte does to the rest of the division.
  static constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table = {};
    for (uint32_t byte = 0; byte < table.size(); ++byte) {
      uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1) * 0xedb88320u;
      table[byte] = rest;
    }
    return table;
  }();

  uint32_t rest_ = 0xffffffffu;
};

std::string Answer(const zcrx::BufferChain& message) {
  Crc32 crc;
  for (const zcrx::Buffer& part : message) crc.Add(part.bytes());
  return absl::StrFormat("%d %08x", message.size(), crc.value());
}

// `text` as a message of the kind that `Reader` reads.
template <typename Reader>
std::string Framed(const std::string& text);
template <>
std::string Framed<LineReader>(const std::string& text) {
  return text + '\n';
}
template <>
std::string Framed<FrameReader>(const std::string& text) {
  const auto header = FrameParser::Header(static_cast<uint32_t>(text.size()));
  return std::string(reinterpret_cast<const char*>(header.data()), header.size()) + text;
}

template <typename Reader>
zcrx::Task<absl::Status> AnswerAll(zcrx::Stream& peer) {
  Reader messages(peer, absl::GetFlag(FLAGS_max_bytes));
  const auto timeout = absl::ToChronoNanoseconds(absl::GetFlag(FLAGS_timeout));
  while (true) {
    absl::StatusOr<zcrx::BufferChain> message = co_await zcrx::WithTimeout(timeout, messages.Next());
    if (absl::IsOutOfRange(message.status())) co_return peer.Shutdown(zcrx::Stream::Direction::kSend);
    if (!message.ok()) co_return message.status();
    const std::string answer = Framed<Reader>(Answer(*message));
    *message = {};  // the NIC needs its pieces, while the peer may take its time to read the answer
    const absl::Status sent = co_await peer.SendAll(std::as_bytes(std::span(answer)));
    if (!sent.ok()) co_return sent;
  }
}

template <typename Reader>
zcrx::Task<void> Serve(zcrx::Stream peer) {
  const absl::Status status = co_await AnswerAll<Reader>(peer);
  if (status.ok() || absl::IsCancelled(status)) co_return;
  absl::FPrintF(stderr, "zcrx_checksum: a connection ended: %s\n", std::string(status.message()));
}

template <typename Reader>
zcrx::Task<void> Accept(zcrx::Runtime& runtime, zcrx::Listener listener, absl::Status& result) {
  while (true) {
    absl::StatusOr<zcrx::Stream> peer = co_await listener.Accept();
    if (!peer.ok()) {
      if (!absl::IsCancelled(peer.status())) result = peer.status();
      runtime.Stop();
      co_return;
    }
    runtime.Spawn(Serve<Reader>(*std::move(peer)));
  }
}

absl::Status Serve() {
  const std::string framing = absl::GetFlag(FLAGS_framing);
  if (framing != "lines" && framing != "length") {
    WrongUsage(absl::StrCat("--framing is to be lines or length, not \"", framing, "\""));
  }
  zcrx::RuntimeOptions options;
  if (const std::string interface = absl::GetFlag(FLAGS_interface); !interface.empty()) {
    options.interface_queue = {.interface = interface, .rx_queue = absl::GetFlag(FLAGS_queue)};
  }
  absl::StatusOr<zcrx::SocketAddress> address =
      zcrx::SocketAddress::Parse(absl::StrCat(":", absl::GetFlag(FLAGS_port)));
  if (!address.ok()) return address.status();
  absl::Status result;  // the tasks of the runtime use it until the runtime is gone
  absl::StatusOr<zcrx::Runtime> runtime = zcrx::Runtime::Create(options);
  if (!runtime.ok()) return runtime.status();
  absl::StatusOr<zcrx::Listener> listener = zcrx::Listener::Create(*runtime, *address);
  if (!listener.ok()) return listener.status();
  g_runtime = &*runtime;
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);

  PrintListening(listener->address(), runtime->receive_path());

  runtime->Spawn(framing == "lines" ? Accept<LineReader>(*runtime, *std::move(listener), result)
                                    : Accept<FrameReader>(*runtime, *std::move(listener), result));
  const absl::Status ran = runtime->Run();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  return ran.ok() ? result : ran;
}

}  // namespace

int main(int argc, char** argv) {
  ParseCommandLine(argc, argv, "Answers each message with its size and CRC-32.");
  const absl::Status status = Serve();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "zcrx_checksum: %s\n", std::string(status.message()));
  return 1;
}
