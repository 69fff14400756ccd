/* join/live_parts.h -- what the files of a live join share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as live.h.
 */
#pragma once

#include <stdatomic.h>

#include "join/checkpoint.h"
#include "join/hold.h"
#include "join/interfaces.h"
#include "join/live.h"
#include "join/out.h"
#include "join/repeat.h"
#include "join/tail.h"

struct live {
    struct live_options options;
    struct tail *tail;
    struct hold *hold;
    struct repeats *repeats;
    struct interfaces *interfaces;
    struct parser *parser;
    struct sink *sink;
    struct out *out;
    char *checkpoint; /* path; NULL: none is kept */
    struct buf scratch;
    struct join_totals totals;
    uint64_t early; /* flows decided early */

    /* the records at the head of the queue that are being given out */
    struct flow_record *records;
    size_t record_count;
    size_t judged; /* of them, as to repeats */
    size_t given;
    struct question *questions;
    size_t *asked; /* of each question, which record it is about */
    size_t question_cap;
    struct buf pending;        /* what they are in the output */
    struct join_totals giving; /* of them */
    bool is_pending;           /* `pending` is whole, but could not be written */

    /* the piece in hand */
    struct flow_record *parsed;
    size_t parsed_count;
    size_t parsed_cap;

    bool changed;          /* since the last checkpoint */
    int64_t checkpoint_us; /* monotonic: when it was written */
    int64_t reported_us;
    int64_t retry_us; /* when what failed is tried again; 0: nothing failed */
    int said;         /* the error last told of */
    bool checkpoint_failed;
    atomic_bool stopped;
    int stop_fd;
};

void live_warn(const struct live *live, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- live_read.c: read, parsed, put into the queue ---- */

/* Reads a few pieces. Returns how many, or a negative error. */
int live_read_some(struct live *live, int64_t now_us, struct why *why);

/* ---- live_give.c: asked, given out, written ---- */

/* Gives out what need not wait; with `drain` everything. Returns how often it did; -EAGAIN if it is
 * to be tried again later; another negative error. */
int live_decide(struct live *live, int64_t now_us, bool drain, struct why *why);
/* Writes what is pending; `is_pending` stays where that fails. */
int live_write_pending(struct live *live, struct why *why);
/* For messages. */
const char *live_out_name(const struct live *live);
