// SPDX-License-Identifier: Apache-2.0
//
// How lib/netdev puts an answer of the kernel together, also one no kernel would send.
#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <cerrno>
#include <string>

#include "lib/netdev/netlink.h"
#include "tests/unit/netlink_bytes.h"
#include "zcrx/status.h"

namespace zcrx::netdev {
namespace {

nlmsgerr Error(int error) {
  nlmsgerr message = {};
  message.error = -error;
  message.msg.nlmsg_len = NLMSG_HDRLEN;
  return message;
}

constexpr uint16_t kSomeType = 0x20;

TEST(Answer, CollectsOnlyItsOwnSequence) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, 0, 6, Bytes().Raw(uint32_t{1}));  // left over
  datagram.Message(kSomeType, 0, 7, Bytes().Raw(uint32_t{2}));
  datagram.Message(NLMSG_ERROR, 0, 6, Bytes().Raw(Error(EPERM)));  // left over
  AddToAnswer(datagram.get(), 7, answer);
  EXPECT_FALSE(answer.complete);
  ASSERT_EQ(answer.replies.size(), 1u);
  EXPECT_EQ(answer.replies[0], Bytes().Raw(uint32_t{2}).get());
  AddToAnswer(Bytes().Message(NLMSG_ERROR, 0, 7, Bytes().Raw(Error(0))).get(), 7, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, 0);
}

TEST(Answer, PassesOnTheKernelsWords) {
  Bytes payload = Bytes().Raw(Error(EINVAL)).Text(NLMSGERR_ATTR_MSG, "no: the queue is on holiday");
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, payload).get(), 1, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, EINVAL);
  EXPECT_EQ(answer.kernel_text, "no: the queue is on holiday");
}

TEST(Answer, FindsTheWordsBehindAnEchoedRequest) {
  nlmsgerr error = Error(EINVAL);
  error.msg.nlmsg_len = NLMSG_HDRLEN + 8;
  Bytes payload = Bytes().Raw(error).Raw(uint64_t{0}).Text(NLMSGERR_ATTR_MSG, "because");
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, payload).get(), 1, answer);
  EXPECT_EQ(answer.kernel_text, "because");
}

TEST(Answer, SurvivesAnEchoLengthThatLies) {
  nlmsgerr error = Error(EINVAL);
  error.msg.nlmsg_len = 0xfffffff0;
  Answer answer;
  AddToAnswer(Bytes().Message(NLMSG_ERROR, NLM_F_ACK_TLVS, 1, Bytes().Raw(error)).get(), 1, answer);
  EXPECT_EQ(answer.error, EINVAL);
  EXPECT_EQ(answer.kernel_text, "");
}

TEST(Answer, DumpEndsWithItsError) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, NLM_F_MULTI, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_DONE, NLM_F_MULTI, 1, Bytes().Raw(int32_t{-EOPNOTSUPP}));
  AddToAnswer(datagram.get(), 1, answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.error, EOPNOTSUPP);
}

TEST(Answer, NoticesAnInterruptedDump) {
  Answer answer;
  Bytes datagram;
  datagram.Message(kSomeType, NLM_F_MULTI | NLM_F_DUMP_INTR, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_DONE, NLM_F_MULTI, 1, Bytes().Raw(int32_t{0}));
  AddToAnswer(datagram.get(), 1, answer);
  EXPECT_TRUE(answer.interrupted);
  EXPECT_EQ(answer.error, 0);
}

TEST(Answer, EveryTruncationIsAnErrorOrIncomplete) {
  Bytes datagram;
  datagram.Message(kSomeType, 0, 1, Bytes().Raw(uint32_t{1}));
  datagram.Message(NLMSG_ERROR, 0, 1, Bytes().Raw(Error(0)));
  for (size_t size = 0; size < datagram.get().size(); ++size) {
    const Payload part(datagram.get().begin(), datagram.get().begin() + static_cast<ptrdiff_t>(size));
    Answer answer;
    AddToAnswer(part, 1, answer);
    if (answer.complete) {
      EXPECT_EQ(answer.error, EBADMSG) << size;
    }
  }
}

Answer Interrupted() {
  Answer answer;
  answer.replies = {Bytes().Raw(uint32_t{1}).get()};
  answer.complete = answer.interrupted = true;
  return answer;
}

TEST(AskUntilConsistent, AsksAgainAfterAnInterruptedDump) {
  int asked = 0;
  const auto replies = AskUntilConsistent(
      [&asked]() -> absl::StatusOr<Answer> {
        Answer answer = Interrupted();
        answer.interrupted = ++asked < 3;
        return answer;
      },
      "queues");
  ASSERT_TRUE(replies.ok()) << replies.status();
  EXPECT_EQ(replies->size(), 1u);  // of the last answer only
  EXPECT_EQ(asked, 3);
}

TEST(AskUntilConsistent, ReportsWhatKeepsChanging) {
  int asked = 0;
  const auto replies = AskUntilConsistent(
      [&asked]() -> absl::StatusOr<Answer> {
        ++asked;
        return Interrupted();
      },
      "queues of eth0");
  EXPECT_EQ(ErrnoOf(replies.status()), EINTR);
  EXPECT_NE(std::string(replies.status().message()).find("queues of eth0"), std::string::npos);
  EXPECT_GT(asked, 1);
  EXPECT_LT(asked, 100);
}

TEST(AskUntilConsistent, AnErrorIsNotAskedForAgain) {
  int asked = 0;
  const auto replies = AskUntilConsistent(
      [&asked]() -> absl::StatusOr<Answer> {
        ++asked;
        Answer answer = Interrupted();
        answer.error = EBUSY;
        answer.kernel_text = "the queue is on holiday";
        return answer;
      },
      "queues of eth0");
  EXPECT_EQ(ErrnoOf(replies.status()), EBUSY);
  EXPECT_EQ(std::string(replies.status().message()).find("queues of eth0: the queue is on holiday"), 0u);
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace zcrx::netdev
