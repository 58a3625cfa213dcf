// SPDX-License-Identifier: Apache-2.0
#include "lib/netdev/netlink.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/netdev/attributes.h"
#include "zcrx/status.h"

namespace zcrx::inline v0::netdev {
namespace {

constexpr int kDumpAttempts = 5;

// The kernel sends errors as small negative numbers; anything else is no error code.
int ErrnoFrom(int code) { return code > 0 || code < -4095 ? EBADMSG : -code; }

// The text attribute behind an error code, if the kernel sent one. `message`
// is a whole NLMSG_ERROR or NLMSG_DONE message; `skip` is what precedes the
// attributes in its payload.
std::string ExtendedAck(const nlmsghdr& message, size_t skip) {
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const std::span<const std::byte> payload(reinterpret_cast<const std::byte*>(&message) + NLMSG_HDRLEN,
                                           message.nlmsg_len - size_t{NLMSG_HDRLEN});
  skip = NLMSG_ALIGN(skip);
  if (skip >= payload.size()) return {};
  bool malformed = false;  // The text is worth having even so.
  return Attributes(payload.subspan(skip), &malformed).Text(NLMSGERR_ATTR_MSG);
}

void AddError(const nlmsghdr& message, Answer& answer) {
  answer.complete = true;
  nlmsgerr error;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(error))) {
    answer.error = EBADMSG;
    return;
  }
  memcpy(&error, NLMSG_DATA(&message), sizeof(error));
  answer.error = ErrnoFrom(error.error);
  // The request is echoed before the attributes unless the kernel capped it.
  size_t skip = sizeof(error);
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0 && error.msg.nlmsg_len > NLMSG_HDRLEN) {
    skip += error.msg.nlmsg_len - NLMSG_HDRLEN;
  }
  answer.kernel_text = ExtendedAck(message, skip);
}

void AddDone(const nlmsghdr& message, Answer& answer) {
  answer.complete = true;
  int error = 0;
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(error))) return;
  memcpy(&error, NLMSG_DATA(&message), sizeof(error));
  answer.error = ErrnoFrom(error);
  answer.kernel_text = ExtendedAck(message, sizeof(error));
}

// libnl has error numbers of its own for what happens below the kernel's answer.
absl::Status LibnlStatus(int error, std::string_view what) {
  return absl::InternalError(
      absl::StrCat(absl::string_view(what.data(), what.size()), ": ", nl_geterror(error)));
}

}  // namespace

void AddToAnswer(std::span<const std::byte> datagram, uint32_t sequence, Answer& answer) {
  const std::byte* at = datagram.data();
  size_t left = datagram.size();
  while (!answer.complete && left > 0) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(at);
    if (left < NLMSG_HDRLEN || message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > left) {
      answer.complete = true;
      answer.error = EBADMSG;
      return;
    }
    if (message->nlmsg_seq == sequence) {
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) answer.interrupted = true;
      if (message->nlmsg_type == NLMSG_ERROR) {
        AddError(*message, answer);
      } else if (message->nlmsg_type == NLMSG_DONE) {
        AddDone(*message, answer);
      } else if (message->nlmsg_type >= NLMSG_MIN_TYPE) {
        answer.replies.emplace_back(at + NLMSG_HDRLEN, at + message->nlmsg_len);
      }
    }
    const size_t step = std::min<size_t>(NLMSG_ALIGN(message->nlmsg_len), left);
    at += step;
    left -= step;
  }
}

absl::StatusOr<std::vector<Payload>> AskUntilConsistent(const std::function<absl::StatusOr<Answer>()>& ask,
                                                        std::string_view what) {
  const absl::string_view what_absl(what.data(), what.size());
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    absl::StatusOr<Answer> answer = ask();
    if (!answer.ok()) return answer.status();
    if (answer->error != 0) {
      return ErrnoStatus(answer->error, answer->kernel_text.empty()
                                            ? std::string(what)
                                            : absl::StrCat(what_absl, ": ", answer->kernel_text));
    }
    if (!answer->interrupted) return std::move(answer->replies);
  }
  return ErrnoStatus(EINTR, absl::StrCat(what_absl, ": what is listed kept changing while it was read, ",
                                         kDumpAttempts, " times in a row; try again"));
}

