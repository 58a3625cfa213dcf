// SPDX-License-Identifier: Apache-2.0
//
// A process that holds queue 1 and does what it is told, so that a test can end it
// in every state and in every way.
#ifndef ZCRX_TESTS_GUEST_HOLDER_H_
#define ZCRX_TESTS_GUEST_HOLDER_H_

#include <sys/types.h>

#include <cstdint>

#include "tests/guest/raw_ring.h"

namespace zcrx {

enum class Order : uint32_t {
  kReady,           // listens; nothing to do but to answer
  kAccept,          // accepts a connection and receives on it from now on
  kAcceptOnly,      // accepts a connection, and waits until `value` bytes are in its receive queue
  kArm,             // receives on that connection now
  kReceive,         // receives until `value` bytes in all have come on it, and keeps them
  kReceiveForever,  // receives, and gives back at once, until the next order
  kGiveBack,
  kHeldIntact,  // whether what it keeps is still what came; answers how many buffers that is
  kCloseRing,
  kCloseSockets,
  kLeaveNamespace,
  kExit,
};

class Holder {
 public:
  // Starts the process in namespace `a`; it has registered the queue when this returns. It may lock memory of
  // so many regions, and what earlier holders locked counts until the kernel has let go of it. False if that
  // failed.
  bool Start(double regions);
  ~Holder();

  // The answer to an order; the test fails if the holder found fault with anything, or does not answer.
  uint64_t Do(Order order, uint64_t value = 0);

  // Both wait until it is gone.
  void Exit();  // without closing anything
  void Kill();

 private:
  pid_t process_ = -1;
  Fd control_;
};

}  // namespace zcrx

#endif  // ZCRX_TESTS_GUEST_HOLDER_H_
