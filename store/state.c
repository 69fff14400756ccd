/* store/state.c -- who was listening when: streams and losses on disk
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/state.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/env.h"
#include "store/owner_rows.h"

#define STATE_FORMAT 1
/* Address space. Owners take up to 512 MiB of it, twice where readers hold on to what was. */
#define STATE_MAP_BYTES (UINT64_C(4) << 30)

enum {
    DB_HEAD,
    DB_STREAMS,
    DB_LOSSES,
    DB_TALLIES,
    DB_OWNERS,
    DB_OWNER_IDS,
    DB_DAYS,
    DB_EXPECTED,
    STATE_DBS
};
/* Made by later versions than the first; an index that has none is read without. */
enum { DB_OPTIONAL = DB_TALLIES };

struct state_head {
    uint32_t format;
    uint32_t byte_order;
    uint32_t expected;
    uint32_t next_stream;
    uint32_t next_loss;
    int64_t alive_us;
};

/* A stream of this process: what is on disk, and what was heard since. */
struct open_stream {
    struct state_stream disk;
    int64_t heard_us;    /* latest time handed over */
    int64_t disorder_us; /* how much earlier than the latest a frame came, at most */
    uint8_t end;         /* asked for; takes effect with the commit */
    bool changed;
    bool counted; /* `tally` has changed */
    struct tally tally;
};

struct state {
    MDB_env *env;
    MDB_dbi db[STATE_DBS];
    bool missing[STATE_DBS]; /* not in an index of an earlier version; only when reading */
    bool writable;
    struct state_head head;
    struct days days;         /* when writing */
    struct expected expected; /* likewise */
    struct open_stream *streams;
    size_t stream_count;
    size_t stream_cap;
    struct state_loss *losses; /* not yet on disk */
    size_t loss_count;
    struct state_loss last_loss; /* the latest on disk that this process wrote; to_us 0: none */
    struct buf owners;           /* rows not yet on disk */
    int64_t forget_us;           /* what ended before goes with the next commit */
};

/* Frames of one sender come a little out of order; what disorders more than this is not waited for.
 */
#define DISORDER_MAX_US (10 * US_PER_S)
/* A disk that stays full must not fill the memory: later losses then widen the last one. */
enum { WAITING_LOSSES_MAX = 64 };
enum { WAITING_OWNERS_BYTES = 16 * 1024 * 1024 };

static int load_head(struct state *state, MDB_txn *txn, const char *path, struct why *why)
{
    MDB_val key = val("head", 4);
    MDB_val value;
    int err = env_err(mdb_get(txn, state->db[DB_HEAD], &key, &value));
    if (err == ENV_NOTFOUND && state->writable) {
        state->head = (struct state_head){
            .format = STATE_FORMAT, .byte_order = 1, .next_stream = 1, .next_loss = 1};
        return 0;
    }
    if (err != 0 || value.mv_size != sizeof(state->head)) {
        return why_set(why, W_EDAMAGED, "%s has no header; move it away to go on without it", path);
    }
    memcpy(&state->head, value.mv_data, sizeof(state->head));
    if (state->head.format != STATE_FORMAT || state->head.byte_order != 1) {
        return why_set(
            why, W_EVERSION,
            "%s has state format %u, this program writes format %u; use a new data directory", path,
            state->head.format, STATE_FORMAT);
    }
    return 0;
}

