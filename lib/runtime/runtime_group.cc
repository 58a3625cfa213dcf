// SPDX-License-Identifier: Apache-2.0
#include "lib/runtime/runtime_group.h"

#include "zcrx/runtime.h"

namespace zcrx::inline v0::internal {

void RuntimeGroup::Join(size_t index, Runtime* runtime) {
  const std::lock_guard lock(mutex_);
  members_[index] = runtime;
}

bool RuntimeGroup::Post(size_t index, std::function<void(Runtime&)> function) {
  // Held while it is posted: the runtime must not end meanwhile.
  const std::lock_guard lock(mutex_);
  Runtime* runtime = members_[index];
  if (runtime == nullptr) return false;
  runtime->Post([runtime, function = std::move(function)] { function(*runtime); });
  return true;
}

}  // namespace zcrx::inline v0::internal
