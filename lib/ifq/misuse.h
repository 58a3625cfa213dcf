// SPDX-License-Identifier: Apache-2.0
//
// Debug builds (NDEBUG not set) follow each record from one place to the next, and
// end the program where one is returned or settled twice, or used after its return:
// with a message that names the bytes' address, their number and the stream. In
// other builds all of this is nothing, and takes no room.
#ifndef ZCRX_LIB_IFQ_MISUSE_H_
#define ZCRX_LIB_IFQ_MISUSE_H_

#include <atomic>
#include <cstdint>

namespace zcrx::inline v0::internal {

struct BufferRecord;

#ifdef NDEBUG

inline void CheckReferenced(const BufferRecord&, const char*) {}

class RecordGuard {
 public:
  void OnIssue(const BufferRecord&) {}
  void OnAssign(uint64_t) {}
  void OnReturn(const BufferRecord&) {}
  void OnSettle(const BufferRecord&) {}
  void OnLedgerEnd(const BufferRecord&) const {}
};

#else

// Somebody says that he has a reference; else he has done `what` to the buffer.
void CheckReferenced(const BufferRecord& record, const char* what);

// Part of each record.
class RecordGuard {
 public:
  void OnIssue(const BufferRecord& record);
  void OnAssign(uint64_t stream) { stream_ = stream; }
  // Any thread.
  void OnReturn(const BufferRecord& record);
  void OnSettle(const BufferRecord& record);
  void OnLedgerEnd(const BufferRecord& record) const;

  // Whose the record's bytes are, or were last; 0: nobody's.
  uint64_t stream() const { return stream_; }

 private:
  enum class Place : uint8_t { kFree, kOut, kReturned };

  void Move(Place from, Place to, const BufferRecord& record, const char* what);

  // Atomic, as two threads that return the same record must not both be right.
  std::atomic<Place> place_ = Place::kFree;
  uint64_t stream_ = 0;
};

#endif

}  // namespace zcrx::inline v0::internal

#endif  // ZCRX_LIB_IFQ_MISUSE_H_