static int open_tables(struct state *state, const char *path, struct why *why)
{
    static const char *const NAMES[STATE_DBS] = {"head",   "streams",   "losses", "tallies",
                                                 "owners", "owner_ids", "days",   "expected"};
    MDB_txn *txn;
    int err = env_err(mdb_txn_begin(state->env, NULL, state->writable ? 0 : MDB_RDONLY, &txn));
    if (err != 0) {
        return why_set(why, err, "%s: %s", path, err_str(err));
    }
    for (int i = 0; i < STATE_DBS && err == 0; i++) {
        unsigned flags = (i == DB_HEAD ? 0 : MDB_INTEGERKEY) | (state->writable ? MDB_CREATE : 0);
        err = env_err(mdb_dbi_open(txn, NAMES[i], flags, &state->db[i]));
        if (err == ENV_NOTFOUND && i >= DB_OPTIONAL) {
            state->missing[i] = true;
            err = 0;
        }
    }
    if (err != 0) {
        why_set(why, err == ENV_NOTFOUND ? -ENOENT : err, "%s holds no state yet", path);
        err = err == ENV_NOTFOUND ? -ENOENT : err;
    }
    err = err == 0 ? load_head(state, txn, path, why) : err;
    if (err == 0 && state->writable) {
        err = days_load(&state->days, txn, state->db[DB_DAYS]);
        err = err == 0 ? expected_load(&state->expected, txn, state->db[DB_EXPECTED]) : err;
        why_set(err != 0 ? why : NULL, err, "%s: %s", path, err_str(err));
    }
    if (err != 0) {
        mdb_txn_abort(txn);
        return err;
    }
    err = env_err(mdb_txn_commit(txn));
    return err == 0 ? 0 : why_set(why, err, "%s: %s", path, err_str(err));
}

int state_open(struct state **out, const char *path, bool writable, struct why *why)
{
    struct state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return why_set(why, -ENOMEM, "%s: out of memory", path);
    }
    state->writable = writable;
    state->owners.max = WAITING_OWNERS_BYTES;
    int err = env_open(&state->env, path, writable, STATE_MAP_BYTES, STATE_DBS, why);
    err = err == 0 ? open_tables(state, path, why) : err;
    if (err != 0) {
        state_close(&state);
        return err;
    }
    *out = state;
    return 0;
}

void state_close(struct state **out)
{
    struct state *state = *out;
    *out = NULL;
    if (state == NULL) {
        return;
    }
    if (state->env != NULL) {
        mdb_env_close(state->env);
    }
    free(state->streams);
    free(state->losses);
    buf_fini(&state->owners);
    free(state);
}

/* ---- Reading ---- */

void state_copy_fini(struct state_copy *copy)
{
    free(copy->streams);
    free(copy->losses);
    free(copy->days);
    free(copy->expectations);
    *copy = (struct state_copy){0};
}

