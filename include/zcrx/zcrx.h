// SPDX-License-Identifier: Apache-2.0
//
// All of zcrx: receive TCP data on Linux without a copy. Start at zcrx/runtime.h
// and zcrx/stream.h.
#ifndef ZCRX_ZCRX_H_
#define ZCRX_ZCRX_H_

#include "zcrx/address.h"          // IWYU pragma: export
#include "zcrx/buffer.h"           // IWYU pragma: export
#include "zcrx/buffer_chain.h"     // IWYU pragma: export
#include "zcrx/cancel.h"           // IWYU pragma: export
#include "zcrx/examination.h"      // IWYU pragma: export
#include "zcrx/features.h"         // IWYU pragma: export
#include "zcrx/file.h"             // IWYU pragma: export
#include "zcrx/inherit.h"          // IWYU pragma: export
#include "zcrx/interface_queue.h"  // IWYU pragma: export
#include "zcrx/listener.h"         // IWYU pragma: export
#include "zcrx/log.h"              // IWYU pragma: export
#include "zcrx/netdev.h"           // IWYU pragma: export
#include "zcrx/nic_reservation.h"  // IWYU pragma: export
#include "zcrx/pressure.h"         // IWYU pragma: export
#include "zcrx/race.h"             // IWYU pragma: export
#include "zcrx/runtime.h"          // IWYU pragma: export
#include "zcrx/server.h"           // IWYU pragma: export
#include "zcrx/stats_page.h"       // IWYU pragma: export
#include "zcrx/status.h"           // IWYU pragma: export
#include "zcrx/stream.h"           // IWYU pragma: export
#include "zcrx/task.h"             // IWYU pragma: export
#include "zcrx/task_group.h"       // IWYU pragma: export
#include "zcrx/timer.h"            // IWYU pragma: export
#include "zcrx/version.h"          // IWYU pragma: export

#endif  // ZCRX_ZCRX_H_
