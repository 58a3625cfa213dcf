// SPDX-License-Identifier: Apache-2.0
//
// The readers of examples/framing.h over sockets. That the parsers in them bear
// every division of the input is shown in tests/unit/framing_test.cc.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "examples/framing.h"
#include "tests/loopback/pair.h"

namespace zcrx {
namespace {

std::string TextOf(const BufferChain& chain) {
  std::string text(chain.size(), 0);
  EXPECT_EQ(chain.CopyTo(std::as_writable_bytes(std::span(text))), text.size());
  return text;
}

void ExpectLine(const absl::StatusOr<BufferChain>& line, const std::string& text) {
  EXPECT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line.ok() ? TextOf(*line) : "", text);
}

// Reads until Next() gives an error, which is returned.
template <typename Reader>
Task<absl::Status> ReadMessages(Stream& stream, size_t max_bytes, std::vector<std::string>* messages) {
  Reader reader(stream, max_bytes);
  while (true) {
    absl::StatusOr<BufferChain> message = co_await reader.Next();
    if (message.ok()) {
      messages->push_back(TextOf(*message));
      continue;
    }
    const absl::StatusOr<BufferChain> again = co_await reader.Next();
    EXPECT_EQ(again.status(), message.status()) << "the end, like an error, is told again and again";
    co_return message.status();
  }
}

Task<absl::Status> SendInPieces(Stream& stream, const std::string& bytes, size_t piece_bytes) {
  for (size_t start = 0; start < bytes.size(); start += piece_bytes) {
    const std::string piece = bytes.substr(start, piece_bytes);
    const absl::Status sent = co_await stream.SendAll(AsBytes(piece));
    if (!sent.ok()) co_return sent;
  }
  co_return stream.Shutdown(Stream::Direction::kSend);
}

Task<void> SendInPiecesOrFail(Stream& stream, const std::string& bytes, size_t piece_bytes) {
  const absl::Status sent = co_await SendInPieces(stream, bytes, piece_bytes);
  EXPECT_TRUE(sent.ok()) << sent;
}

struct Result {
  std::vector<std::string> messages;
  absl::Status end;
};

template <typename Reader>
Task<void> Transfer(Runtime& runtime, const std::string& bytes, size_t piece_bytes, size_t max_bytes,
                    Result* result) {
  StreamPair pair = co_await ConnectPair(runtime);
  TaskGroup group(runtime);
  group.Spawn(SendInPiecesOrFail(pair.client, bytes, piece_bytes));
  result->end = co_await ReadMessages<Reader>(pair.server, max_bytes, &result->messages);
  const absl::Status sent = co_await group.Wait();
  EXPECT_TRUE(sent.ok());
}

// What a reader gets of these bytes, sent in pieces of this size and received into buffers of 4 KiB. Each
// that is sent may take a whole one of those: there is to be room for so many.
template <typename Reader>
Result ReadOverSocket(const std::string& bytes, size_t piece_bytes, size_t max_bytes) {
  RuntimeOptions options;
  options.copy_pool = {.bytes = 16 << 20, .buffer_bytes = 4096};
  Runtime runtime = NewRuntime(options);
  Result result;
  RunToEnd(runtime, Transfer<Reader>(runtime, bytes, piece_bytes, max_bytes, &result));
  EXPECT_TRUE(runtime.holders().empty()) << "a reader or a message has kept a buffer";
  return result;
}

// Of all sizes up to 40, of some that need many buffers, and none of them with an LF.
std::vector<std::string> Messages() {
  std::vector<std::string> messages;
  for (size_t size = 0; size < 40; ++size) messages.push_back(Pattern(size, size));
  for (const size_t size : {4095u, 4096u, 4097u, 50'000u, 0u, 99'999u})
    messages.push_back(Pattern(size, size));
  for (std::string& message : messages) {
    for (char& c : message) c = c == '\n' ? '\r' : c;
    // A CR at the end of a line would be taken for a part of its end.
    if (message.ends_with('\r')) message.back() = '.';
  }
  return messages;
}

TEST(MessageReaderTest, LinesHoweverTheyAreSent) {
  const std::vector<std::string> messages = Messages();
  std::string bytes;
  for (size_t i = 0; i < messages.size(); ++i) bytes += messages[i] + (i % 2 == 0 ? "\n" : "\r\n");
  for (const size_t piece_bytes : {300u, 4096u, 1'000'000u}) {
    const Result result = ReadOverSocket<LineReader>(bytes, piece_bytes, 99'999);
    EXPECT_TRUE(absl::IsOutOfRange(result.end)) << result.end;
    EXPECT_TRUE(result.messages == messages) << "sent in pieces of " << piece_bytes;
  }
}

TEST(MessageReaderTest, FramesHoweverTheyAreSent) {
  const std::vector<std::string> messages = Messages();
  std::string bytes;
  for (const std::string& message : messages) {
    const auto header = FrameParser::Header(static_cast<uint32_t>(message.size()));
    bytes.append(reinterpret_cast<const char*>(header.data()), header.size());
    bytes += message;
  }
  for (const size_t piece_bytes : {300u, 4096u, 1'000'000u}) {
    const Result result = ReadOverSocket<FrameReader>(bytes, piece_bytes, 99'999);
    EXPECT_TRUE(absl::IsOutOfRange(result.end)) << result.end;
    EXPECT_TRUE(result.messages == messages) << "sent in pieces of " << piece_bytes;
  }
}

TEST(MessageReaderTest, AStreamThatEndsWithinAMessage) {
  const Result lines = ReadOverSocket<LineReader>("whole\nhal", 2, 10);
  EXPECT_TRUE(absl::IsDataLoss(lines.end)) << lines.end;
  EXPECT_EQ(lines.messages, std::vector<std::string>{"whole"});
  const Result frames = ReadOverSocket<FrameReader>(std::string("\0\0\0\5whole\0\0\0\5hal", 16), 2, 10);
  EXPECT_TRUE(absl::IsDataLoss(frames.end)) << frames.end;
  EXPECT_EQ(frames.messages, std::vector<std::string>{"whole"});
  EXPECT_TRUE(absl::IsOutOfRange(ReadOverSocket<FrameReader>("", 1, 10).end));
}

TEST(MessageReaderTest, AMessageThatIsTooLong) {
  const Result lines = ReadOverSocket<LineReader>("1234\n12345\n1\n", 1, 4);
  EXPECT_TRUE(absl::IsInvalidArgument(lines.end)) << lines.end;
  EXPECT_EQ(lines.messages, std::vector<std::string>{"1234"});
  // Of the second there is the header only: it need not be waited for.
  const Result frames = ReadOverSocket<FrameReader>(std::string("\0\0\0\4abcd\0\0\0\5", 12), 1, 4);
  EXPECT_TRUE(absl::IsInvalidArgument(frames.end)) << frames.end;
  EXPECT_EQ(frames.messages, std::vector<std::string>{"abcd"});
}

TEST(MessageReaderTest, AnErrorOfTheStreamComesAfterTheMessages) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    LineReader lines(pair.server, 10);
    const std::string text = "one\ntwo\nthr";
    const absl::Status sent = co_await pair.client.SendAll(AsBytes(text));
    EXPECT_TRUE(sent.ok());
    absl::StatusOr<BufferChain> line = co_await lines.Next();
    ExpectLine(line, "one");
    const linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(pair.client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    pair.client.Close();
    line = co_await lines.Next();
    ExpectLine(line, "two");
    line = co_await lines.Next();
    EXPECT_EQ(ErrnoOf(line.status()), ECONNRESET) << line.status();
  }(runtime));
}

Task<void> NextLine(LineReader& lines, CancelSource& source, absl::StatusOr<BufferChain>* line) {
  *line = co_await WithCancel(source, lines.Next());
}

TEST(MessageReaderTest, ACancelledNextLosesNothing) {
  Runtime runtime = NewRuntime();
  RunToEnd(runtime, [](Runtime& r) -> Task<void> {
    StreamPair pair = co_await ConnectPair(r);
    LineReader lines(pair.server, 10);
    const std::string text[] = {"one\nfirst ", "half\n"};
    absl::Status sent = co_await pair.client.SendAll(AsBytes(text[0]));
    EXPECT_TRUE(sent.ok());
    absl::StatusOr<BufferChain> line = co_await lines.Next();
    ExpectLine(line, "one");

    CancelSource source;
    TaskGroup group(r);
    group.Spawn(NextLine(lines, source, &line));
    // Until that one has taken what there is, and waits for more.
    while (pair.server.stats().bytes_received < text[0].size()) {
      const absl::Status slept = co_await Sleep(std::chrono::nanoseconds(0));
      EXPECT_TRUE(slept.ok());
    }
    source.Cancel();
    const absl::Status ended = co_await group.Wait();
    EXPECT_TRUE(ended.ok());
    EXPECT_TRUE(absl::IsCancelled(line.status())) << line.status();

    sent = co_await pair.client.SendAll(AsBytes(text[1]));
    EXPECT_TRUE(sent.ok());
    line = co_await lines.Next();
    ExpectLine(line, "first half");
  }(runtime));
}

}  // namespace
}  // namespace zcrx
