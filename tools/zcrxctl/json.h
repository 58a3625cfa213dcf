// SPDX-License-Identifier: Apache-2.0
//
// What --json prints. Keys stay in the order in which they are added.
#ifndef ZCRX_TOOLS_ZCRXCTL_JSON_H_
#define ZCRX_TOOLS_ZCRXCTL_JSON_H_

#include <nlohmann/json.hpp>
#include <optional>

namespace zcrx::ctl {

using Json = nlohmann::ordered_json;

// What is not known is null.
template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_JSON_H_
