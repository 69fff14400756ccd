/* join/hold.h -- flows that wait until what was answered before them is known
 * SPDX-License-Identifier: Apache-2.0
 *
 * DNS facts may come later than the flow they explain (DESIGN section 3). A flow waits until every
 * connected sender has been heard past its time + skew, but never longer than `settle` after its
 * time, nor after it was read. Order is kept: what waits keeps what comes after it waiting, which
 * by the second bound is no longer than that.
 *
 * The queue is bounded in octets and flows. Beyond that the oldest go at once, and are counted as
 * early: a name that is known by then is given all the same, without one they are `unsettled`.
 *
 * Threads: a queue belongs to one thread at a time.
 */
#pragma once

#include "join/format.h"
#include "join/tail_file.h"

/* Records that were read together, with all they point to. */
struct hold_batch {
    struct hold_batch *next;
    struct tail_file *file;
    struct tail_place at; /* of the text */
    char *text;           /* owned */
    size_t text_len;
    struct arena arena;
    struct flow_record *records; /* owned */
    size_t count;
    int64_t read_us; /* wall clock */

    /* private */
    size_t next_record;
    size_t bytes;
    int64_t latest_us; /* when all of it is settled */
};

void hold_batch_free(struct hold_batch **batch);

struct hold_options {
    int64_t skew_us;
    int64_t settle_us;
    size_t max_bytes;
    size_t max_count;
    /* Has every connected sender of the cluster (NULL: that of the join) been heard past `time_us`?
     * NULL: that is never known before `settle` has passed. */
    bool (*settled)(void *ctx, const char *cluster, int64_t time_us, int64_t now_us);
    void *settled_ctx;
};

struct hold;

/* `options` is copied. Returns 0 or -ENOMEM. */
int hold_new(struct hold **hold, const struct hold_options *options);
void hold_free(struct hold **hold);

/* Takes over the batch, which has a record at least; its file stays known while it waits. */
void hold_push(struct hold *hold, struct hold_batch *batch);

/* The records at the head that need not wait (with `drain`: any longer), all of one batch. Returns
 * how many; 0 if none. `*early` is how many of them should have waited. They stay until hold_pop.
 */
size_t hold_ready(struct hold *hold, int64_t now_us, bool drain, struct flow_record **records,
                  size_t *early);
/* The first `count` records of the head are done with. */
void hold_pop(struct hold *hold, size_t count);

/* Name of the file the head was read from; NULL if nothing waits. */
const struct tail_file *hold_file(const struct hold *hold);
/* Says tail_keep of the first waiting record of each file. */
void hold_keep(const struct hold *hold);

size_t hold_count(const struct hold *hold);
size_t hold_bytes(const struct hold *hold);
/* When the head was read, wall clock; 0 if nothing waits. */
int64_t hold_oldest_us(const struct hold *hold);
