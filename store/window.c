/* store/window.c -- one day of the index: its tables and how to read and add to them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "store/env.h"

static const struct {
    const char *name;
    unsigned flags;
} TABLES[DB_COUNT] = {
    [DB_META] = {"meta", 0},
    [DB_NAMES] = {"names", 0},
    [DB_NAME_IDS] = {"name_ids", MDB_INTEGERKEY},
    [DB_CLIENTS] = {"clients", 0},
    [DB_CLIENT_IDS] = {"client_ids", MDB_INTEGERKEY},
    [DB_SET_HASHES] = {"set_hashes", MDB_INTEGERKEY},
    [DB_SETS] = {"sets", MDB_INTEGERKEY},
    [DB_ROWS] = {"rows", MDB_INTEGERKEY},
    [DB_ADDR_SETS] = {"addr_sets", 0},
    [DB_NAME_SETS] = {"name_sets", 0},
    [DB_SET_CLIENTS] = {"set_clients", 0},
};

struct window_head {
    uint32_t format;
    uint32_t byte_order; /* 1 as this machine writes it */
    uint64_t seed;
    int64_t start_us;
};

static int open_tables(struct window *window, MDB_txn *txn, bool create)
{
    int code = 0;
    for (int i = 0; i < DB_COUNT && code == 0; i++) {
        code = mdb_dbi_open(txn, TABLES[i].name, TABLES[i].flags | (create ? MDB_CREATE : 0),
                            &window->db[i]);
    }
    return env_err(code);
}

static int make_head(struct window *window, MDB_txn *txn)
{
    struct window_head head = {
        .format = WINDOW_FORMAT, .byte_order = 1, .start_us = window->start_us};
    if (getrandom(&head.seed, sizeof(head.seed), 0) != (ssize_t)sizeof(head.seed)) {
        return -errno;
    }
    window->seed = head.seed;
    return window_put(window, txn, DB_META, "head", 4, &head, sizeof(head), 0);
}

static int check_head(struct window *window, MDB_txn *txn, struct why *why)
{
    MDB_val value;
    struct window_head head;
    int err = window_get(window, txn, DB_META, "head", 4, &value);
    if (err != 0 || value.mv_size != sizeof(head)) {
        return why_set(why, W_EDAMAGED, "%s has no header; move it away to go on without it",
                       window->path);
    }
    memcpy(&head, value.mv_data, sizeof(head));
    if (head.format != WINDOW_FORMAT || head.byte_order != 1) {
        return why_set(
            why, W_EVERSION,
            "%s has index format %u, this program writes format %u; use a new data directory",
            window->path, head.format, WINDOW_FORMAT);
    }
    if (head.start_us != window->start_us) {
        return why_set(why, W_EDAMAGED, "%s holds another day than its name says", window->path);
    }
    window->seed = head.seed;
    return 0;
}

/* Opens the tables; makes them in a file that has none yet, also one left by a crash in between. */
static int open_schema(struct window *window, bool writable, struct why *why)
{
    MDB_txn *txn;
    int err = env_err(mdb_txn_begin(window->env, NULL, writable ? 0 : MDB_RDONLY, &txn));
    if (err != 0) {
        return why_set(why, err, "%s: %s", window->path, err_str(err));
    }
    err = open_tables(window, txn, false);
    if (err == ENV_NOTFOUND && writable) {
        err = open_tables(window, txn, true);
        err = err == 0 ? make_head(window, txn) : err;
    } else if (err == ENV_NOTFOUND) {
        err = -ENOENT;
    } else if (err == 0) {
        err = check_head(window, txn, why);
    }
    if (err != 0) {
        mdb_txn_abort(txn);
        if (err != W_EDAMAGED && err != W_EVERSION) {
            why_set(why, err, "%s: %s", window->path, err_str(err));
        }
        return err;
    }
    err = env_err(mdb_txn_commit(txn));
    return err == 0 ? 0 : why_set(why, err, "%s: %s", window->path, err_str(err));
}

