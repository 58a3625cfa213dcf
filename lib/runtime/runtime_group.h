// SPDX-License-Identifier: Apache-2.0
//
// The runtimes of one server, a thread each: what arrives at the queue of one for
// a stream of another is received by the one for the other.
#ifndef ZCRX_LIB_RUNTIME_RUNTIME_GROUP_H_
#define ZCRX_LIB_RUNTIME_RUNTIME_GROUP_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace zcrx::inline v0 {

class Runtime;

namespace internal {

// Any thread.
class RuntimeGroup {
 public:
  explicit RuntimeGroup(size_t size) : members_(size) {}

  size_t size() const { return members_.size(); }

  void Join(size_t index, Runtime* runtime);
  // The runtime is about to end. Afterwards nothing is posted to it.
  void Leave(size_t index) { Join(index, nullptr); }

  // Runs `function` on the member's thread. False, and nothing runs, if it is not
  // there, or not any more; also if it ends first.
  bool Post(size_t index, std::function<void(Runtime&)> function);

 private:
  std::mutex mutex_;
  std::vector<Runtime*> members_;  // guarded by mutex_
};

// A runtime's place in its group.
struct Membership {
  std::shared_ptr<RuntimeGroup> group;
  size_t index = 0;
};

}  // namespace internal
}  // namespace zcrx::inline v0

#endif  // ZCRX_LIB_RUNTIME_RUNTIME_GROUP_H_
