// SPDX-License-Identifier: Apache-2.0
//
// Receive with a copy by the kernel, into buffers of ours that it picks itself:
// multishot recv with a provided-buffer ring.
#ifndef ZCRX_LIB_RECEIVE_COPY_PATH_H_
#define ZCRX_LIB_RECEIVE_COPY_PATH_H_

#include <liburing.h>

#include <memory>

#include "absl/status/statusor.h"
#include "lib/ifq/mapping.h"
#include "lib/receive/receive_path.h"
#include "lib/ring/waker.h"

namespace zcrx::inline v0::internal {

class CopyPath final : public ReceivePath {
 public:
  // Errors: InvalidArgument for impossible sizes;
  // what registering the buffer ring answers (ENOMEM, EINVAL before 5.19).
  static absl::StatusOr<std::unique_ptr<CopyPath>> Create(Ring& ring, const PoolOptions& options,
                                                          std::shared_ptr<Waker> waker);

 protected:
  void FillRequest(io_uring_sqe& entry) override;
  bool TakeFragments(Completion completion, Account* account, RecordQueue& fragments) override;
  uint32_t GiveBack() override;
  BufferLedger& ledger() const override { return *ledger_; }

 private:
  CopyPath(Ring& ring, PoolRegion region, std::shared_ptr<Waker> waker);

  absl::Status RegisterBuffers();
  void Provide(uint16_t piece, int position);
  // The ring by which the kernel gets its buffers.
  io_uring_buf_ring* provided() { return reinterpret_cast<io_uring_buf_ring*>(memory_.base()); }

  BufferLedger::Handle ledger_;
  Mapping memory_;    // of provided()
  uint32_t entries_;  // of provided()
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RECEIVE_COPY_PATH_H_
