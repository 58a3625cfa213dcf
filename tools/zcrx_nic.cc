// SPDX-License-Identifier: Apache-2.0
//
// Sets up and shows the NIC of a test: a helper of the tests and of tools/vm,
// which need what Debian 12's ethtool cannot do (header split, queue owners).
// It undoes nothing; the tool for users is zcrxctl.
//
// Exit status: 0 done, 1 failed, 2 wrong usage.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/netdev/interface.h"
#include "lib/netdev/queues.h"
#include "lib/netdev/rings.h"
#include "lib/netdev/rss.h"
#include "lib/netdev/rules.h"

namespace {

using zcrx::netdev::Interface;
using zcrx::netdev::IpFamily;
using zcrx::netdev::RxQueue;
using Arguments = std::vector<std::string>;

constexpr char kUsage[] =
    "usage: zcrx_nic show IF                             everything known, a line per queue\n"
    "       zcrx_nic split IF on|off                     header/data split; on also sets the threshold to 0\n"
    "       zcrx_nic threshold IF BYTES                  of header/data split\n"
    "       zcrx_nic rule IF tcp4|tcp6 PORT QUEUE        steer TCP to local PORT into QUEUE; prints the "
    "rule's id\n"
    "       zcrx_nic unrule IF ID                        remove a rule\n"
    "       zcrx_nic spread IF N                         spread all other flows over the queues 0 to N-1\n"
    "       zcrx_nic wait IF QUEUE bound|free SECONDS    until an io_uring holds QUEUE, or nobody does\n";

class UsageError {
 public:
  explicit UsageError(std::string what) : what_(std::move(what)) {}
  const std::string& what() const { return what_; }

 private:
  std::string what_;
};

uint32_t Number(const std::string& text, const char* name, uint32_t max = UINT32_MAX) {
  uint32_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number > max) {
    throw UsageError(absl::StrCat(name, " is to be a number from 0 to ", max, ", not \"", text, "\""));
  }
  return number;
}

bool OneOf(const std::string& text, const char* yes, const char* no) {
  if (text != yes && text != no) {
    throw UsageError(absl::StrCat("expected ", yes, " or ", no, ", not \"", text, "\""));
  }
  return text == yes;
}

std::string OrUnknown(std::optional<uint32_t> value) {
  return value.has_value() ? absl::StrCat(*value) : std::string("unknown");
}

std::string Owner(const RxQueue& queue) {
  if (queue.io_uring) return absl::StrCat("io_uring buffer_bytes=", OrUnknown(queue.io_uring_buffer_bytes));
  if (queue.dmabuf.has_value()) return absl::StrCat("dmabuf binding=", *queue.dmabuf);
  if (queue.xdp_socket) return "xdp-socket";
  if (queue.leased) return "leased";
  return "none";
}

absl::Status Show(const Interface& interface, const Arguments&) {
  const auto rings = zcrx::netdev::GetRings(interface);
  if (!rings.ok()) return rings.status();
  const auto rss = zcrx::netdev::GetRss(interface);
  if (!rss.ok()) return rss.status();
  const auto rules = zcrx::netdev::ListRules(interface);
  if (!rules.ok()) return rules.status();
  const auto queues = zcrx::netdev::GetRxQueues(interface);
  if (!queues.ok()) return queues.status();

  printf("interface %s index=%u driver=%s %s xdp=%s numa_node=%s rx_queues=%u\n", interface.name.c_str(),
         interface.index, interface.driver.empty() ? "unknown" : interface.driver.c_str(),
         interface.up ? "up" : "down", interface.xdp_attached ? "attached" : "none",
         interface.numa_node.has_value() ? absl::StrCat(*interface.numa_node).c_str() : "none",
         interface.rx_queues);
  printf("rings header_split=%s threshold=%s threshold_max=%s rx=%s rx_max=%s\n", NameOf(rings->header_split),
         OrUnknown(rings->header_split_threshold).c_str(),
         OrUnknown(rings->header_split_threshold_max).c_str(), OrUnknown(rings->rx).c_str(),
         OrUnknown(rings->rx_max).c_str());
  std::map<uint32_t, size_t> shares;  // by queue
  const std::vector<uint32_t> table = rss->empty() ? std::vector<uint32_t>() : rss->front().table;
  for (const uint32_t queue : table) ++shares[queue];
  printf("rss entries=%zu %s\n", table.size(),
         absl::StrJoin(shares, " ", [](std::string* out, const auto& share) {
           absl::StrAppend(out, "queue", share.first, "=", share.second);
         }).c_str());
  for (const zcrx::netdev::Rule& rule : *rules) {
    printf("rule %u %s port=%s queue=%s%s%s\n", rule.id,
           !rule.tcp.has_value()          ? "other"
           : *rule.tcp == IpFamily::kIpv4 ? "tcp4"
                                          : "tcp6",
           rule.local_port == 0 ? "any" : absl::StrCat(rule.local_port).c_str(),
           rule.rx_queue.has_value() ? absl::StrCat(*rule.rx_queue).c_str() : "none",
           rule.rss_context.has_value() ? absl::StrCat(" rss_context=", *rule.rss_context).c_str() : "",
           rule.narrower ? " narrower" : "");
  }
  for (const RxQueue& queue : *queues) {
    printf("queue %u napi=%s owner=%s\n", queue.id,
           queue.napi.has_value() ? absl::StrCat(queue.napi->id).c_str() : "unknown", Owner(queue).c_str());
  }
  if (queues->empty()) {
    printf("queues unknown: %s\n", interface.up ? "the kernel does not tell" : "the interface is down");
  }
  return absl::OkStatus();
}

