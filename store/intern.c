/* store/intern.c -- clients and answer sets of the window being written, by number
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/answer.h"
#include "store/env.h"

enum { TABLE_START = 1024 };

/* The largest power of two of elements that fits `bytes`. */
static uint32_t fitting(uint64_t bytes, size_t element)
{
    uint32_t count = TABLE_START;
    while (count < (1u << 24) && (uint64_t)count * 2 * element <= bytes) {
        count *= 2;
    }
    return count;
}

int intern_open(struct client_table *clients, struct set_table *sets, const struct window *window,
                MDB_txn *txn, uint64_t memory_bytes)
{
    *clients = (struct client_table){.size = TABLE_START};
    *sets = (struct set_table){.size = TABLE_START};
    /* Growing holds the old and the new table for a moment. */
    clients->max = fitting(memory_bytes / 3, sizeof(*clients->slots)) / 2;
    sets->max = fitting(memory_bytes / 3, sizeof(*sets->slots)) / 2;
    clients->slots = calloc(TABLE_START, sizeof(*clients->slots));
    sets->slots = calloc(TABLE_START, sizeof(*sets->slots));
    int err = clients->slots == NULL || sets->slots == NULL ? -ENOMEM : 0;
    err = err == 0 ? window_last_id(window, txn, DB_CLIENT_IDS, &clients->next_id) : err;
    err = err == 0 ? window_last_id(window, txn, DB_SETS, &sets->next_set) : err;
    err = err == 0 ? window_last_id(window, txn, DB_NAME_IDS, &sets->next_name) : err;
    clients->next_id++;
    sets->next_set++;
    sets->next_name++;
    if (err != 0) {
        intern_close(clients, sets);
    }
    return err;
}

void intern_close(struct client_table *clients, struct set_table *sets)
{
    free(clients->slots);
    free(sets->slots);
    clients->slots = NULL;
    sets->slots = NULL;
}

/* ---- Clients ---- */

static struct client *client_slot(const struct client_table *clients, uint64_t seed,
                                  uint16_t cluster, const struct addr *addr)
{
    uint32_t at = (uint32_t)XXH3_64bits_withSeed(addr->b, sizeof(addr->b), seed + cluster);
    for (;; at++) {
        struct client *slot = &clients->slots[at & (clients->size - 1)];
        if (slot->id == 0 || (slot->cluster == cluster && addr_equal(&slot->addr, addr))) {
            return slot;
        }
    }
}

static int grow_clients(struct client_table *clients, uint64_t seed)
{
    struct client_table old = *clients;
    struct client *slots = calloc((size_t)old.size * 2, sizeof(*slots));
    if (slots == NULL) {
        return -ENOMEM;
    }
    clients->slots = slots;
    clients->size *= 2;
    for (uint32_t i = 0; i < old.size; i++) {
        if (old.slots[i].id != 0) {
            *client_slot(clients, seed, old.slots[i].cluster, &old.slots[i].addr) = old.slots[i];
        }
    }
    free(old.slots);
    return 0;
}

static int add_client(const struct window *window, MDB_txn *txn, uint16_t cluster,
                      const struct addr *addr, const uint8_t key[CLIENT_KEY_LEN], uint32_t id)
{
    struct client_row row = {.cluster = cluster};
    memcpy(row.addr, addr->b, sizeof(row.addr));
    int err = window_put(window, txn, DB_CLIENTS, key, CLIENT_KEY_LEN, &id, sizeof(id), 0);
    return err != 0 ? err
                    : window_put(window, txn, DB_CLIENT_IDS, &id, sizeof(id), &row, sizeof(row),
                                 MDB_APPEND);
}

int intern_client(struct client_table *clients, const struct window *window, MDB_txn *txn,
                  uint16_t cluster, const struct addr *addr, struct client **out)
{
    struct client *slot = client_slot(clients, window->seed, cluster, addr);
    *out = slot;
    if (slot->id != 0) {
        return 0;
    }
    if (clients->used >= clients->max) {
        return W_ELIMIT;
    }
    if (clients->used >= clients->size / 2) {
        int err = grow_clients(clients, window->seed);
        if (err != 0) {
            return err;
        }
        slot = client_slot(clients, window->seed, cluster, addr);
    }
    uint8_t key[CLIENT_KEY_LEN];
    MDB_val value;
    uint32_t id = clients->next_id;
    client_key(key, cluster, addr);
    int err = window_get(window, txn, DB_CLIENTS, key, sizeof(key), &value);
    if (err == 0) {
        memcpy(&id, value.mv_data, sizeof(id));
    } else if (err == ENV_NOTFOUND) {
        err = id > CLIENT_ID_MAX ? W_ELIMIT : add_client(window, txn, cluster, addr, key, id);
        clients->next_id += err == 0;
    }
    if (err != 0) {
        return err;
    }
    *slot = (struct client){.id = id, .cluster = cluster, .addr = *addr};
    clients->used++;
    *out = slot;
    return 0;
}

