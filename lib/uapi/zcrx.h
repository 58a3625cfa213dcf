// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT
//
// Our mirror of the kernel's zero-copy receive contract as of Linux 7.3
// (include/uapi/linux/io_uring.h, io_uring/zcrx.h, io_uring/query.h), because the
// headers of the distributions we build on are older or have an earlier layout
// under the same names; and the rbuf completion ring, which only our series for
// Linux 6.12 has. Facts only: numbers, sizes, offsets. The assertions
// below pin what the kernel expects byte by byte.
#ifndef ZCRX_LIB_UAPI_ZCRX_H_
#define ZCRX_LIB_UAPI_ZCRX_H_

#include <cstddef>
#include <cstdint>

namespace zcrx::inline v0::uapi {

// --- Numbers ---------------------------------------------------------------

inline constexpr uint8_t kOpRecvZc = 58;           // since 6.15
inline constexpr uint8_t kOpWritevFixed = 61;      // since 6.15
inline constexpr unsigned kRegisterZcrxIfq = 32;   // since 6.15
inline constexpr unsigned kRegisterQuery = 35;     // since 6.18
inline constexpr unsigned kRegisterZcrxCtrl = 36;  // since 6.19

// --- Zero-copy sends; not in the liburing of Debian 12 -------------------------------

inline constexpr uint16_t kSendZcReportUsage = 1u << 3;  // IORING_SEND_ZC_REPORT_USAGE, since 6.2
inline constexpr uint32_t kNotifUsageZcCopied =
    1u << 31;  // IORING_NOTIF_USAGE_ZC_COPIED: in res of the notification

// The upper bits of a completion's offset name the area.
inline constexpr unsigned kAreaShift = 48;
inline constexpr uint64_t kAreaMask = ~((uint64_t{1} << kAreaShift) - 1);

// IO_RQ_MAX_ENTRIES of io_uring/zcrx.c: more is -EINVAL.
inline constexpr uint32_t kMaxRefillEntries = 32768;
// The same limit of the rbuf completion ring.
inline constexpr uint32_t kMaxRbufEntries = 32768;

// --- Registration ----------------------------------------------------------

struct Rqe {  // struct io_uring_zcrx_rqe
  uint64_t off;
  uint32_t len;  // not read by the kernel
  uint32_t pad;  // non-zero: the entry is skipped silently
};

struct Offsets {  // struct io_uring_zcrx_offsets
  uint32_t head;
  uint32_t tail;
  uint32_t rqes;
  uint32_t resv2;
  uint64_t resv[2];
};

struct AreaReg {  // struct io_uring_zcrx_area_reg
  uint64_t addr;
  uint64_t len;
  uint64_t rq_area_token;  // out
  uint32_t flags;
  uint32_t dmabuf_fd;
  uint64_t resv2[2];
};

struct IfqReg {  // struct io_uring_zcrx_ifq_reg
  uint32_t if_idx;
  uint32_t if_rxq;
  uint32_t rq_entries;  // in, out: rounded up to a power of two
  uint32_t flags;
  uint64_t area_ptr;
  uint64_t region_ptr;
  Offsets offsets;       // out
  uint32_t zcrx_id;      // out
  uint32_t rx_buf_len;   // reserved before 7.0
  uint64_t event_desc;   // reserved before 7.2
  uint64_t rbuf_cq_ptr;  // reserved but with kRegRbufCq: RbufCqReg
  uint64_t resv;
};
// ZCRX_REG_IMPORT in IfqReg::flags: if_idx is the fd of an exported queue, all else is zero.
inline constexpr uint32_t kRegImport = 1u << 0;
// ZCRX_REG_RBUF_CQ in IfqReg::flags: completions by a ring of their own, see RbufCqReg.
inline constexpr uint32_t kRegRbufCq = 1u << 31;

struct RegionDesc {  // struct io_uring_region_desc
  uint64_t user_addr;
  uint64_t size;
  uint32_t flags;
  uint32_t id;
  uint64_t mmap_offset;
  uint64_t resv[4];
};
inline constexpr uint32_t kRegionTypeUser = 1;  // IORING_MEM_REGION_TYPE_USER

struct EventDesc {  // struct zcrx_event_desc
  uint64_t user_data;
  uint32_t type_mask;
  uint32_t flags;
  uint64_t stats_offset;
  uint64_t resv2[9];
};
inline constexpr uint32_t kEventDescStats = 1u << 0;  // ZCRX_EVENT_DESC_FLAG_STATS

struct Stats {  // struct zcrx_stats
  uint64_t copy_count;
  uint64_t copy_bytes;
};

struct Ctrl {  // struct zcrx_ctrl
  uint32_t zcrx_id;
  uint32_t op;
  uint64_t resv[2];
  uint64_t payload[6];
};
inline constexpr uint32_t kCtrlFlushRq = 0;  // ZCRX_CTRL_FLUSH_RQ
inline constexpr uint32_t kCtrlExport = 1;   // ZCRX_CTRL_EXPORT; payload[0] is zero, then the fd

// --- The rbuf completion ring ------------------------------------------------
//
// It lies in the refill ring's region, after the rqes. A RECV_ZC request appends an
// entry for each fragment, and posts one completion for all that it appended at a
// time: res is their number, F_MORE is set. The completions need no CQE32. Indices run
// freely; the kernel moves the tail, the application the head.

struct RbufCqReg {      // struct io_uring_zcrx_rbuf_cq_reg
  uint32_t cq_entries;  // in, out: rounded up to a power of two
  uint32_t flags;       // none yet
  uint32_t head;        // out, like the next two: offset from the start of the region
  uint32_t tail;
  uint32_t cqes;
  uint32_t resv1;
  uint64_t resv2[5];
};

struct RbufCqe {  // struct io_uring_zcrx_rbuf_cqe
  uint64_t off;   // as in the completions of the main queue: area and offset
  uint32_t len;
  uint32_t flags;
};
inline constexpr uint32_t kRbufCopied = 1u << 0;  // ZCRX_RBUF_F_COPIED: the kernel copied the bytes

// --- IORING_REGISTER_QUERY ---------------------------------------------------

struct QueryHeader {  // struct io_uring_query_hdr
  uint64_t next_entry;
  uint64_t query_data;
  uint32_t query_op;
  uint32_t size;
  int32_t result;
  uint32_t resv[3];
};
inline constexpr uint32_t kQueryZcrx = 1;
inline constexpr uint32_t kQueryZcrxEvent = 3;

struct QueryZcrx {  // struct io_uring_query_zcrx
  uint64_t register_flags;
  uint64_t area_flags;
  uint32_t nr_ctrl_opcodes;
  uint32_t features;
  uint32_t rq_hdr_size;
  uint32_t rq_hdr_alignment;
  uint64_t resv2;
};
inline constexpr uint32_t kFeatureRxPageSize = 1u << 0;  // ZCRX_FEATURE_RX_PAGE_SIZE

struct QueryZcrxEvent {  // struct io_uring_query_zcrx_event
  uint32_t event_flags;
  uint32_t stats_size;
  uint32_t stats_off_alignment;
  uint32_t resv1;
  uint64_t resv2[4];
};

// --- Proof ---------------------------------------------------------------------

static_assert(sizeof(Rqe) == 16 && offsetof(Rqe, len) == 8 && offsetof(Rqe, pad) == 12);
static_assert(sizeof(Offsets) == 32 && offsetof(Offsets, tail) == 4 && offsetof(Offsets, rqes) == 8);
static_assert(sizeof(AreaReg) == 48 && offsetof(AreaReg, rq_area_token) == 16 &&
              offsetof(AreaReg, flags) == 24 && offsetof(AreaReg, dmabuf_fd) == 28);
static_assert(sizeof(IfqReg) == 96 && offsetof(IfqReg, flags) == 12 && offsetof(IfqReg, area_ptr) == 16 &&
              offsetof(IfqReg, region_ptr) == 24 && offsetof(IfqReg, offsets) == 32 &&
              offsetof(IfqReg, zcrx_id) == 64 && offsetof(IfqReg, rx_buf_len) == 68 &&
              offsetof(IfqReg, event_desc) == 72 && offsetof(IfqReg, rbuf_cq_ptr) == 80 &&
              offsetof(IfqReg, resv) == 88);
static_assert(sizeof(RbufCqReg) == 64 && offsetof(RbufCqReg, flags) == 4 && offsetof(RbufCqReg, head) == 8 &&
              offsetof(RbufCqReg, tail) == 12 && offsetof(RbufCqReg, cqes) == 16 &&
              offsetof(RbufCqReg, resv1) == 20 && offsetof(RbufCqReg, resv2) == 24);
static_assert(sizeof(RbufCqe) == 16 && offsetof(RbufCqe, len) == 8 && offsetof(RbufCqe, flags) == 12);
static_assert(sizeof(RegionDesc) == 64 && offsetof(RegionDesc, size) == 8 &&
              offsetof(RegionDesc, flags) == 16 && offsetof(RegionDesc, mmap_offset) == 24);
static_assert(sizeof(EventDesc) == 96 && offsetof(EventDesc, type_mask) == 8 &&
              offsetof(EventDesc, flags) == 12 && offsetof(EventDesc, stats_offset) == 16);
static_assert(sizeof(Stats) == 16 && offsetof(Stats, copy_bytes) == 8);
static_assert(sizeof(Ctrl) == 72 && offsetof(Ctrl, payload) == 24);
static_assert(sizeof(QueryHeader) == 40 && offsetof(QueryHeader, query_op) == 16 &&
              offsetof(QueryHeader, result) == 24);
static_assert(sizeof(QueryZcrx) == 40 && offsetof(QueryZcrx, nr_ctrl_opcodes) == 16 &&
              offsetof(QueryZcrx, features) == 20 && offsetof(QueryZcrx, rq_hdr_size) == 24);
static_assert(sizeof(QueryZcrxEvent) == 48 && offsetof(QueryZcrxEvent, stats_size) == 4);

}  // namespace zcrx::inline v0::uapi

#endif  // ZCRX_LIB_UAPI_ZCRX_H_