int window_open(struct window **out, const char *path, int64_t start_us, uint32_t serial,
                bool writable, struct why *why)
{
    struct window *window = calloc(1, sizeof(*window));
    *out = NULL;
    if (window == NULL) {
        return why_set(why, -ENOMEM, "%s: out of memory", path);
    }
    window->start_us = start_us;
    window->serial = serial;
    snprintf(window->path, sizeof(window->path), "%s", path);
    atomic_init(&window->refs, 1);
    int err = env_open(&window->env, path, writable, WINDOW_MAP_BYTES, DB_COUNT, why);
    err = err == 0 ? open_schema(window, writable, why) : err;
    if (err != 0) {
        window_unref(window);
        return err;
    }
    *out = window;
    return 0;
}

void window_ref(struct window *window)
{
    atomic_fetch_add(&window->refs, 1);
}

void window_unref(struct window *window)
{
    if (window == NULL || atomic_fetch_sub(&window->refs, 1) != 1) {
        return;
    }
    if (window->env != NULL) {
        mdb_env_close(window->env);
    }
    free(window);
}

static void put_be16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void client_key(uint8_t key[CLIENT_KEY_LEN], uint16_t cluster, const struct addr *addr)
{
    put_be16(key, cluster);
    memcpy(key + 2, addr->b, 16);
}

void addr_sets_key(uint8_t key[ADDR_SETS_KEY_LEN], uint16_t cluster, const struct addr *addr)
{
    client_key(key, cluster, addr);
    put_be16(key + 18, 0);
}

void id_sets_key(uint8_t key[NAME_SETS_KEY_LEN], uint32_t id)
{
    put_be16(key, (uint16_t)(id >> 16));
    put_be16(key + 2, (uint16_t)id);
    put_be16(key + 4, 0);
}

uint64_t row_key(uint32_t client, uint32_t set, uint8_t chunk)
{
    return (uint64_t)client << 40 | (uint64_t)set << 8 | chunk;
}

int window_get(const struct window *window, MDB_txn *txn, enum window_db db, const void *key,
               size_t key_len, MDB_val *value)
{
    MDB_val k = val(key, key_len);
    return env_err(mdb_get(txn, window->db[db], &k, value));
}

int window_put(const struct window *window, MDB_txn *txn, enum window_db db, const void *key,
               size_t key_len, const void *value, size_t value_len, unsigned flags)
{
    MDB_val k = val(key, key_len);
    MDB_val v = val(value, value_len);
    return env_err(mdb_put(txn, window->db[db], &k, &v, flags));
}

