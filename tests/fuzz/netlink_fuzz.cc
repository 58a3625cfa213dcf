// SPDX-License-Identifier: Apache-2.0
//
// Gives arbitrary bytes to all that reads what the kernel says of a NIC: as a
// datagram of netlink, whose replies go on to the parsers; as one reply; as a flow
// rule; as a list of CPUs. For libFuzzer: see tests/fuzz/CMakeLists.txt.
#include <linux/ethtool.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "lib/netdev/interrupts.h"
#include "lib/netdev/messages.h"
#include "lib/netdev/netlink.h"
#include "lib/netdev/rules.h"
#include "zcrx/netdev.h"

namespace zcrx::netdev {
namespace {

// The sequence number of the answers in the corpus.
constexpr uint32_t kSequence = 1;

void Parse(const std::vector<Payload>& replies) {
  for (const Payload& reply : replies) {
    (void)ParseLink(reply);
    (void)ParseChannels(reply);
    (void)ParseFeatures(reply);
    (void)ParseRings(reply);
  }
  (void)ParseRss(replies);
  (void)ParseRxQueues(replies);
  (void)ParsePagePools(replies, std::nullopt);
  // Some of these, the replies are about.
  std::vector<RxQueue> queues(4);
  for (uint32_t id = 0; id < queues.size(); ++id) {
    queues[id].id = id;
    queues[id].napi.emplace().id = id;
  }
  (void)AddNapis(replies, queues);
  (void)AddQueueStats(replies, /*interface_index=*/1, queues);
  std::vector<PagePool> pools(1);
  (void)AddPagePoolStats(replies, pools);
}

void ParseAsRule(std::span<const std::byte> bytes) {
  ethtool_rxnfc reply;
  if (bytes.size() < sizeof(reply)) return;
  memcpy(&reply, bytes.data(), sizeof(reply));
  (void)ParseRule(reply);
}

void Take(std::span<const std::byte> bytes) {
  Answer answer;
  AddToAnswer(bytes, kSequence, answer);
  Parse(answer.replies);
  Parse({Payload(bytes.begin(), bytes.end())});
  ParseAsRule(bytes);
  (void)ParseCpuList(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace
}  // namespace zcrx::netdev

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zcrx::netdev::Take(std::as_bytes(std::span(data, size)));
  return 0;
}