/* ---- Answer sets ---- */

static struct set_slot *set_slot(const struct set_table *sets, XXH128_hash_t hash)
{
    for (uint32_t at = (uint32_t)hash.low64;; at++) {
        struct set_slot *slot = &sets->slots[at & (sets->size - 1)];
        if (slot->set == 0 || (slot->low == hash.low64 && slot->high == hash.high64)) {
            return slot;
        }
    }
}

static int grow_sets(struct set_table *sets)
{
    struct set_table old = *sets;
    struct set_slot *slots = calloc((size_t)old.size * 2, sizeof(*slots));
    if (slots == NULL) {
        return -ENOMEM;
    }
    sets->slots = slots;
    sets->size *= 2;
    for (uint32_t i = 0; i < old.size; i++) {
        if (old.slots[i].set != 0) {
            XXH128_hash_t hash = {old.slots[i].low, old.slots[i].high};
            *set_slot(sets, hash) = old.slots[i];
        }
    }
    free(old.slots);
    return 0;
}

static int remember_set(struct set_table *sets, XXH128_hash_t hash, uint32_t set)
{
    if (sets->used >= sets->max) {
        /* Only a cache: what is needed again comes back from the window. */
        memset(sets->slots, 0, (size_t)sets->size * sizeof(*sets->slots));
        sets->used = 0;
    } else if (sets->used >= sets->size / 2) {
        int err = grow_sets(sets);
        if (err != 0) {
            return err;
        }
    }
    *set_slot(sets, hash) = (struct set_slot){hash.low64, hash.high64, set};
    sets->used++;
    return 0;
}

static XXH128_hash_t set_hash(const struct window *window, uint16_t cluster, const uint8_t *bytes,
                              size_t len)
{
    return XXH3_128bits_withSeed(bytes, len, window->seed ^ ((uint64_t)cluster << 48));
}

/* Two answers with the same low half live under neighbouring keys. */
enum { HASH_PROBES = 8 };

int intern_find_set(struct set_table *sets, const struct window *window, MDB_txn *txn,
                    uint16_t cluster, const uint8_t *bytes, size_t len, uint32_t *set)
{
    XXH128_hash_t hash = set_hash(window, cluster, bytes, len);
    struct set_slot *slot = set_slot(sets, hash);
    if (slot->set != 0) {
        *set = slot->set;
        return 0;
    }
    for (uint64_t probe = 0; probe < HASH_PROBES; probe++) {
        uint64_t key = hash.low64 + probe;
        struct set_hash row;
        MDB_val value;
        int err = window_get(window, txn, DB_SET_HASHES, &key, sizeof(key), &value);
        if (err != 0) {
            return err;
        }
        memcpy(&row, value.mv_data, sizeof(row));
        if (row.high == hash.high64) {
            *set = row.set;
            return remember_set(sets, hash, row.set);
        }
    }
    return ENV_NOTFOUND;
}

static int put_set_hash(const struct window *window, MDB_txn *txn, XXH128_hash_t hash, uint32_t set)
{
    struct set_hash row;
    memset(&row, 0, sizeof(row)); /* the padding too: it is written to disk */
    row.high = hash.high64;
    row.set = set;
    int err = MDB_KEYEXIST;
    for (uint64_t probe = 0; probe < HASH_PROBES && err == MDB_KEYEXIST; probe++) {
        uint64_t key = hash.low64 + probe;
        MDB_val k = val(&key, sizeof(key));
        MDB_val v = val(&row, sizeof(row));
        err = mdb_put(txn, window->db[DB_SET_HASHES], &k, &v, MDB_NOOVERWRITE);
    }
    return err == MDB_KEYEXIST ? W_ELIMIT : env_err(err);
}