void Request::Free::operator()(nl_msg* message) const { nlmsg_free(message); }

Request Request::Route(uint16_t type, const ifinfomsg& header, int flags) {
  nl_msg* message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
  if (message == nullptr) throw std::bad_alloc();
  nlmsg_append(message, const_cast<ifinfomsg*>(&header), sizeof(header), NLMSG_ALIGNTO);
  return Request(message);
}

Request Request::Generic(uint16_t family, int version, uint8_t command, int flags) {
  nl_msg* message = nlmsg_alloc();
  if (message == nullptr) throw std::bad_alloc();
  genlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | flags, command,
              static_cast<uint8_t>(version));
  return Request(message);
}

Request& Request::Put(int attribute, uint8_t value) {
  nla_put_u8(message_.get(), attribute, value);
  return *this;
}

Request& Request::Put(int attribute, uint32_t value) {
  nla_put_u32(message_.get(), attribute, value);
  return *this;
}

Request& Request::Put(int attribute, const std::string& value) {
  nla_put_string(message_.get(), attribute, value.c_str());
  return *this;
}

Request& Request::PutFlag(int attribute) {
  nla_put_flag(message_.get(), attribute);
  return *this;
}

Request& Request::PutNest(int attribute, const Fill& fill) {
  nlattr* nest = nla_nest_start(message_.get(), attribute);
  fill(*this);
  nla_nest_end(message_.get(), nest);
  return *this;
}

void NetlinkSocket::Free::operator()(nl_sock* socket) const { nl_socket_free(socket); }

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(int protocol) {
  NetlinkSocket socket(nl_socket_alloc());
  if (socket.socket_ == nullptr) throw std::bad_alloc();
  if (const int error = nl_connect(socket.socket_.get(), protocol); error < 0) {
    return LibnlStatus(error, "cannot open a netlink socket");
  }
  // Texts for errors (4.12), without an echo of the request. A kernel that has
  // neither still answers, only with less.
  const int fd = nl_socket_get_fd(socket.socket_.get());
  const int on = 1;
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  return socket;
}

absl::StatusOr<std::optional<uint16_t>> NetlinkSocket::FindFamily(const char* name) {
  const int id = genl_ctrl_resolve(socket_.get(), name);
  if (id == -NLE_OBJ_NOTFOUND) return std::nullopt;
  if (id < 0) return LibnlStatus(id, absl::StrCat("cannot look up the netlink family \"", name, "\""));
  return static_cast<uint16_t>(id);
}

absl::StatusOr<std::vector<Payload>> NetlinkSocket::Exchange(Request request, std::string_view what) {
  return AskUntilConsistent([&] { return Ask(request, what); }, what);
}

absl::StatusOr<Answer> NetlinkSocket::Ask(Request& request, std::string_view what) {
  nlmsghdr* header = nlmsg_hdr(request.message_.get());
  header->nlmsg_seq = NL_AUTO_SEQ;
  if (const int error = nl_send_auto(socket_.get(), request.message_.get()); error < 0) {
    return LibnlStatus(error, what);
  }
  Answer answer;
  while (!answer.complete) {
    sockaddr_nl sender = {};
    unsigned char* datagram = nullptr;
    const int length = nl_recv(socket_.get(), &sender, &datagram, nullptr);
    if (length == -NLE_INTR || length == -NLE_AGAIN) continue;
    if (length <= 0) return LibnlStatus(length, what);
    if (sender.nl_pid == 0) {  // 0 is the kernel; any process may send to our port
      AddToAnswer(std::as_bytes(std::span(datagram, static_cast<size_t>(length))), header->nlmsg_seq, answer);
    }
    free(datagram);
  }
  return answer;
}

}  // namespace zcrx::inline v0::netdev
