/* store/commit.c -- writing what waits: merging answers into rows, in key order
 * SPDX-License-Identifier: Apache-2.0
 *
 * Answers wait in memory as (client, set, time, TTL) and are merged into their rows only here:
 * sorted by key, each row is read and written once a commit, and neighbours share their page while
 * it is hot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "store/env.h"
#include "store/internal.h"

/* A disk with less than this left counts as full. */
#define FULL_BYTES (UINT64_C(64) << 10)

/* ---- Sorting ---- */

enum { RADIX_BITS = 11, RADIX_SIZE = 1 << RADIX_BITS };

/* One stable pass over the bits from `shift` on. */
static void radix_pass(const struct pending *in, struct pending *out, size_t count, unsigned shift)
{
    size_t start[RADIX_SIZE] = {0};
    for (size_t i = 0; i < count; i++) {
        start[in[i].key >> shift & (RADIX_SIZE - 1)]++;
    }
    size_t sum = 0;
    for (size_t digit = 0; digit < RADIX_SIZE; digit++) {
        size_t of_digit = start[digit];
        start[digit] = sum;
        sum += of_digit;
    }
    for (size_t i = 0; i < count; i++) {
        out[start[in[i].key >> shift & (RADIX_SIZE - 1)]++] = in[i];
    }
}

/* Sorts by key; equal keys keep the order they came in, which is nearly that of time. Passes whose
 * digit is the same everywhere (high bits of small ids) are left out. */
static void sort_pending(struct writing *writing)
{
    uint64_t any = 0;
    uint64_t all = ~UINT64_C(0);
    for (size_t i = 0; i < writing->pending_count; i++) {
        any |= writing->pending[i].key;
        all &= writing->pending[i].key;
    }
    for (unsigned shift = 0; shift < 64; shift += RADIX_BITS) {
        if (((any ^ all) >> shift & (RADIX_SIZE - 1)) == 0) {
            continue;
        }
        radix_pass(writing->pending, writing->sorted, writing->pending_count, shift);
        struct pending *swap = writing->pending;
        writing->pending = writing->sorted;
        writing->sorted = swap;
    }
}

static int compare_pairs(const void *a, const void *b)
{
    const struct new_pair *x = a;
    const struct new_pair *y = b;
    if (x->set != y->set) {
        return x->set < y->set ? -1 : 1;
    }
    return x->client < y->client ? -1 : x->client > y->client;
}

/* ---- Rows ---- */

static int put_row(MDB_cursor *rows, uint64_t key, const struct runs *runs, int64_t start_us,
                   unsigned flags)
{
    uint8_t bytes[RUN_CHUNK_MAX + 2 * RUN_BYTES_MAX];
    MDB_val k = val(&key, sizeof(key));
    MDB_val v = val(bytes, runs_encode(runs, bytes, start_us));
    return env_err(mdb_cursor_put(rows, &k, &v, flags));
}

/* Octets that the runs take at most: a bound that is cheaper than encoding. */
static size_t octets_at_most(const struct runs *runs)
{
    size_t octets = 1;
    for (uint16_t i = 0; i < runs->count; i++) {
        octets += 22 + (size_t)runs->run[i].time_count * 4;
    }
    return octets;
}

/* True if one more run might not fit the chunk. */
static bool is_full(const struct runs *runs)
{
    return runs->count == RUNS_MAX || octets_at_most(runs) > RUN_CHUNK_MAX - RUN_BYTES_MAX;
}

/* Moves all runs of a full chunk 0 but the last, which may still be extended, to a chunk of their
 * own. Runs are more than a minute apart, so a day has fewer than 255 chunks; were there more, the
 * 255th would be overwritten. */
static int roll_chunk(MDB_cursor *rows, uint64_t key, struct runs *runs, int64_t start_us)
{
    uint8_t number = (uint8_t)(runs->older_chunks + (runs->older_chunks < UINT8_MAX));
    uint16_t last = (uint16_t)(runs->count - 1);
    runs->count = last;
    runs->older_chunks = 0;
    int err = put_row(rows, key | number, runs, start_us, 0);
    runs->run[0] = runs->run[last];
    runs->count = 1;
    runs->older_chunks = number;
    return err;
}

