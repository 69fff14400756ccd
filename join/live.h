/* join/live.h -- flow logs that grow, joined as they do
 * SPDX-License-Identifier: Apache-2.0
 *
 *   tail -> parse -> hold -> repeats sorted out -> ask -> sink -> out -> checkpoint
 *
 * Into a file each flow is given out exactly once and in the order it was read, whatever happens:
 * about once a second a checkpoint says what is in the output and from where reading goes on, and a
 * restart cuts off what came after. What was read before the repeats are sorted out is not part of
 * the checkpoint, so that a restart sorts out the same.
 *
 * While the output cannot be written or the oracle not be asked, nothing is read, the checkpoint
 * stays where it is, and both are tried again every second.
 *
 * Threads: live_run belongs to one thread, which callbacks are called from; live_stop may be called
 * from any, and from a signal handler.
 */
#pragma once

#include "join/join.h"
#include "join/owners_store.h"

#define LIVE_HOLD_BYTES ((size_t)128 * 1024 * 1024)
#define LIVE_HOLD_COUNT ((size_t)1000000)

struct live_options {
    /* As on the command line: files, folders, globs, `-`. */
    const char *const *sources;
    size_t source_count;
    const char *out;        /* SINK: `-`, `file:PATH` */
    const char *checkpoint; /* NULL: PATH.checkpoint for a file, none for a stream */

    const char *cluster;         /* asked in, and named where a record names none */
    const struct format *format; /* NULL: by content */
    const struct sink_kind *sink;
    struct sink_options sink_options;
    struct parser_options parser_options;

    struct join_oracle oracle;
    int64_t skew_us;
    int64_t settle_us;
    size_t hold_bytes; /* 0: LIVE_HOLD_BYTES */
    /* Of the index, with index_ctx; NULL where there is none. Moves it to its latest commit, before
     * something is asked; lets go of it, before we wait; is everything of the cluster (NULL: the
     * one above) up to `time_us` settled? */
    int (*refresh)(void *ctx, int64_t now_us, struct why *why);
    void (*rest)(void *ctx);
    bool (*settled)(void *ctx, const char *cluster, int64_t time_us, int64_t now_us);
    void *index_ctx;

    /* All may be NULL. Says one sentence; shows how far it has got, several times a second; takes a
     * DNS response found among the flows, as soon as it is read, after a restart perhaps again. */
    void (*warn)(void *ctx, const char *text);
    void (*progress)(void *ctx, const struct join_totals *totals, size_t held);
    void (*dns)(void *ctx, const struct dns_record *dns);
    void *report_ctx;
};

struct live;

/* Opens the output and the checkpoint. `options` is copied, what it points to is borrowed until
 * live_free. Returns 0; -ENOMEM; or an error that `why` has a sentence for: W_EUSAGE, or whatever
 * out_open, out_resume and checkpoint_read return. */
int live_new(struct live **live, const struct live_options *options, struct why *why);
/* NULL is fine. */
void live_free(struct live **live);

/* Runs until live_stop, or until standard input, as the only source, has ended. Then what is held
 * is decided, written, and a last checkpoint made. Returns 0; W_EUSAGE where the sink keeps JSON
 * and a record is none; -EPIPE; -ENOMEM; another error of the output or the oracle that does not
 * pass. `why` has a sentence for all but -EPIPE and -ENOMEM. After an error a new live goes on from
 * the last checkpoint. */
int live_run(struct live *live, struct why *why);
void live_stop(struct live *live);

const struct join_totals *live_totals(const struct live *live);

/* An index as the oracle of a live join: struct join_index with a view that is refreshed. */
struct live_index {
    struct store_view *view;
    struct join_index index; /* its attributor remembers nothing */
    const char *cluster;
    int64_t settle_us;
    struct owners_store *owners; /* loads what others learn of owners; NULL: nothing */
    int64_t owners_us;           /* monotonic: when it did so; 0 at first */
    int64_t began_us;            /* when it was refreshed first; 0 at first */
};
/* For refresh, rest and settled, with a struct live_index; the oracle is join_ask_index with its
 * `index`. */
int live_index_refresh(void *live_index, int64_t now_us, struct why *why);
void live_index_rest(void *live_index);
bool live_index_settled(void *live_index, const char *cluster, int64_t time_us, int64_t now_us);
