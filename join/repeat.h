/* join/repeat.h -- the same 5-tuple again
 * SPDX-License-Identifier: Apache-2.0
 *
 * A SYN that is sent again, a connection seen at several points: within REPEAT_US of the first
 * record of a 5-tuple, by the times of the records and in either direction, because logs are not
 * strictly in order. Memory is bounded: what is forgotten early is at worst given out twice.
 *
 * Threads: a memory belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "join/flow.h"

#define REPEAT_US (5 * US_PER_S)
/* What a restart remembers, counted back from the latest flow. */
#define REPEATS_SAVED_US (60 * US_PER_S)

struct repeats;

/* Returns 0 or -ENOMEM. */
int repeats_new(struct repeats **repeats);
void repeats_free(struct repeats **repeats);

/* What the memory knows a flow by: a hash of its 5-tuple. */
struct repeat_key {
    uint64_t low;
    uint64_t high;
};

/* The flow's key. Also fetches what repeats_seen will look at; any thread may call it. */
struct repeat_key repeats_expect(struct repeats *repeats, const struct flow *flow);
/* True if the flow repeats one that was asked before and was none; else it is remembered. Flows
 * without addresses or time, and aggregates, never repeat. `key` is the flow's. */
bool repeats_seen(struct repeats *repeats, const struct flow *flow, struct repeat_key key);

/* Appends what is remembered of the last REPEATS_SAVED_US. A time later than `now_us` by ten
 * minutes or more is nobody's present and does not count as the latest. */
void repeats_save(const struct repeats *repeats, int64_t now_us, struct buf *out);
/* Adds what repeats_save wrote. Returns 0, or W_EDAMAGED if it is something else. */
int repeats_load(struct repeats *repeats, const char *data, size_t len);
