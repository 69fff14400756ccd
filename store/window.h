/* store/window.h -- one day of the index: its tables and how to read and add to them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tables of a window (ids are counted from 1 within the window; integer keys are native):
 *
 *   meta         text key -> format version, hash seed, totals, cluster names
 *   names        reversed name -> name id               (all names under a suffix are neighbours)
 *   name_ids     name id -> wire name
 *   clients      u16 cluster, 16 octets address -> client id
 *   client_ids   client id -> struct client_row         (who it is; the minutes it was seen asking)
 *   set_hashes   low half of XXH3-128 of the answer -> struct set_hash
 *   sets         set id -> struct set_row, chain name ids, addresses
 *   rows         client id << 40 | set id << 8 | chunk -> runs (store/run.h)
 *   addr_sets    u16 cluster, 16 octets address, u16 chunk -> set ids   (a posting list)
 *   name_sets    u32 name id, u16 chunk -> set ids                      (asked name or in the
 * chain) set_clients  u32 set id, u16 chunk -> client ids
 *
 * Posting lists only ever grow at their end; set ids in them ascend. Multi-octet parts of composed
 * keys are big-endian, so that byte order is numeric order.
 *
 * Threads: a window may be shared; a transaction belongs to one thread at a time.
 */
#pragma once

#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "store/store.h"

#define WINDOW_US (24 * INT64_C(3600000000))
#define WINDOW_FORMAT 1
/* Address space of one window; the file only takes what is used. */
#define WINDOW_MAP_BYTES (UINT64_C(256) << 30)
#define CLIENT_ID_MAX ((1u << 24) - 1)
/* Ids in one chunk of a posting list: what fits an LMDB node inside a page. */
#define POSTING_CHUNK 448
#define MINUTES_OCTETS 180 /* one bit for each minute of the day */

enum window_db {
    DB_META,
    DB_NAMES,
    DB_NAME_IDS,
    DB_CLIENTS,
    DB_CLIENT_IDS,
    DB_SET_HASHES,
    DB_SETS,
    DB_ROWS,
    DB_ADDR_SETS,
    DB_NAME_SETS,
    DB_SET_CLIENTS,
    DB_COUNT,
};

struct client_row {
    uint16_t cluster;
    uint8_t addr[16];
    uint8_t capped_hours[3]; /* one bit for each hour in which answers_per_hour was exceeded */
    uint8_t minutes[MINUTES_OCTETS];
};

struct set_hash {
    uint64_t high; /* the other half of the hash */
    uint32_t set;
};

/* Followed by u32 chain name ids, v4_count * 4 and v6_count * 16 octets. */
struct set_row {
    uint16_t cluster;
    uint8_t head; /* as in the canonical bytes */
    uint8_t chain_count;
    uint16_t v4_count;
    uint16_t v6_count;
    uint32_t asked;
};

struct window_totals {
    uint64_t sightings;
    uint64_t answers;
    uint64_t times;
    int64_t first_us;
    int64_t last_us;
};

struct window {
    int64_t start_us;
    uint32_t serial;
    uint64_t seed; /* of the answer hash, random per window so that nobody can aim collisions */
    char path[4096];
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    atomic_uint refs; /* the registry, each view, the writer */
};

/* Opens or makes (`writable`) the file. `*window` has one reference, or is NULL. Returns 0,
 * -ENOENT, W_EDAMAGED, W_EVERSION, -errno. */
int window_open(struct window **window, const char *path, int64_t start_us, uint32_t serial,
                bool writable, struct why *why);
void window_ref(struct window *window);
/* The last one closes the environment, which may take long for a large file that was unlinked. */
void window_unref(struct window *window);

/* Set once, in network order, into `key`; return the key's length. */
enum {
    CLIENT_KEY_LEN = 18,
    ADDR_SETS_KEY_LEN = 20,
    NAME_SETS_KEY_LEN = 6,
    SET_CLIENTS_KEY_LEN = 6
};
void client_key(uint8_t key[CLIENT_KEY_LEN], uint16_t cluster, const struct addr *addr);
void addr_sets_key(uint8_t key[ADDR_SETS_KEY_LEN], uint16_t cluster, const struct addr *addr);
void id_sets_key(uint8_t key[NAME_SETS_KEY_LEN], uint32_t id);
uint64_t row_key(uint32_t client, uint32_t set, uint8_t chunk);

/* Reads the value of `key` into `*value`, valid while the transaction lasts. 0, ENV_NOTFOUND or an
 * error. */
int window_get(const struct window *window, MDB_txn *txn, enum window_db db, const void *key,
               size_t key_len, MDB_val *value);
int window_put(const struct window *window, MDB_txn *txn, enum window_db db, const void *key,
               size_t key_len, const void *value, size_t value_len, unsigned flags);
/* The highest id in a table with id keys; 0 if empty. */
int window_last_id(const struct window *window, MDB_txn *txn, enum window_db db, uint32_t *id);
int window_totals(const struct window *window, MDB_txn *txn, struct window_totals *totals);

/* Appends ids to the posting list whose key, without the two chunk octets at its end, is `key`. */
int posting_append(const struct window *window, MDB_txn *txn, enum window_db db, uint8_t *key,
                   size_t key_len, const uint32_t *ids, size_t count);

/* Walks a posting list chunk by chunk. */
struct posting {
    MDB_cursor *cursor;
    uint8_t key[ADDR_SETS_KEY_LEN];
    size_t key_len;
    const uint8_t *ids; /* this chunk's, not aligned, valid while the transaction lasts */
    size_t count;
    int err; /* 0, ENV_NOTFOUND at the end, or an error */
};
/* Positions on the first chunk; posting->err tells. Close with posting_close. */
void posting_open(struct posting *posting, const struct window *window, MDB_txn *txn,
                  enum window_db db, const uint8_t *key, size_t key_len);
void posting_next(struct posting *posting);
/* Id number `i` of the chunk. */
uint32_t posting_id(const struct posting *posting, size_t i);
void posting_close(struct posting *posting);
