// SPDX-License-Identifier: Apache-2.0
//
// One netlink request and everything the kernel answers to it. libnl opens the
// socket and builds attributes; the walk over the answer is ours, because libnl
// 3.7 drops what matters here: the kernel's extended-ack text and the error code
// that ends a dump.
#ifndef ZCRX_LIB_NETDEV_NETLINK_H_
#define ZCRX_LIB_NETDEV_NETLINK_H_

#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct nl_msg;
struct nl_sock;

namespace zcrx::inline v0::netdev {

// What follows the netlink header of one message.
using Payload = std::vector<std::byte>;

// The kernel's answer to one request, as it is put together from datagrams.
struct Answer {
  std::vector<Payload> replies;
  bool complete = false;     // the acknowledgement or the end of the dump was seen
  bool interrupted = false;  // the dumped objects changed meanwhile: `replies` may be inconsistent
  int error = 0;             // errno of the acknowledgement
  std::string kernel_text;   // extended ack, word for word; often empty
};

// Takes in one datagram. Messages with another sequence number are leftovers of
// earlier requests and are skipped. A datagram that is not well formed completes
// the answer with EBADMSG.
void AddToAnswer(std::span<const std::byte> datagram, uint32_t sequence, Answer& answer);

// The replies to a request that `ask` sends. It is asked again, a few times, while
// its answer was interrupted. Errors read "`what`: the kernel's own words: errno
// text"; EINTR if every answer was interrupted.
absl::StatusOr<std::vector<Payload>> AskUntilConsistent(const std::function<absl::StatusOr<Answer>()>& ask,
                                                        std::string_view what);

// A request under construction. Each fits the one page libnl reserves by far.
class Request {
 public:
  // Puts attributes.
  using Fill = std::function<void(Request&)>;

  // `flags` besides NLM_F_REQUEST, such as NLM_F_DUMP.
  static Request Route(uint16_t type, const ifinfomsg& header, int flags = 0);
  static Request Generic(uint16_t family, int version, uint8_t command, int flags = 0);

  Request& Put(int attribute, uint8_t value);
  Request& Put(int attribute, uint32_t value);
  Request& Put(int attribute, const std::string& value);
  Request& PutFlag(int attribute);
  Request& PutNest(int attribute, const Fill& fill);

 private:
  friend class NetlinkSocket;
  struct Free {
    void operator()(nl_msg* message) const;
  };
  explicit Request(nl_msg* message) : message_(message) {}

  std::unique_ptr<nl_msg, Free> message_;
};

class NetlinkSocket {
 public:
  // `protocol` is NETLINK_ROUTE or NETLINK_GENERIC. The socket belongs to the
  // network namespace of the calling thread.
  static absl::StatusOr<NetlinkSocket> Open(int protocol);

  // The number of a generic netlink family; absent if the kernel has none.
  absl::StatusOr<std::optional<uint16_t>> FindFamily(const char* name);

  // Sends `request` and returns the replies; see AskUntilConsistent().
  absl::StatusOr<std::vector<Payload>> Exchange(Request request, std::string_view what);

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  explicit NetlinkSocket(nl_sock* socket) : socket_(socket) {}

  // Sends `request` once and takes in what comes until the answer is complete.
  absl::StatusOr<Answer> Ask(Request& request, std::string_view what);

  std::unique_ptr<nl_sock, Free> socket_;
};

}  // namespace zcrx::inline v0::netdev

#endif  // ZCRX_LIB_NETDEV_NETLINK_H_
