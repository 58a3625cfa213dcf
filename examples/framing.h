// SPDX-License-Identifier: Apache-2.0
//
// Messages out of a stream of bytes: lines, and frames with their length in front.
// Payload is not copied: a message is the part of the received buffers that it
// lies in, over as many of them as it may be spread.
//
//   LineReader lines(peer, 8192);   // or FrameReader
//   while (true) {
//     absl::StatusOr<zcrx::BufferChain> line = co_await lines.Next();
//     if (absl::IsOutOfRange(line.status())) co_return absl::OkStatus();   // the end, after a whole line
//     if (!line.ok()) co_return line.status();
//     Handle(*line);
//   }
//
// What a reader holds: while it waits, a part of one message; in between, also what
// came with that. In bytes, that is at most the maximum, the framing and the quota
// of the stream. In memory it can be much more: each fragment keeps a whole piece
// of the region, however short it is, and a peer may send byte by byte. Who holds
// more than PressureOptions::stream_quota and waits for more of the same stream
// waits for ever under pressure. So keep the maximum small and the quota well
// above it, and give peers a limit in time: WithTimeout(30s, lines.Next()).
#ifndef ZCRX_EXAMPLES_FRAMING_H_
#define ZCRX_EXAMPLES_FRAMING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "zcrx/zcrx.h"

// The status at the end of the stream, with `left` bytes of a message that has not come as a whole.
inline absl::Status EndOfMessages(size_t left, const char* what) {
  if (left == 0) return absl::OutOfRangeError("end of stream");
  return absl::DataLossError(
      absl::StrCat("the stream ended within a ", what, ", after ", left, " bytes of it"));
}

// Lines that end with LF or CRLF, neither of which is given out. A CR anywhere else is part of the line.
class LineParser {
 public:
  // A line may have `max_bytes`, its end not counted.
  explicit LineParser(size_t max_bytes) : max_bytes_(max_bytes) {}

  // The next bytes of the stream, as many as there are.
  void Append(zcrx::BufferChain bytes) { arrived_.Append(std::move(bytes)); }

  // The next line, which may be empty; absent as long as its end has not come. INVALID_ARGUMENT once a line
  // is too long, even if its end is not there; there is no way on then.
  absl::StatusOr<std::optional<zcrx::BufferChain>> Next() {
    // What has been searched goes to `line_`, so that no byte, and no buffer, is looked at twice.
    const size_t end = arrived_.Find("\n");
    line_.Append(arrived_.Split(end));  // all, if there is no end
    if (Length() > max_bytes_) return TooLong();
    if (end == zcrx::BufferChain::kNotFound) return std::nullopt;
    arrived_.Drop(1);
    if (EndsWithCr()) line_ = line_.Split(line_.size() - 1);
    return std::exchange(line_, {});
  }

  // What to say when the stream ends: OUT_OF_RANGE after a whole line, else DATA_LOSS.
  absl::Status End() const { return EndOfMessages(line_.size() + arrived_.size(), "line"); }

 private:
  bool EndsWithCr() const {
    return !line_.empty() && std::prev(line_.end())->bytes().back() == std::byte{'\r'};
  }
  // Of the line as far as it is known. A CR at the end may belong to a CRLF.
  size_t Length() const { return line_.size() - (EndsWithCr() ? 1 : 0); }
  absl::Status TooLong() const {
    return absl::InvalidArgumentError(absl::StrCat("a line is longer than ", max_bytes_, " bytes"));
  }

  const size_t max_bytes_;
  zcrx::BufferChain line_;     // the beginning of a line, without LF
  zcrx::BufferChain arrived_;  // not searched yet
};

// Frames: the length of the payload as 32 bits, big-endian, then the payload, which alone is given out.
class FrameParser {
 public:
  static constexpr size_t kHeaderBytes = 4;

  // A frame may have `max_bytes` of payload.
  explicit FrameParser(size_t max_bytes) : max_bytes_(max_bytes) {}

  // The header of a frame with so much payload.
  static std::array<std::byte, kHeaderBytes> Header(uint32_t payload_bytes) {
    std::array<std::byte, kHeaderBytes> header;
    for (size_t i = 0; i < kHeaderBytes; ++i) {
      header[i] = static_cast<std::byte>(payload_bytes >> (8 * (kHeaderBytes - 1 - i)));
    }
    return header;
  }

  // The next bytes of the stream, as many as there are.
  void Append(zcrx::BufferChain bytes) { input_.Append(std::move(bytes)); }

  // The payload of the next frame, which may be empty; absent as long as it has not come as a whole.
  // INVALID_ARGUMENT if its header announces too much; there is no way on then.
  absl::StatusOr<std::optional<zcrx::BufferChain>> Next() {
    if (input_.size() < kHeaderBytes) return std::nullopt;
    std::array<std::byte, kHeaderBytes> scratch;
    uint32_t length = 0;
    for (const std::byte byte : input_.Peek(scratch)) length = length << 8 | std::to_integer<uint32_t>(byte);
    if (length > max_bytes_) {
      return absl::InvalidArgumentError(
          absl::StrCat("a frame of ", length, " bytes; at most ", max_bytes_, " are accepted"));
    }
    if (input_.size() - kHeaderBytes < length) return std::nullopt;
    input_.Drop(kHeaderBytes);
    return input_.Split(length);
  }

  // What to say when the stream ends: OUT_OF_RANGE after a whole frame, else DATA_LOSS.
  absl::Status End() const { return EndOfMessages(input_.size(), "frame"); }

 private:
  const size_t max_bytes_;
  zcrx::BufferChain input_;
};

// Reads messages from a stream, which outlives it. One Next() at a time.
template <typename Parser>
class MessageReader {
 public:
  MessageReader(zcrx::Stream& stream, size_t max_bytes) : stream_(stream), parser_(max_bytes) {}

  // `co_await` gives the next message. OUT_OF_RANGE: the stream has ended, after a whole one. DATA_LOSS: it
  // has ended within one. INVALID_ARGUMENT: one is longer than allowed. Else errors of the stream, which come
  // after all whole messages. A cancelled Next() loses nothing: the next one goes on where it was.
  zcrx::Task<absl::StatusOr<zcrx::BufferChain>> Next() {
    while (true) {
      absl::StatusOr<std::optional<zcrx::BufferChain>> message = parser_.Next();
      if (!message.ok()) co_return message.status();
      if (message->has_value()) co_return **std::move(message);
      absl::StatusOr<zcrx::BufferChain> more = co_await stream_.ReceiveBatch();
      if (!more.ok()) co_return more.status();
      if (more->empty()) co_return parser_.End();
      parser_.Append(*std::move(more));
    }
  }

 private:
  zcrx::Stream& stream_;
  Parser parser_;
};

using LineReader = MessageReader<LineParser>;
using FrameReader = MessageReader<FrameParser>;

#endif  // ZCRX_EXAMPLES_FRAMING_H_