/* Reads the row of `key` into the scratch runs; `*flags` tells how to write it back. */
static int load_row(MDB_cursor *rows, uint64_t key, struct runs *runs, int64_t start_us,
                    bool *is_new, unsigned *flags)
{
    MDB_val k = val(&key, sizeof(key));
    MDB_val v;
    int err = env_err(mdb_cursor_get(rows, &k, &v, MDB_SET_RANGE));
    runs->count = 0;
    runs->older_chunks = 0;
    *flags = err == ENV_NOTFOUND ? MDB_APPEND : 0;
    uint64_t found = 0;
    if (err == 0) {
        memcpy(&found, k.mv_data, sizeof(found));
    }
    *is_new = err == ENV_NOTFOUND || found != key;
    if (!*is_new) {
        return runs_decode(runs, v.mv_data, v.mv_size, start_us);
    }
    return err == ENV_NOTFOUND ? 0 : err;
}

/* Adds `sign` times what the runs hold to the window's totals. */
static void tally(struct window_totals *totals, const struct runs *runs, int sign)
{
    totals->sightings += (uint64_t)(sign * (int64_t)runs->count);
    for (uint16_t i = 0; i < runs->count; i++) {
        totals->answers += (uint64_t)(sign * (int64_t)runs->run[i].count);
        totals->times += (uint64_t)(sign * (int64_t)runs->run[i].time_count);
    }
}

/* Adds an answer that came earlier than all of chunk 0 to the older chunk where it belongs: loaded
 * again, it must be found there. Returns 1 if that chunk has no room, so that it goes to chunk 0
 * after all. */
static int add_to_older(struct store *store, struct writing *writing, MDB_cursor *rows,
                        const struct pending *answer, uint64_t key)
{
    struct runs *older = store->older;
    int64_t start_us = writing->window->start_us;
    for (uint8_t number = store->runs->older_chunks; number > 0; number--) {
        uint64_t chunk_key = key | number;
        MDB_val k = val(&chunk_key, sizeof(chunk_key));
        MDB_val v;
        int err = env_err(mdb_cursor_get(rows, &k, &v, MDB_SET));
        err = err == 0 ? runs_decode(older, v.mv_data, v.mv_size, start_us) : err;
        if (err != 0 || older->count == 0) {
            return err < 0 ? err : W_EDAMAGED;
        }
        if (number > 1 && answer->time_us < older->run[0].first_us) {
            continue;
        }
        if (older->count == RUNS_MAX || octets_at_most(older) > RUN_CHUNK_MAX) {
            return 1;
        }
        tally(&writing->totals, older, -1);
        runs_add(older, answer->time_us, answer->ttl_s);
        tally(&writing->totals, older, 1);
        return put_row(rows, chunk_key, older, start_us, 0);
    }
    return 1;
}

/* Adds one answer to the row whose chunk 0 is in store->runs. */
static int add_answer(struct store *store, struct writing *writing, MDB_cursor *rows,
                      const struct pending *answer, uint64_t key)
{
    struct runs *runs = store->runs;
    if (runs->older_chunks > 0 && answer->time_us < runs->run[0].first_us) {
        int err = add_to_older(store, writing, rows, answer, key);
        if (err != 1) {
            return err;
        }
    }
    if (is_full(runs)) {
        tally(&writing->totals, runs, 1);
        int err = roll_chunk(rows, key, runs, writing->window->start_us);
        tally(&writing->totals, runs, -1);
        if (err != 0) {
            return err;
        }
    }
    runs_add(runs, answer->time_us, answer->ttl_s);
    return 0;
}

/* Merges the answers of one (client, set), pending[from] to pending[to - 1], into its row. */
static int merge_row(struct store *store, struct writing *writing, MDB_cursor *rows, size_t from,
                     size_t to)
{
    const struct pending *pending = writing->pending;
    uint32_t client = (uint32_t)(pending[from].key >> 32);
    uint32_t set = (uint32_t)pending[from].key;
    uint64_t key = row_key(client, set, 0);
    int64_t start_us = writing->window->start_us;
    struct runs *runs = store->runs;
    bool is_new;
    unsigned flags;
    int err = load_row(rows, key, runs, start_us, &is_new, &flags);
    uint8_t older_chunks = runs->older_chunks;
    tally(&writing->totals, runs, -1);
    for (size_t i = from; i < to && err == 0; i++) {
        err = add_answer(store, writing, rows, &pending[i], key);
    }
    if (err != 0) {
        return err;
    }
    tally(&writing->totals, runs, 1);
    flags = runs->older_chunks == older_chunks ? flags : 0; /* no longer the last key */
    if (is_new) {
        writing->pairs[writing->pair_count++] = (struct new_pair){set, client};
    }
    return put_row(rows, key, runs, start_us, flags);
}

