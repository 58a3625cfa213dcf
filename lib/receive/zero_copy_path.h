// SPDX-License-Identifier: Apache-2.0
//
// Zero-copy receive: RECV_ZC, with completions by the main queue or by the rbuf ring.
#ifndef ZCRX_LIB_RECEIVE_ZERO_COPY_PATH_H_
#define ZCRX_LIB_RECEIVE_ZERO_COPY_PATH_H_

#include <memory>

#include "lib/ifq/interface_queue.h"
#include "lib/receive/receive_path.h"

namespace zcrx::inline v0::internal {

class ZeroCopyPath final : public ReceivePath {
 public:
  ZeroCopyPath(Ring& ring, std::unique_ptr<InterfaceQueue> queue);

  bool ArrivesHere(int fd) override { return queue_->ArrivesHere(fd); }
  void AddStats(RuntimeStats& stats) const override;

 protected:
  void FillRequest(io_uring_sqe& entry) override;
  bool TakeFragments(Completion completion, Account* account, RecordQueue& fragments) override;
  uint32_t GiveBack() override { return queue_->GiveBack(); }
  bool Reclaim() override { return queue_->FlushRefillRing(); }
  BufferLedger& ledger() const override { return queue_->ledger(); }
  uint64_t pieces() const override { return queue_->pieces(); }

 private:
  std::unique_ptr<InterfaceQueue> queue_;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RECEIVE_ZERO_COPY_PATH_H_
