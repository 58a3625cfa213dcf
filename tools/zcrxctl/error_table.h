// SPDX-License-Identifier: Apache-2.0
//
// What each errno of zero-copy receive means. docs/errors.md has the same words; a
// unit test compares them.
#ifndef ZCRX_TOOLS_ZCRXCTL_ERROR_TABLE_H_
#define ZCRX_TOOLS_ZCRXCTL_ERROR_TABLE_H_

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace zcrx::ctl {

enum class Operation {
  kRegister,  // IORING_REGISTER_ZCRX_IFQ: Runtime::Create()
  kRecv,      // IORING_OP_RECV_ZC, and sending: Stream
  kCtrl,      // IORING_REGISTER_ZCRX_CTRL
};

struct Meaning {
  int error;
  Operation operation;
  const char* cause;
  const char* fix;
  // Findings of doctor that make it likely, with blanks between; empty: none would.
  const char* findings;
};

// Those of one errno and operation stand in the order of how often they are met.
std::span<const Meaning> AllMeanings();

// Of the errno; of one operation if it is given. Those that doctor's findings (their ids) make likely come
// first.
struct Ranked {
  const Meaning* meaning;
  bool likely;
};
std::vector<Ranked> MeaningsOf(int error, std::optional<Operation> operation,
                               const std::set<std::string>& findings);

// "ENOMEM" or "12"; absent if it is neither.
std::optional<int> ParseErrno(const std::string& text);

// "register", "recv", "ctrl".
const char* NameOf(Operation operation);
std::optional<Operation> FindOperation(const std::string& name);

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_ERROR_TABLE_H_
