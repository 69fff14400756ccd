/* join/join.h -- flow records in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 *
 * Batches go through these steps: cut (reader), parsed, repeats sorted out, asked, given out
 * (sink). Only the repeats look from one record to another, so each worker takes a batch of its own
 * through all of them; reading, sorting out and writing are done in the order of the batches.
 *
 * Threads: a run belongs to the thread that calls it, which is the first worker; there is one
 * thread more for each further oracle while join_input runs. Callbacks come from any of them, one
 * at a time; an oracle is asked by one worker only.
 */
#pragma once

#include "join/attribute.h"
#include "join/format.h"
#include "join/sink.h"
#include "join/source.h"

/* Where questions are answered. `ask` calls `answered` once for each of `count` questions, in
 * order, with an attribution that lives until it returns. Returns 0; a negative error with a reason
 * in `why`; or what `answered` returned if that was not 0. */
typedef int (*join_answered_fn)(void *ctx, size_t number, const struct attribution *attribution);
struct join_oracle {
    int (*ask)(void *oracle, const struct question *questions, size_t count,
               join_answered_fn answered, void *ctx, struct why *why);
    void *oracle;
};

/* What is asked about a flow that can be joined. */
struct question join_question(const char *cluster, const struct flow *flow);

/* Where the result goes: writes all of it, returns 0 or a negative error. */
typedef int (*join_write_fn)(void *ctx, const char *bytes, size_t len);

#define JOIN_WORKERS_MAX 64

struct join_totals {
    uint64_t flows; /* given out */
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t skipped[SKIP_COUNT];
    uint64_t bad;    /* records that could not be read, and flows with a field that is nonsense */
    uint64_t inputs; /* that could be opened */
    uint64_t bad_inputs;
    uint64_t bytes;       /* read from disk */
    int64_t last_flow_us; /* the latest time of a flow; 0: none */
};

struct join_options {
    const char *cluster;         /* asked in, and named where a record names none */
    const struct format *format; /* NULL: by content */
    const struct sink_kind *sink;
    struct sink_options sink_options;
    struct parser_options parser_options;
    const struct join_oracle *oracles; /* one for each worker; borrowed */
    size_t workers;                    /* 1 to JOIN_WORKERS_MAX */
    join_write_fn write;
    void *write_ctx;
    /* What time it is, to tell records of the future by; may be NULL: there are none. */
    int64_t (*now_us)(void);
    /* Says one sentence about bad input; may be NULL. */
    void (*warn)(void *ctx, const char *text);
    /* Called after each batch; may be NULL. */
    void (*progress)(void *ctx, const struct join_totals *totals);
    /* Called for each DNS response among the records, in their order; may be NULL. */
    void (*dns)(void *ctx, const struct dns_record *dns);
    void *report_ctx; /* of warn, progress and dns */
};

struct join;

/* `options` is copied, what it points to is borrowed until join_free. Returns 0 or -ENOMEM. */
int join_new(struct join **join, const struct join_options *options);
void join_free(struct join **join);

/* Reads one input to its end (a path as in struct source_list). Bad input is warned of, counted,
 * and no error. Returns 0; W_EUSAGE where the sink keeps JSON and the input is not; the error of
 * the oracle or of `write`; -ENOMEM. `why` has a sentence for all but -ENOMEM and `write`. */
int join_input(struct join *join, const char *path, struct why *why);

/* The same for an input that is open, which belongs to the join from then on, batch by batch in the
 * calling thread, with the first oracle. `otherwise` as for reader_new. An input that is none is
 * counted like the bad input it is, and has no batches. Returns 0, the error of `write`, -ENOMEM.
 */
int join_open(struct join *join, struct input *input, const struct format *otherwise);
/* Takes the next batch through. Returns 1; 0 when there was none, which ends the input; or what
 * join_input returns, after which only join_free may follow. */
int join_step(struct join *join, struct why *why);

/* The cluster of the inputs that follow; NULL or "": that of the options. Borrowed. */
void join_set_cluster(struct join *join, const char *cluster);

const struct join_totals *join_totals(const struct join *join);

/* An oracle that asks an index. `now_us` is what is recent; the view is the attributor's. */
struct join_index {
    struct attributor *attributor;
    int64_t now_us;
};
int join_ask_index(void *index, const struct question *questions, size_t count,
                   join_answered_fn answered, void *ctx, struct why *why);
