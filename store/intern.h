/* store/intern.h -- clients and answer sets of the window being written, by number
 * SPDX-License-Identifier: Apache-2.0
 *
 * The hot path of writing: almost every answer repeats a client and an answer set that were seen
 * before. Both are found in hash tables in memory; what is not there is looked up in, or added to,
 * the window's open transaction. The tables only cache the window: they may be emptied at any time
 * and must be when a transaction is aborted.
 *
 * Threads: the writer thread only.
 */
#pragma once

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "store/window.h"

/* A client as the writer knows it. */
struct client {
    uint32_t id; /* 0: the slot is free */
    uint16_t cluster;
    uint8_t hour; /* of the day, that `minutes` and `added` speak of */
    bool capped;  /* in this hour */
    struct addr addr;
    uint32_t added;   /* answer sets it was the first to get in this hour */
    uint64_t minutes; /* of the hour in which it asked and which are not in the window yet */
};

struct client_table {
    struct client *slots;
    uint32_t size; /* a power of two */
    uint32_t used;
    uint32_t max;
    uint32_t next_id;
};

struct set_slot {
    uint64_t low;
    uint64_t high;
    uint32_t set; /* 0: the slot is free */
};

struct set_table {
    struct set_slot *slots;
    uint32_t size; /* a power of two */
    uint32_t used;
    uint32_t max;
    uint32_t next_set;
    uint32_t next_name;
};

/* Tables for a window that keep within `memory_bytes` together. 0, -ENOMEM or an error of the
 * index. */
int intern_open(struct client_table *clients, struct set_table *sets, const struct window *window,
                MDB_txn *txn, uint64_t memory_bytes);
void intern_close(struct client_table *clients, struct set_table *sets);

/* Finds or adds a client. `*out` stays valid until the next call. 0, W_ELIMIT when the window holds
 * as many clients as fit, or an error. */
int intern_client(struct client_table *clients, const struct window *window, MDB_txn *txn,
                  uint16_t cluster, const struct addr *addr, struct client **out);

/* Finds an answer set; ENV_NOTFOUND if the window does not have it. */
int intern_find_set(struct set_table *sets, const struct window *window, MDB_txn *txn,
                    uint16_t cluster, const uint8_t *bytes, size_t len, uint32_t *set);
/* Adds one that was not found, with its names and posting lists. W_ESYNTAX if `bytes` is no answer.
 */
int intern_add_set(struct set_table *sets, const struct window *window, MDB_txn *txn,
                   uint16_t cluster, const uint8_t *bytes, size_t len, uint32_t *set);
