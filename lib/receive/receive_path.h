// SPDX-License-Identifier: Apache-2.0
//
// How bytes arrive: one interface for all ways of receiving. A stream arms its
// request once and gets bytes, in order, until the end. What the kernel does in
// between (it ends requests for reasons that are not the stream's) is dealt with here.
#ifndef ZCRX_LIB_RECEIVE_RECEIVE_PATH_H_
#define ZCRX_LIB_RECEIVE_RECEIVE_PATH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "lib/ifq/buffer_ledger.h"
#include "lib/ring/completion.h"
#include "lib/ring/ring.h"
#include "lib/uapi/log.h"
#include "zcrx/runtime.h"
#include "zcrx/stats_page.h"

namespace zcrx::inline v0::internal {

class ReceivePath;

// InvalidArgument, with the option and the fix, if the watermarks make no sense.
absl::Status CheckPressureOptions(const PressureOptions& options);

// A stream, as the receive path sees it.
class ReceiveSink {
 public:
  // Bytes have been added to the unread ones of the request, for the first time since it began, or since
  // TellOfBytes().
  virtual void OnBytes() = 0;
  // Nothing follows. Ok: the peer ended the stream. CANCELLED: after Cancel().
  virtual void OnEnd(const absl::Status& status) = 0;

 protected:
  ~ReceiveSink() = default;
};

// The receiving of one socket. Must stay where it is until OnEnd(), once it has been armed. May outlive the
// path, if Detach() was called before that ended.
class ReceiveRequest final : public CompletionHandler {
 public:
  ReceiveRequest(ReceivePath& path, ReceiveSink& sink, uint64_t stream);
  ~ReceiveRequest();
  ReceiveRequest(const ReceiveRequest&) = delete;
  ReceiveRequest& operator=(const ReceiveRequest&) = delete;

  void Detach();

  // What has arrived, in order, and has not been taken. Fragments are taken by Take() or all together.
  RecordQueue& unread() { return unread_; }
  const RecordQueue& unread() const { return unread_; }
  BufferRecord* Take() {
    BufferRecord* record = unread_.Pop();
    if (record->ledger == nullptr) --copies_;
    return record;
  }
  void OnAllTaken() { copies_ = 0; }

  // The sink wants to know when bytes are added.
  void TellOfBytes() { tells_ = true; }

  // Copies of what another runtime has received join the unread fragments, and leave `fragments` empty.
  void AddCopies(RecordQueue& fragments);

  void OnCompletion(Completion completion) override;

  // Armed, or about to be armed again: OnEnd() is still to come.
  bool active() const { return state_ != State::kIdle; }

  // For StreamStats.
  uint64_t buffers_out() const { return account_->pieces(); }
  uint64_t pauses() const { return pauses_; }
  uint64_t copied_out_fragments() const { return copied_out_fragments_; }
  uint64_t copied_out_bytes() const { return copied_out_bytes_; }

 private:
  friend class ReceivePath;
  enum class State {
    kIdle,
    kArmed,
    kToArm,
    kStarved,
    kPausing,  // armed, and being cancelled
    kPaused,
  };

  ReceivePath* path_;  // null once detached
  ReceiveSink& sink_;
  Account* const account_;
  RecordQueue unread_;
  bool tells_ = true;    // the sink of the next bytes
  uint64_t copies_ = 0;  // of the unread fragments, those that lie on the heap
  uint64_t pauses_ = 0;
  uint64_t copied_out_fragments_ = 0;
  uint64_t copied_out_bytes_ = 0;
  int fd_ = -1;
  State state_ = State::kIdle;
  absl::Status cancelled_;              // not ok: how OnEnd() is to end it; until then bytes are dropped
  uint32_t fruitless_waits_ = 0;        // for a buffer, since one came back
  ReceiveRequest* previous_ = nullptr;  // in the list of all of the path
  ReceiveRequest* next_ = nullptr;
};

// All calls on the thread of the ring.
class ReceivePath {
 public:
  virtual ~ReceivePath() = default;
  ReceivePath(const ReceivePath&) = delete;
  ReceivePath& operator=(const ReceivePath&) = delete;

  // Before anything is armed. They have been checked.
  void SetPressureOptions(const PressureOptions& options);
  // Limits the receive buffer of a socket, as the options say. Accepted ones inherit it from their listener.
  void LimitSocket(int fd) const;
  // The same of a socket that is connected already.
  void LimitConnected(int fd) const;
  Pressure pressure() const { return pressure_.now; }
  // Those that have pieces, the oldest first.
  std::vector<BufferHolder> holders() const;

  // Starts to receive from the socket `fd`.
  void Arm(ReceiveRequest& request, int fd);

  // Ends an active request. OnEnd() comes now or with a later completion; bytes no more.
  void Cancel(ReceiveRequest& request);

  // Once per turn, before submitting: gives back the pieces that have been
  // returned and arms again what the kernel ended.
  void Flush();

  // Before the thread blocks, or goes elsewhere. False: something has come back, do not.
  bool PrepareToSleep();
  // It is back: returns need not wake it.
  void StayAwake() { ledger().StayAwake(); }

  // The memory that buffers lie in.
  std::span<std::byte> memory() { return {ledger().region().base(), ledger().region().bytes()}; }

