/* store/owner_rows.h -- owners of addresses in the state environment
 * SPDX-License-Identifier: Apache-2.0
 *
 * One row an interval, keyed by a sequence number that is given anew whenever the interval changes:
 * whoever reads asks for what came after the number it saw last and never reads the rest again. A
 * second table leads from an interval's id to its row, so that a change replaces it.
 *
 *   owners     sequence (u64) -> head, addresses, texts
 *   owner_ids  id (u64) -> sequence
 *   head       "owners" -> the last sequence number given
 *
 * Threads: the functions that write belong to the writer thread; reading is any thread's.
 */
#pragma once

#include <lmdb.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"

/* What the service keeps. */
#define OWNER_ROWS_MAX ((size_t)1 << 20)
#define OWNER_ROWS_BYTES_MAX ((size_t)512 << 20)

struct owner_tables {
    MDB_dbi head;
    MDB_dbi rows;
    MDB_dbi ids;
    /* Intervals kept, and octets of the rows' pages; beyond, those that ended and changed longest
     * ago go. */
    size_t rows_max;
    size_t bytes_max;
};

/* Appends an interval to those that wait. Returns 0; W_ESYNTAX for one that cannot be kept; the
 * error of `waiting`, which is then as it was. */
int owner_rows_add(struct buf *waiting, const struct store_owner *owner);

/* Writes what waits, as of `now_us`, and makes room for it. 0 or a negative error. */
int owner_rows_put(MDB_txn *txn, const struct owner_tables *tables, const struct buf *waiting,
                   int64_t now_us);

/* Deletes what ended, and hints last seen, before the time. 0 or a negative error. */
int owner_rows_forget(MDB_txn *txn, const struct owner_tables *tables, int64_t before_us);

/* Visits the rows after a sequence number, ascending. 0, 1 if `fn` stopped it, or a negative error.
 */
int owner_rows_visit(MDB_txn *txn, MDB_dbi rows, uint64_t after, store_owner_fn fn, void *ctx);
