// SPDX-License-Identifier: Apache-2.0
#include "zcrx/runtime.h"

#include <utility>

#include "lib/runtime/runtime_core.h"

namespace zcrx::inline v0 {

absl::StatusOr<Runtime> Runtime::Create(const RuntimeOptions& options) {
  absl::StatusOr<std::unique_ptr<internal::RuntimeCore>> core = internal::RuntimeCore::Create(options);
  if (!core.ok()) return core.status();
  return Runtime(*std::move(core));
}

Runtime::Runtime(std::unique_ptr<internal::RuntimeCore> core) : core_(std::move(core)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&& other) noexcept {
  if (this == &other) return *this;
  // Before the pointer changes: tasks that see the end of the old runtime may use it, and must not get the
  // new one.
  if (core_ != nullptr) core_->End();
  core_ = std::move(other.core_);
  return *this;
}
Runtime::~Runtime() = default;

void Runtime::Spawn(Task<void> task) { core_->Spawn(std::move(task)); }
absl::Status Runtime::Run() { return core_->Run(); }
absl::Status Runtime::RunOnce(std::chrono::nanoseconds max_wait) { return core_->RunOnce(max_wait); }
int Runtime::event_fd() const { return core_->event_fd(); }
void Runtime::Post(std::function<void()> function) { core_->Post(std::move(function)); }
void Runtime::Stop() { core_->Stop(); }
size_t Runtime::task_count() const { return core_->task_count(); }
const ReceivePathInfo& Runtime::receive_path() const { return core_->receive_path_info(); }
const KernelFeatures& Runtime::kernel_features() const { return core_->features(); }
std::vector<BufferHolder> Runtime::holders() const { return core_->receive_path().holders(); }
RuntimeStats Runtime::stats() const { return core_->stats(); }

}  // namespace zcrx::inline v0