static int intern_name(struct set_table *sets, const struct window *window, MDB_txn *txn,
                       const uint8_t *wire, uint32_t *id)
{
    uint8_t key[NAME_WIRE_MAX];
    size_t key_len = name_reverse(wire, key);
    MDB_val value;
    if (key_len == 0) { /* LMDB has no empty keys; the root is the one name of length 1 */
        key[key_len++] = 0;
    }
    int err = window_get(window, txn, DB_NAMES, key, key_len, &value);
    if (err == 0) {
        memcpy(id, value.mv_data, sizeof(*id));
        return 0;
    }
    if (err != ENV_NOTFOUND) {
        return err;
    }
    *id = sets->next_name;
    err = window_put(window, txn, DB_NAMES, key, key_len, id, sizeof(*id), 0);
    err = err == 0 ? window_put(window, txn, DB_NAME_IDS, id, sizeof(*id), wire,
                                name_wire_len(wire), MDB_APPEND)
                   : err;
    sets->next_name += err == 0;
    return err;
}

static int list_under_names(const struct window *window, MDB_txn *txn, const uint32_t *names,
                            size_t count, uint32_t set)
{
    for (size_t i = 0; i < count; i++) {
        bool repeated = false;
        for (size_t j = 0; j < i; j++) {
            repeated |= names[j] == names[i];
        }
        uint8_t key[NAME_SETS_KEY_LEN];
        id_sets_key(key, names[i]);
        int err =
            repeated ? 0 : posting_append(window, txn, DB_NAME_SETS, key, sizeof(key), &set, 1);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int list_under_addresses(const struct window *window, MDB_txn *txn, uint16_t cluster,
                                const struct answer *answer, uint32_t set)
{
    size_t count = (size_t)answer->v4_count + answer->v6_count;
    for (size_t i = 0; i < count; i++) {
        uint8_t key[ADDR_SETS_KEY_LEN];
        struct addr addr = answer_addr(answer, i);
        addr_sets_key(key, cluster, &addr);
        int err = posting_append(window, txn, DB_ADDR_SETS, key, sizeof(key), &set, 1);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int put_set(const struct window *window, MDB_txn *txn, uint16_t cluster,
                   const struct answer *answer, const uint32_t *names, uint32_t set)
{
    struct set_row row;
    memset(&row, 0, sizeof(row));
    row.cluster = cluster;
    row.head = answer_head(answer);
    row.chain_count = answer->chain_count;
    row.v4_count = answer->v4_count;
    row.v6_count = answer->v6_count;
    row.asked = names[0];
    size_t chain_len = answer->chain_count * sizeof(*names);
    size_t v4_len = (size_t)answer->v4_count * 4;
    size_t v6_len = (size_t)answer->v6_count * 16;
    MDB_val k = val(&set, sizeof(set));
    MDB_val v = val(NULL, sizeof(row) + chain_len + v4_len + v6_len);
    int err = env_err(mdb_put(txn, window->db[DB_SETS], &k, &v, MDB_APPEND | MDB_RESERVE));
    if (err != 0) {
        return err;
    }
    uint8_t *at = v.mv_data;
    memcpy(at, &row, sizeof(row));
    memcpy(at + sizeof(row), names + 1, chain_len);
    memcpy(at + sizeof(row) + chain_len, answer->v4, v4_len);
    memcpy(at + sizeof(row) + chain_len + v4_len, answer->v6, v6_len);
    return 0;
}

int intern_add_set(struct set_table *sets, const struct window *window, MDB_txn *txn,
                   uint16_t cluster, const uint8_t *bytes, size_t len, uint32_t *set)
{
    struct answer answer;
    uint32_t names[1 + ANSWER_CHAIN_MAX];
    int err = answer_decode(&answer, bytes, len);
    if (err != 0) {
        return err;
    }
    if (sets->next_set == UINT32_MAX) {
        return W_ELIMIT;
    }
    err = intern_name(sets, window, txn, answer.asked, &names[0]);
    for (uint8_t i = 0; i < answer.chain_count && err == 0; i++) {
        err = intern_name(sets, window, txn, answer.chain[i], &names[1 + i]);
    }
    *set = sets->next_set;
    XXH128_hash_t hash = set_hash(window, cluster, bytes, len);
    err = err == 0 ? put_set_hash(window, txn, hash, *set) : err;
    err = err == 0 ? put_set(window, txn, cluster, &answer, names, *set) : err;
    err = err == 0 ? list_under_names(window, txn, names, 1u + answer.chain_count, *set) : err;
    err = err == 0 ? list_under_addresses(window, txn, cluster, &answer, *set) : err;
    if (err != 0) {
        return err;
    }
    sets->next_set++;
    return remember_set(sets, hash, *set);
}
