/* store/state.h -- who was listening when: streams, losses, and what follows from them
 * SPDX-License-Identifier: Apache-2.0
 *
 * The state environment DIR/state.mdb: small, always synced, committed after the windows. It keeps
 * streams (one connection or capture each, with the time up to which its frames are committed and a
 * tally of them) and losses. Blind intervals are not stored but follow from these, so they cannot
 * contradict them:
 *
 *   - a span that no stream of the cluster covers ("no-sender"); partial ones cover nothing;
 *   - after a stream that was cut, until a later one of the same identity is heard, at most an hour
 *     (after which it is no longer expected) ("cut"); where the number of senders is known, only if
 *     another connection of the sender goes on: else the number tells, whoever takes its place;
 *   - fewer senders than expected, where a number is set, or known at that time
 *     ("too-few-senders");
 *   - a loss ("disk-full", "unusable-frames", ...);
 *   - a day whose window is gone ("dropped" by age, "missing" otherwise).
 *
 * Threads: a struct state may be read by many (state_read copies); the writer thread alone changes
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/days.h"
#include "store/expected.h"
#include "store/store.h"

struct state;

/* How long a sender that was cut stays expected (DESIGN section 2). */
#define STATE_EXPECTED_US (INT64_C(3600) * 1000000)
/* Streams and losses kept; beyond, the oldest that ended go, and with them what they covered. */
#define STATE_STREAMS_MAX 2000
#define STATE_LOSSES_MAX 2000
/* Losses of one kind no further apart than this are one row: a disk that stays full for hours fails
 * every commit. */
#define STATE_LOSS_APART_US (INT64_C(60) * 1000000)

struct state_stream {
    uint32_t number;
    uint8_t kind; /* enum store_stream_kind */
    uint8_t end;  /* enum store_stream_end */
    int64_t from_us;
    int64_t committed_us;
    char cluster[STORE_CLUSTER_MAX + 1];
    char identity[STORE_IDENTITY_MAX + 1];
    char version[STORE_IDENTITY_MAX + 1];
    char peer[STORE_IDENTITY_MAX + 1];
};

struct state_loss {
    int64_t from_us;
    int64_t to_us;
    uint64_t count;
    char cluster[STORE_CLUSTER_MAX + 1];
    char reason[24];
};

/* Everything in the state, as of one commit. */
struct state_copy {
    struct state_stream *streams; /* by number */
    size_t stream_count;
    struct state_loss *losses; /* by time of writing */
    size_t loss_count;
    struct day_row *days; /* by time */
    size_t day_count;
    struct expected_row *expectations; /* by time */
    size_t expectation_count;
    uint32_t expected;
    int64_t alive_us;
    uint64_t txn; /* changes with every commit */
};

int state_open(struct state **state, const char *path, bool writable, struct why *why);
void state_close(struct state **state);

/* Copies the state if it changed since `copy->txn`; a zeroed copy is always filled. Any thread. */
int state_read(struct state *state, struct state_copy *copy);
void state_copy_fini(struct state_copy *copy);
/* The tally of a stream, all zero if there is none. 0 or a negative error. Any thread. */
int state_read_tally(struct state *state, uint32_t number, struct tally *tally);
/* As store_owners. Any thread. */
int state_owners(struct state *state, uint64_t after, store_owner_fn fn, void *ctx);

/* ---- Writer thread ---- */

/* Marks as cut every stream that a dead writer left open. Durable at once. */
int state_cut_open(struct state *state);
uint32_t state_begin(struct state *state, const struct state_stream *stream);
void state_heard(struct state *state, uint32_t number, int64_t time_us);
/* Adds to what the stream is known to have sent. */
void state_tally(struct state *state, uint32_t number, const struct tally *tally);
void state_end(struct state *state, uint32_t number, enum store_stream_end end);
void state_covers(struct state *state, uint32_t number, int64_t from_us, int64_t to_us);
void state_loss(struct state *state, const char *cluster, int64_t from_us, int64_t to_us,
                uint64_t count, const char *reason);
/* Something of that day is committed with the next state_commit, or its window was dropped. */
void state_day(struct state *state, int64_t start_us, bool dropped);
/* Was something of that day committed that was not dropped by age? */
bool state_expects_day(const struct state *state, int64_t start_us);
void state_expect(struct state *state, uint32_t expected);
void state_expect_from(struct state *state, const char *cluster, int64_t from_us, uint32_t senders);
/* As store_owner. */
int state_owner(struct state *state, const struct store_owner *owner);
/* Do so many owners wait that a commit is due? */
bool state_full(const struct state *state);
/* Writes what changed. `windows_ok`: everything heard so far is in the windows; else the streams
 * stay committed to where they were. On failure the changes wait for the next call. */
int state_commit(struct state *state, int64_t alive_us, bool windows_ok);
/* Forgets streams, losses and owners that ended before the time. */
void state_forget(struct state *state, int64_t before_us);