int window_last_id(const struct window *window, MDB_txn *txn, enum window_db db, uint32_t *id)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    *id = 0;
    int err = env_err(mdb_cursor_open(txn, window->db[db], &cursor));
    if (err != 0) {
        return err;
    }
    err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
    if (err == 0) {
        memcpy(id, key.mv_data, sizeof(*id));
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

int window_totals(const struct window *window, MDB_txn *txn, struct window_totals *totals)
{
    MDB_val value;
    *totals = (struct window_totals){0};
    int err = window_get(window, txn, DB_META, "totals", 6, &value);
    if (err == ENV_NOTFOUND) {
        return 0;
    }
    if (err == 0 && value.mv_size != sizeof(*totals)) {
        return W_EDAMAGED;
    }
    if (err == 0) {
        memcpy(totals, value.mv_data, sizeof(*totals));
    }
    return err;
}

/* ---- Posting lists ---- */

static uint16_t chunk_of(const uint8_t *key, size_t key_len)
{
    return (uint16_t)(key[key_len - 2] << 8 | key[key_len - 1]);
}

static bool same_list(const MDB_val *key, const uint8_t *want, size_t want_len)
{
    return key->mv_size == want_len && memcmp(key->mv_data, want, want_len - 2) == 0;
}

/* Finds the last chunk of a list: its number, ids and count; count 0 where there is none yet. */
static int last_chunk(MDB_cursor *cursor, uint8_t *key, size_t key_len, uint32_t *ids,
                      size_t *count)
{
    put_be16(key + key_len - 2, UINT16_MAX);
    MDB_val k = val(key, key_len);
    MDB_val v;
    int err = env_err(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
    /* SET_RANGE found what follows the list (or the list is full); the list ends just before. */
    if (err == 0 && !(same_list(&k, key, key_len) && chunk_of(k.mv_data, key_len) == UINT16_MAX)) {
        err = env_err(mdb_cursor_get(cursor, &k, &v, MDB_PREV));
    } else if (err == ENV_NOTFOUND) {
        err = env_err(mdb_cursor_get(cursor, &k, &v, MDB_LAST));
    }
    *count = 0;
    put_be16(key + key_len - 2, 0);
    if (err != 0 || !same_list(&k, key, key_len)) {
        return err == ENV_NOTFOUND ? 0 : err;
    }
    *count = v.mv_size / sizeof(*ids);
    if (*count > POSTING_CHUNK) {
        return W_EDAMAGED;
    }
    memcpy(ids, v.mv_data, *count * sizeof(*ids));
    put_be16(key + key_len - 2, chunk_of(k.mv_data, key_len));
    return 0;
}

int posting_append(const struct window *window, MDB_txn *txn, enum window_db db, uint8_t *key,
                   size_t key_len, const uint32_t *ids, size_t count)
{
    MDB_cursor *cursor;
    uint32_t chunk[POSTING_CHUNK];
    size_t used;
    int err = env_err(mdb_cursor_open(txn, window->db[db], &cursor));
    if (err != 0) {
        return err;
    }
    err = last_chunk(cursor, key, key_len, chunk, &used);
    while (err == 0 && count > 0) {
        if (used == POSTING_CHUNK) {
            uint16_t number = chunk_of(key, key_len);
            if (number == UINT16_MAX) {
                err = W_ELIMIT;
                break;
            }
            put_be16(key + key_len - 2, (uint16_t)(number + 1));
            used = 0;
        }
        size_t take = count < POSTING_CHUNK - used ? count : POSTING_CHUNK - used;
        memcpy(chunk + used, ids, take * sizeof(*ids));
        used += take;
        ids += take;
        count -= take;
        MDB_val k = val(key, key_len);
        MDB_val v = val(chunk, used * sizeof(*ids));
        err = env_err(mdb_cursor_put(cursor, &k, &v, 0));
    }
    mdb_cursor_close(cursor);
    return err;
}

static void posting_take(struct posting *posting, MDB_val *k, MDB_val *v, int err)
{
    if (err == 0 && !same_list(k, posting->key, posting->key_len)) {
        err = ENV_NOTFOUND;
    }
    posting->err = err;
    posting->ids = err == 0 ? v->mv_data : NULL;
    posting->count = err == 0 ? v->mv_size / sizeof(uint32_t) : 0;
}

void posting_open(struct posting *posting, const struct window *window, MDB_txn *txn,
                  enum window_db db, const uint8_t *key, size_t key_len)
{
    *posting = (struct posting){.key_len = key_len};
    memcpy(posting->key, key, key_len);
    posting->err = env_err(mdb_cursor_open(txn, window->db[db], &posting->cursor));
    if (posting->err != 0) {
        return;
    }
    MDB_val k = val(posting->key, key_len);
    MDB_val v;
    int err = env_err(mdb_cursor_get(posting->cursor, &k, &v, MDB_SET_RANGE));
    posting_take(posting, &k, &v, err);
}

void posting_next(struct posting *posting)
{
    MDB_val k, v;
    int err = env_err(mdb_cursor_get(posting->cursor, &k, &v, MDB_NEXT));
    posting_take(posting, &k, &v, err);
}

uint32_t posting_id(const struct posting *posting, size_t i)
{
    uint32_t id;
    memcpy(&id, posting->ids + i * sizeof(id), sizeof(id));
    return id;
}

void posting_close(struct posting *posting)
{
    if (posting->cursor != NULL) {
        mdb_cursor_close(posting->cursor);
        posting->cursor = NULL;
    }
}