static void widen_span(struct writing *writing, size_t from, size_t to)
{
    struct window_totals *totals = &writing->totals;
    for (size_t i = from; i < to; i++) {
        int64_t time_us = writing->pending[i].time_us;
        totals->first_us =
            totals->first_us == 0 || time_us < totals->first_us ? time_us : totals->first_us;
        totals->last_us = time_us > totals->last_us ? time_us : totals->last_us;
    }
}

static int append_pairs(struct writing *writing)
{
    int err = 0;
    uint32_t clients[POSTING_CHUNK];
    qsort(writing->pairs, writing->pair_count, sizeof(*writing->pairs), compare_pairs);
    for (size_t i = 0; i < writing->pair_count && err == 0;) {
        uint8_t key[SET_CLIENTS_KEY_LEN];
        uint32_t set = writing->pairs[i].set;
        size_t count = 0;
        while (i < writing->pair_count && writing->pairs[i].set == set && count < POSTING_CHUNK) {
            clients[count++] = writing->pairs[i++].client;
        }
        id_sets_key(key, set);
        err = posting_append(writing->window, writing->txn, DB_SET_CLIENTS, key, sizeof(key),
                             clients, count);
    }
    writing->pair_count = 0;
    return err;
}

/* ---- Who asked ---- */

static int merge_minutes(struct writing *writing, uint32_t client, uint8_t hour, uint64_t minutes,
                         bool capped)
{
    struct client_row row;
    MDB_val value;
    int err =
        window_get(writing->window, writing->txn, DB_CLIENT_IDS, &client, sizeof(client), &value);
    if (err != 0 || value.mv_size != sizeof(row)) {
        return err < 0 ? err : W_EDAMAGED;
    }
    memcpy(&row, value.mv_data, sizeof(row));
    struct client_row before = row;
    for (unsigned minute = 0; minute < 60; minute++) {
        unsigned bit = hour * 60u + minute;
        row.minutes[bit / 8] |= (uint8_t)((minutes >> minute & 1) << bit % 8);
    }
    row.capped_hours[hour / 8] |= (uint8_t)(capped << hour % 8);
    if (memcmp(&before, &row, sizeof(row)) == 0) {
        return 0;
    }
    return window_put(writing->window, writing->txn, DB_CLIENT_IDS, &client, sizeof(client), &row,
                      sizeof(row), 0);
}

static int write_minutes(struct writing *writing)
{
    int err = 0;
    for (size_t i = 0; i < writing->minutes_count && err == 0; i++) {
        const struct asked_minutes *over = &writing->minutes[i];
        err = merge_minutes(writing, over->client, over->hour, over->minutes, over->capped);
    }
    writing->minutes_count = 0;
    for (uint32_t i = 0; i < writing->clients.size && writing->asked && err == 0; i++) {
        struct client *client = &writing->clients.slots[i];
        if (client->id != 0 && client->minutes != 0) {
            err = merge_minutes(writing, client->id, client->hour, client->minutes, client->capped);
            client->minutes = 0;
        }
    }
    writing->asked = false;
    return err;
}

/* ---- Committing ---- */

/* How many rows one transaction may touch so that the pages it changes keep within their share of
 * the memory. Waiting rows are sorted and lie about evenly over the table, so merging a part of
 * them changes that part of its leaf pages, at most one a row, and those that new rows fill. */
static size_t rows_per_txn(const struct store *store, const struct writing *writing)
{
    enum { PAGE = 4096, ROWS_A_PAGE = 50, PAGES_MIN = 64 };
    MDB_stat stat;
    uint64_t pages = PAGES_MIN + store->memory_bytes / 4 / PAGE;
    uint64_t waiting = writing->pending_count + 1;
    mdb_stat(writing->txn, writing->window->db[DB_ROWS], &stat);
    uint64_t touched = stat.ms_leaf_pages < waiting ? stat.ms_leaf_pages : waiting;
    return pages * waiting / (touched + waiting / ROWS_A_PAGE + 1);
}

static int commit_txn(struct writing *writing)
{
    int err = window_put(writing->window, writing->txn, DB_META, "totals", 6, &writing->totals,
                         sizeof(writing->totals), 0);
    if (err != 0) {
        return err;
    }
    err = env_err(mdb_txn_commit(writing->txn));
    writing->txn = NULL;
    return err;
}