  // Whether each fragment's `copied` is known.
  bool tells_copied() const { return tells_copied_; }

  // Whether the packets of the socket come by the queue that this path receives from. True if that cannot be
  // told. Takes a system call; after the first bytes.
  virtual bool ArrivesHere(int) { return true; }

  // Changes with all that is published of this path.
  uint64_t activity() const;
  // The time that fragments get from now on. May be a little late.
  void set_now(std::chrono::steady_clock::time_point now) { ledger().set_now(now); }
  std::chrono::steady_clock::time_point now() const { return ledger().now(); }
  // Fills in the streams that have most pieces, the first one most; how many. Looks at every stream.
  size_t FindHolders(std::span<StatsHolder> most) const;
  size_t piece_bytes() const { return ledger().region().piece_bytes(); }

  // Adds what this path counts.
  virtual void AddStats(RuntimeStats& stats) const;

 protected:
  // `no_buffer` is the errno for "no buffer to receive into". A request that has
  // met it `most_waits` times without any buffer coming back ends with it; 0: never.
  ReceivePath(Ring& ring, int no_buffer, uint32_t most_waits, bool tells_copied)
      : ring_(ring),
        no_buffer_(no_buffer),
        most_waits_(most_waits),
        tells_copied_(tells_copied),
        timer_(*this) {}

  // Fills in a request for the socket; the handler is set.
  virtual void FillRequest(io_uring_sqe& entry) = 0;

  // Appends the fragments that a completion tells of, if any, to `fragments`, in
  // order, put down to `account`. False, and none, if what it says is impossible.
  virtual bool TakeFragments(Completion completion, Account* account, RecordQueue& fragments) = 0;

  // Gives back what has been returned; how many pieces.
  virtual uint32_t GiveBack() = 0;

  // While a request waits for a buffer: makes the kernel take what was given
  // back and lies unused. True if it took anything.
  virtual bool Reclaim() { return false; }

  virtual BufferLedger& ledger() const = 0;

  // Of the region, as many as are for this path.
  virtual uint64_t pieces() const { return ledger().region().pieces(); }

  Ring& ring_;

 private:
  friend class ReceiveRequest;

  // Ends the waits for a buffer that no return ends.
  class Timer final : public CompletionHandler {
   public:
    explicit Timer(ReceivePath& path) : path_(path) {}
    void OnCompletion(Completion completion) override;
    void Start(std::chrono::nanoseconds duration);
    bool running() const { return running_; }

   private:
    ReceivePath& path_;
    __kernel_timespec duration_ = {};
    bool running_ = false;
  };

  // All that is not just more bytes.
  void OnOtherCompletion(ReceiveRequest& request, Completion completion);
  // The kernel has said what cannot be.
  [[gnu::cold]] void OnImpossible(ReceiveRequest& request, bool more);
  void OnBytes(ReceiveRequest& request);
  void TellSink(ReceiveRequest& request);
  void OnRequestEnded(ReceiveRequest& request, int result);
  // `cause`: the errno that the kernel ended it with; 0: its last completion had bytes.
  void ArmAgain(ReceiveRequest& request, int cause);
  // GiveBack(), seen by those who look at the probes.
  uint32_t GiveBackAll();
  void UpdatePressure();
  void PauseIfOverQuota(ReceiveRequest& request);
  void Pause(ReceiveRequest& request);
  void Resume();
  bool HasMoreThan(uint64_t pieces, const ReceiveRequest& request) const;
  void CopyOut(uint64_t count);
  uint64_t CopyOutOf(ReceiveRequest& request, uint64_t count);
  void WaitForBuffer(ReceiveRequest& request);
  void EndWaits();
  void Prepare(ReceiveRequest& request);
  void End(ReceiveRequest& request, const absl::Status& status);

  const int no_buffer_;
  const uint32_t most_waits_;
  const bool tells_copied_;
  std::vector<ReceiveRequest*> to_arm_;
  std::vector<ReceiveRequest*> arming_;  // storage for Flush(), kept
  std::vector<ReceiveRequest*> starved_;
  std::vector<ReceiveRequest*> paused_;
  ReceiveRequest* requests_ = nullptr;  // all of them
  // In pieces.
  uint64_t high_ = UINT64_MAX;
  uint64_t low_ = 0;
  uint64_t quota_ = UINT64_MAX;
  size_t socket_bytes_ = 0;  // 0: not limited
  bool copy_out_ = false;
  PressureStats pressure_;
  LogLimit pressure_log_;
  LogLimit starving_log_;
  LogLimit no_space_log_;
  LogLimit impossible_log_;
  bool told_high_ = false;
  Timer timer_;
  std::chrono::nanoseconds wait_ = {};
  uint64_t completions_ = 0;
  // Received by other runtimes, and copied.
  uint64_t relayed_bytes_ = 0;
  uint64_t relayed_fragments_ = 0;
  uint64_t rearms_no_space_ = 0;
  uint64_t rearms_no_buffer_ = 0;
  uint64_t rearms_after_bytes_ = 0;
  uint64_t rearms_interrupted_ = 0;
  uint64_t rearms_resumed_ = 0;
};

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_RECEIVE_RECEIVE_PATH_H_