absl::Status Split(const Interface& interface, const Arguments& arguments) {
  return zcrx::netdev::SetHeaderSplit(interface, OneOf(arguments[0], "on", "off"));
}

absl::Status Threshold(const Interface& interface, const Arguments& arguments) {
  return zcrx::netdev::SetRings(interface, std::nullopt, Number(arguments[0], "BYTES"));
}

absl::Status AddRule(const Interface& interface, const Arguments& arguments) {
  const IpFamily family = OneOf(arguments[0], "tcp4", "tcp6") ? IpFamily::kIpv4 : IpFamily::kIpv6;
  const auto port = static_cast<uint16_t>(Number(arguments[1], "PORT", UINT16_MAX));
  const auto id = zcrx::netdev::AddTcpRule(
      interface, {.family = family, .local_port = port, .rx_queue = Number(arguments[2], "QUEUE")});
  if (!id.ok()) return id.status();
  printf("%u\n", *id);
  return absl::OkStatus();
}

absl::Status RemoveRule(const Interface& interface, const Arguments& arguments) {
  return zcrx::netdev::RemoveRule(interface, Number(arguments[0], "ID"));
}

absl::Status Spread(const Interface& interface, const Arguments& arguments) {
  return zcrx::netdev::SpreadRss(interface, Number(arguments[0], "N"));
}

absl::Status Wait(const Interface& interface, const Arguments& arguments) {
  const uint32_t id = Number(arguments[0], "QUEUE");
  const bool bound = OneOf(arguments[1], "bound", "free");
  const std::chrono::seconds limit(Number(arguments[2], "SECONDS", 86400));
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto queues = zcrx::netdev::GetRxQueues(interface);
    if (!queues.ok()) return queues.status();
    const RxQueue* queue = nullptr;
    for (const RxQueue& each : *queues) {
      if (each.id == id) queue = &each;
    }
    if (queue == nullptr) {
      return absl::NotFoundError(absl::StrCat("the kernel lists no queue ", id, " of ", interface.name,
                                              ": it has ", interface.rx_queues, " queues and is ",
                                              interface.up ? "up" : "down"));
    }
    if (bound ? queue->io_uring : !queue->owned()) return absl::OkStatus();
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("queue ", id, " of ", interface.name, " is not ",
                                                      arguments[1], " after ", arguments[2],
                                                      " s; owner: ", Owner(*queue)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

struct Command {
  const char* name;
  size_t arguments;  // behind the interface
  absl::Status (*run)(const Interface&, const Arguments&);
};
constexpr Command kCommands[] = {{"show", 0, Show},    {"split", 1, Split},       {"threshold", 1, Threshold},
                                 {"rule", 3, AddRule}, {"unrule", 1, RemoveRule}, {"spread", 1, Spread},
                                 {"wait", 3, Wait}};

absl::Status Run(const Arguments& all) {
  for (const Command& command : kCommands) {
    if (all.empty() || all[0] != command.name) continue;
    if (all.size() != command.arguments + 2) {
      throw UsageError(absl::StrCat(all[0], " takes ", command.arguments + 1, " arguments"));
    }
    const auto interface = zcrx::netdev::FindInterface(all[1]);
    if (!interface.ok()) return interface.status();
    return command.run(*interface, Arguments(all.begin() + 2, all.end()));
  }
  throw UsageError(all.empty() ? "no command given" : absl::StrCat("unknown command \"", all[0], "\""));
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argv + 1, argv + argc);
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    fputs(kUsage, stdout);
    return 0;
  }
  try {
    const absl::Status status = Run(arguments);
    if (status.ok()) return 0;
    fprintf(stderr, "zcrx_nic: %s\n", std::string(status.message()).c_str());
    return 1;
  } catch (const UsageError& error) {
    fprintf(stderr, "zcrx_nic: %s\n%s", error.what().c_str(), kUsage);
    return 2;
  }
}