/* Merges pending rows from `*at` on, as many as one transaction may. */
static int merge_some(struct store *store, struct writing *writing, size_t *at)
{
    MDB_cursor *rows;
    size_t left = rows_per_txn(store, writing);
    int err = env_err(mdb_cursor_open(writing->txn, writing->window->db[DB_ROWS], &rows));
    if (err != 0) {
        return err;
    }
    while (*at < writing->pending_count && left-- > 0 && err == 0) {
        size_t from = *at;
        while (*at < writing->pending_count &&
               writing->pending[*at].key == writing->pending[from].key) {
            ++*at;
        }
        err = merge_row(store, writing, rows, from, *at);
        widen_span(writing, from, *at);
    }
    mdb_cursor_close(rows);
    return err == 0 ? append_pairs(writing) : err;
}

/* Writes and commits; `*kept` answers are in the window whatever the result. */
static int write_all(struct store *store, struct writing *writing, size_t *kept)
{
    int err = writing_txn(writing);
    err = err == 0 ? write_minutes(writing) : err;
    sort_pending(writing);
    *kept = 0;
    for (size_t at = 0; err == 0;) {
        err = merge_some(store, writing, &at);
        err = err == 0 ? commit_txn(writing) : err;
        *kept = err == 0 ? at : *kept;
        if (at >= writing->pending_count) {
            break;
        }
        err = err == 0 ? writing_txn(writing) : err;
    }
    return err;
}

/* A write that is cut short is EIO to LMDB; mostly the disk is full. */
static const char *loss_reason(const struct store *store, int err)
{
    struct statvfs fs;
    if (err == W_ELIMIT) {
        return "too-many-clients";
    }
    bool full = err == -ENOSPC || err == -EFBIG || err == -EDQUOT;
    if (err == -EIO && statvfs(store->dir, &fs) == 0) {
        full = (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
    }
    return full ? "disk-full" : "write-failed";
}

void lose(struct store *store, int64_t from_us, int64_t to_us, uint64_t answers, int err)
{
    state_loss(store->state, "", from_us, to_us, answers, loss_reason(store, err));
    atomic_fetch_add_explicit(&store->counters.lost, answers, memory_order_relaxed);
}

int writing_commit(struct store *store, struct writing *writing)
{
    uint64_t sightings = writing->totals.sightings;
    uint64_t answers = writing->totals.answers;
    size_t kept;
    if (writing->txn == NULL) {
        return 0;
    }
    int err = write_all(store, writing, &kept);
    if (err == 0) {
        writing->pending_count = 0;
        writing->first_us = 0;
        writing->last_us = 0;
        atomic_fetch_add_explicit(&store->counters.sightings, writing->totals.sightings - sightings,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&store->counters.answers, writing->totals.answers - answers,
                                  memory_order_relaxed);
        return 0;
    }
    if (writing->first_us != 0) {
        lose(store, writing->first_us, writing->last_us, writing->pending_count - kept, err);
    }
    /* Ids handed out in the aborted transaction are in the tables: start afresh from the file. */
    writing_close(writing);
    return err;
}

static void count_commit(struct store *store, int64_t took_us, bool failed)
{
    atomic_fetch_add_explicit(&store->counters.commits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->counters.commit_failures, failed, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->counters.commit_us_sum, (uint64_t)took_us,
                              memory_order_relaxed);
    if ((uint64_t)took_us >
        atomic_load_explicit(&store->counters.commit_us_max, memory_order_relaxed)) {
        atomic_store_explicit(&store->counters.commit_us_max, (uint64_t)took_us,
                              memory_order_relaxed);
    }
}

int store_commit(struct store *store, int64_t alive_us, struct why *why)
{
    int64_t begin_us = clock_monotonic_us();
    int failed = 0;
    for (size_t i = 0; i < WRITING_MAX; i++) {
        struct window *window = store->writing[i].window;
        int err = window != NULL ? writing_commit(store, &store->writing[i]) : 0;
        failed = err != 0 ? err : failed;
        if (window != NULL && err == 0) {
            state_day(store->state, window->start_us, false);
        }
    }
    /* A loss covers its span whichever window failed, so the streams may move on. */
    int err = state_commit(store->state, alive_us, true);
    err = failed != 0 ? failed : err;
    store->window_err = 0;
    count_commit(store, clock_monotonic_us() - begin_us, err != 0);
    return err == 0 ? 0 : why_set(why, err, "%s: cannot commit: %s", store->dir, err_str(err));
}