/* Copies all rows of a table whose rows are `size` octets each. */
static int copy_table(MDB_txn *txn, MDB_dbi db, size_t size, void **rows, size_t *count)
{
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val key, value;
    mdb_stat(txn, db, &stat);
    *count = 0;
    *rows = calloc(stat.ms_entries + 1, size);
    if (*rows == NULL) {
        return -ENOMEM;
    }
    int err = env_err(mdb_cursor_open(txn, db, &cursor));
    if (err != 0) {
        return err;
    }
    while ((err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        if (value.mv_size != size) {
            err = W_EDAMAGED;
            break;
        }
        memcpy((char *)*rows + *count * size, value.mv_data, size);
        ++*count;
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

static int copy_all(struct state *state, MDB_txn *txn, struct state_copy *copy)
{
    MDB_val key = val("head", 4);
    MDB_val value;
    struct state_head head;
    int err = env_err(mdb_get(txn, state->db[DB_HEAD], &key, &value));
    if (err == ENV_NOTFOUND) {
        return 0;
    }
    if (err != 0 || value.mv_size != sizeof(head)) {
        return W_EDAMAGED;
    }
    memcpy(&head, value.mv_data, sizeof(head));
    copy->expected = head.expected;
    copy->alive_us = head.alive_us;
    err = copy_table(txn, state->db[DB_STREAMS], sizeof(*copy->streams), (void **)&copy->streams,
                     &copy->stream_count);
    if (err == 0 && !state->missing[DB_EXPECTED]) {
        err = copy_table(txn, state->db[DB_EXPECTED], sizeof(*copy->expectations),
                         (void **)&copy->expectations, &copy->expectation_count);
    }
    if (err == 0 && !state->missing[DB_DAYS]) {
        err = copy_table(txn, state->db[DB_DAYS], sizeof(*copy->days), (void **)&copy->days,
                         &copy->day_count);
    }
    return err != 0 ? err
                    : copy_table(txn, state->db[DB_LOSSES], sizeof(*copy->losses),
                                 (void **)&copy->losses, &copy->loss_count);
}

int state_read(struct state *state, struct state_copy *copy)
{
    MDB_txn *txn;
    int err = env_err(mdb_txn_begin(state->env, NULL, MDB_RDONLY, &txn));
    if (err != 0) {
        return err;
    }
    uint64_t id = mdb_txn_id(txn);
    if (copy->txn != id) {
        state_copy_fini(copy);
        err = copy_all(state, txn, copy);
        copy->txn = err == 0 ? id : 0;
    }
    mdb_txn_abort(txn);
    return err;
}

int state_read_tally(struct state *state, uint32_t number, struct tally *tally)
{
    MDB_txn *txn;
    MDB_val key = val(&number, sizeof(number));
    MDB_val value;
    *tally = (struct tally){0};
    if (state->missing[DB_TALLIES]) {
        return 0;
    }
    int err = env_err(mdb_txn_begin(state->env, NULL, MDB_RDONLY, &txn));
    if (err != 0) {
        return err;
    }
    err = env_err(mdb_get(txn, state->db[DB_TALLIES], &key, &value));
    if (err == 0 && value.mv_size == sizeof(*tally)) {
        memcpy(tally, value.mv_data, sizeof(*tally));
    } else if (err == 0) {
        err = W_EDAMAGED;
    }
    mdb_txn_abort(txn);
    return err == ENV_NOTFOUND ? 0 : err;
}

int state_owners(struct state *state, uint64_t after, store_owner_fn fn, void *ctx)
{
    MDB_txn *txn;
    if (state->missing[DB_OWNERS]) {
        return 0;
    }
    int err = env_err(mdb_txn_begin(state->env, NULL, MDB_RDONLY, &txn));
    if (err == 0) {
        err = owner_rows_visit(txn, state->db[DB_OWNERS], after, fn, ctx);
        mdb_txn_abort(txn);
    }
    return err;
}

/* ---- Writing ---- */

static struct open_stream *find_stream(struct state *state, uint32_t number)
{
    /* Numbers ascend. */
    size_t low = 0;
    size_t high = state->stream_count;
    while (low < high) {
        size_t at = low + (high - low) / 2;
        if (state->streams[at].disk.number < number) {
            low = at + 1;
        } else {
            high = at;
        }
    }
    bool found = low < state->stream_count && state->streams[low].disk.number == number;
    return found ? &state->streams[low] : NULL;
}

uint32_t state_begin(struct state *state, const struct state_stream *stream)
{
    if (state->stream_count == state->stream_cap) {
        size_t cap = state->stream_cap == 0 ? 16 : state->stream_cap * 2;
        struct open_stream *streams = realloc(state->streams, cap * sizeof(*streams));
        if (streams == NULL) {
            return 0;
        }
        state->streams = streams;
        state->stream_cap = cap;
    }
    struct open_stream *open = &state->streams[state->stream_count++];
    *open = (struct open_stream){.disk = *stream, .heard_us = stream->from_us, .changed = true};
    open->disk.number = state->head.next_stream++;
    open->disk.committed_us = stream->from_us - 1; /* not even the frame it began with */
    return open->disk.number;
}

void state_heard(struct state *state, uint32_t number, int64_t time_us)
{
    struct open_stream *open = find_stream(state, number);
    if (open == NULL) {
        return;
    }
    open->changed = true;
    if (time_us >= open->heard_us) {
        open->heard_us = time_us;
        return;
    }
    int64_t late_us = open->heard_us - time_us;
    if (late_us <= DISORDER_MAX_US && late_us > open->disorder_us) {
        open->disorder_us = late_us;
    }
    /* A sender that kept its frames while we were away resends them: it was listening then. */
    if (time_us < open->disk.from_us) {
        open->disk.from_us = time_us;
    }
}

void state_end(struct state *state, uint32_t number, enum store_stream_end end)
{
    struct open_stream *open = find_stream(state, number);
    if (open != NULL) {
        open->end = (uint8_t)end;
        open->changed = true;
    }
}

void state_covers(struct state *state, uint32_t number, int64_t from_us, int64_t to_us)
{
    struct open_stream *open = find_stream(state, number);
    if (open != NULL) {
        open->disk.from_us = from_us;
        open->heard_us = to_us;
        open->disorder_us = 0;
        open->changed = true;
    }
}

static void widen(struct state_loss *loss, int64_t from_us, int64_t to_us, uint64_t count)
{
    loss->from_us = from_us < loss->from_us ? from_us : loss->from_us;
    loss->to_us = to_us > loss->to_us ? to_us : loss->to_us;
    loss->count += count;
}

void state_loss(struct state *state, const char *cluster, int64_t from_us, int64_t to_us,
                uint64_t count, const char *reason)
{
    struct state_loss *last = state->loss_count > 0 ? &state->losses[state->loss_count - 1] : NULL;
    /* Commits that fail one after the other are one loss. */
    if (last != NULL && strcmp(last->reason, reason) == 0 && strcmp(last->cluster, cluster) == 0) {
        widen(last, from_us, to_us, count);
        return;
    }
    if (state->losses == NULL) {
        state->losses = calloc(WAITING_LOSSES_MAX, sizeof(*state->losses));
    }
    if (state->losses == NULL) {
        return;
    }
    if (state->loss_count == WAITING_LOSSES_MAX) {
        widen(last, from_us, to_us, count);
        return;
    }
    struct state_loss *loss = &state->losses[state->loss_count++];
    *loss = (struct state_loss){.from_us = from_us, .to_us = to_us, .count = count};
    snprintf(loss->cluster, sizeof(loss->cluster), "%s", cluster);
    snprintf(loss->reason, sizeof(loss->reason), "%s", reason);
}

void state_expect(struct state *state, uint32_t expected)
{
    state->head.expected = expected;
}

int state_owner(struct state *state, const struct store_owner *owner)
{
    return owner_rows_add(&state->owners, owner);
}

bool state_full(const struct state *state)
{
    return state->owners.len > WAITING_OWNERS_BYTES / 2;
}

void state_forget(struct state *state, int64_t before_us)
{
    state->forget_us = before_us;
}

static int put_stream(struct state *state, MDB_txn *txn, const struct state_stream *stream)
{
    MDB_val key = val(&stream->number, sizeof(stream->number));
    MDB_val value = val(stream, sizeof(*stream));
    return env_err(mdb_put(txn, state->db[DB_STREAMS], &key, &value, 0));
}

void state_tally(struct state *state, uint32_t number, const struct tally *tally)
{
    struct open_stream *open = find_stream(state, number);
    if (open != NULL) {
        tally_add(&open->tally, tally);
        open->counted = true;
    }
}

static int put_tallies(struct state *state, MDB_txn *txn)
{
    int err = 0;
    for (size_t i = 0; i < state->stream_count && err == 0; i++) {
        struct open_stream *open = &state->streams[i];
        if (open->counted) {
            MDB_val key = val(&open->disk.number, sizeof(open->disk.number));
            MDB_val value = val(&open->tally, sizeof(open->tally));
            err = env_err(mdb_put(txn, state->db[DB_TALLIES], &key, &value, 0));
        }
    }
    return err;
}

static int put_streams(struct state *state, MDB_txn *txn, bool windows_ok)
{
    int err = 0;
    for (size_t i = 0; i < state->stream_count && err == 0; i++) {
        struct open_stream *open = &state->streams[i];
        if (!open->changed) {
            continue;
        }
        struct state_stream disk = open->disk;
        int64_t sure_us = open->heard_us - open->disorder_us;
        if (windows_ok && sure_us > disk.committed_us) {
            disk.committed_us = sure_us;
        }
        disk.end = open->end;
        err = put_stream(state, txn, &disk);
    }
    return err;
}

static bool is_one_loss(const struct state_loss *a, const struct state_loss *b)
{
    return strcmp(a->reason, b->reason) == 0 && strcmp(a->cluster, b->cluster) == 0 &&
           b->from_us <= a->to_us + STATE_LOSS_APART_US && b->to_us >= a->from_us;
}

/* Joins the first waiting loss to the last row where they are one; its number is then used again.
 */
static void join_losses(struct state *state)
{
    struct state_loss *last = &state->last_loss;
    if (state->loss_count > 0 && last->to_us != 0 && is_one_loss(last, &state->losses[0])) {
        widen(&state->losses[0], last->from_us, last->to_us, last->count);
        state->head.next_loss--;
        last->to_us = 0;
    }
}

static int put_losses(struct state *state, MDB_txn *txn)
{
    int err = 0;
    join_losses(state);
    for (size_t i = 0; i < state->loss_count && err == 0; i++) {
        uint32_t number = state->head.next_loss + (uint32_t)i;
        MDB_val key = val(&number, sizeof(number));
        MDB_val value = val(&state->losses[i], sizeof(state->losses[i]));
        err = env_err(mdb_put(txn, state->db[DB_LOSSES], &key, &value, 0));
    }
    return err;
}

/* Deletes rows from the oldest on while they ended before the time or are too many. */
static int forget_rows(MDB_txn *txn, MDB_dbi db, size_t max, int64_t before_us, size_t size,
                       int64_t (*ended_us)(const void *))
{
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val key, value;
    mdb_stat(txn, db, &stat);
    size_t count = stat.ms_entries;
    int err = env_err(mdb_cursor_open(txn, db, &cursor));
    if (err != 0) {
        return err;
    }
    while (err == 0 && (err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        if (value.mv_size != size) {
            err = W_EDAMAGED;
            break;
        }
        int64_t end_us = ended_us(value.mv_data);
        if (end_us < before_us || (count > max && end_us != INT64_MAX)) {
            err = env_err(mdb_cursor_del(cursor, 0));
            count--;
        }
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

static int64_t stream_ended_us(const void *row)
{
    struct state_stream stream;
    memcpy(&stream, row, sizeof(stream));
    return stream.end == STREAM_OPEN ? INT64_MAX : stream.committed_us;
}

static int64_t loss_ended_us(const void *row)
{
    struct state_loss loss;
    memcpy(&loss, row, sizeof(loss));
    return loss.to_us;
}

/* Deletes the tallies of streams that are gone. */
static int forget_tallies(struct state *state, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value, stream;
    int err = env_err(mdb_cursor_open(txn, state->db[DB_TALLIES], &cursor));
    if (err != 0) {
        return err;
    }
    while (err == 0 && (err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        err = env_err(mdb_get(txn, state->db[DB_STREAMS], &key, &stream));
        if (err == ENV_NOTFOUND) {
            err = env_err(mdb_cursor_del(cursor, 0));
        }
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

static int forget_old(struct state *state, MDB_txn *txn)
{
    int err = forget_rows(txn, state->db[DB_STREAMS], STATE_STREAMS_MAX, state->forget_us,
                          sizeof(struct state_stream), stream_ended_us);
    err = err != 0 ? err : forget_tallies(state, txn);
    return err != 0 ? err
                    : forget_rows(txn, state->db[DB_LOSSES], STATE_LOSSES_MAX, state->forget_us,
                                  sizeof(struct state_loss), loss_ended_us);
}

void state_day(struct state *state, int64_t start_us, bool dropped)
{
    days_mark(&state->days, start_us, dropped);
}

void state_expect_from(struct state *state, const char *cluster, int64_t from_us, uint32_t senders)
{
    expected_add(&state->expected, cluster, from_us, senders);
}

bool state_expects_day(const struct state *state, int64_t start_us)
{
    return days_expected(&state->days, start_us);
}

static int put_owners(struct state *state, MDB_txn *txn, int64_t alive_us)
{
    const struct owner_tables tables = {
        .head = state->db[DB_HEAD],
        .rows = state->db[DB_OWNERS],
        .ids = state->db[DB_OWNER_IDS],
        .rows_max = OWNER_ROWS_MAX,
        .bytes_max = OWNER_ROWS_BYTES_MAX,
    };
    int err = state->owners.len > 0 ? owner_rows_put(txn, &tables, &state->owners, alive_us) : 0;
    return err == 0 && state->forget_us != 0 ? owner_rows_forget(txn, &tables, state->forget_us)
                                             : err;
}

/* Peers that come and go with ever new identities must not fill the table between two rounds of
 * retention: whoever reads the state reads all of it. */
static bool too_many_streams(const struct state *state, MDB_txn *txn)
{
    MDB_stat stat;
    mdb_stat(txn, state->db[DB_STREAMS], &stat);
    return stat.ms_entries > STATE_STREAMS_MAX + STATE_STREAMS_MAX / 4;
}

static int put_head(struct state *state, MDB_txn *txn, int64_t alive_us)
{
    struct state_head head;
    memset(&head, 0, sizeof(head)); /* the padding too: it is written to disk */
    head.format = state->head.format;
    head.byte_order = state->head.byte_order;
    head.expected = state->head.expected;
    head.next_stream = state->head.next_stream;
    head.next_loss = state->head.next_loss + (uint32_t)state->loss_count;
    head.alive_us = alive_us;
    MDB_val key = val("head", 4);
    MDB_val value = val(&head, sizeof(head));
    return env_err(mdb_put(txn, state->db[DB_HEAD], &key, &value, 0));
}

/* What the commit made durable becomes what is on disk; streams that ended leave the list. */
static void settle(struct state *state, bool windows_ok)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->stream_count; i++) {
        struct open_stream *open = &state->streams[i];
        int64_t sure_us = open->heard_us - open->disorder_us;
        if (windows_ok && sure_us > open->disk.committed_us) {
            open->disk.committed_us = sure_us;
        }
        open->changed = false;
        open->counted = false;
        if (open->end == STREAM_OPEN) {
            state->streams[kept++] = *open;
        }
    }
    state->stream_count = kept;
    state->head.next_loss += (uint32_t)state->loss_count;
    if (state->loss_count > 0) {
        state->last_loss = state->losses[state->loss_count - 1];
    }
    state->loss_count = 0;
    buf_reset(&state->owners);
    days_settle(&state->days);
    state->expected.changed = false;
    state->forget_us = 0;
}

int state_commit(struct state *state, int64_t alive_us, bool windows_ok)
{
    MDB_txn *txn;
    int err = env_err(mdb_txn_begin(state->env, NULL, 0, &txn));
    if (err != 0) {
        return err;
    }
    err = put_streams(state, txn, windows_ok);
    err = err == 0 ? put_tallies(state, txn) : err;
    err = err == 0 ? put_losses(state, txn) : err;
    err = err == 0 ? put_owners(state, txn, alive_us) : err;
    err = err == 0 ? days_put(&state->days, txn, state->db[DB_DAYS]) : err;
    err = err == 0 ? expected_put(&state->expected, txn, state->db[DB_EXPECTED]) : err;
    bool forget = err == 0 && (state->forget_us != 0 || too_many_streams(state, txn));
    err = forget ? forget_old(state, txn) : err;
    err = err == 0 ? put_head(state, txn, alive_us) : err;
    if (err != 0) {
        mdb_txn_abort(txn);
        return err;
    }
    err = env_err(mdb_txn_commit(txn));
    if (err == 0) {
        state->head.alive_us = alive_us;
        settle(state, windows_ok);
    }
    return err;
}

static int cut_rows(struct state *state, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = env_err(mdb_cursor_open(txn, state->db[DB_STREAMS], &cursor));
    if (err != 0) {
        return err;
    }
    while ((err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        struct state_stream stream;
        if (value.mv_size != sizeof(stream)) {
            err = W_EDAMAGED;
            break;
        }
        memcpy(&stream, value.mv_data, sizeof(stream));
        if (stream.end == STREAM_OPEN) {
            stream.end = STREAM_CUT;
            value = val(&stream, sizeof(stream));
            err = env_err(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT));
        }
        if (err != 0) {
            break;
        }
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

int state_cut_open(struct state *state)
{
    MDB_txn *txn;
    int err = env_err(mdb_txn_begin(state->env, NULL, 0, &txn));
    if (err != 0) {
        return err;
    }
    err = cut_rows(state, txn);
    /* The head too: a reader of a new index finds one from the first moment on. */
    err = err == 0 ? put_head(state, txn, state->head.alive_us) : err;
    if (err != 0) {
        mdb_txn_abort(txn);
        return err;
    }
    return env_err(mdb_txn_commit(txn));
}
