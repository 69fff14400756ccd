/* join/order.h -- times of records that cannot be, or follow each other in no order
 * SPDX-License-Identifier: Apache-2.0
 *
 * Either says that a clock is wrong, a zone was not told, or logs of several places were put
 * together; it is no reason not to give a record out.
 *
 * Threads: one at a time.
 */
#pragma once

#include "base/clock.h"
#include "join/flow.h"

/* Clocks that are kept differ by less. */
#define ORDER_AHEAD_US (5 * US_PER_MIN)
#define ORDER_BACK_US US_PER_HOUR

/* Zeroed memory is one to begin with. */
struct order {
    int64_t last_us; /* end of the last flow with a time */
    uint64_t ahead;  /* flows more than ORDER_AHEAD_US after the time it was then */
    uint64_t back;   /* flows that ended more than ORDER_BACK_US before the one before them */
};

/* `now_us` 0: unknown, nothing is ahead of it. */
void order_note(struct order *order, const struct flow *flow, int64_t now_us);
