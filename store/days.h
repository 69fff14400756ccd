/* store/days.h -- which days the index ever had a window for
 * SPDX-License-Identifier: Apache-2.0
 *
 * Streams say when somebody listened; the answers of that time are in the windows. Where a window
 * is gone, dropped by age or lost with its file, listening is worth nothing, and its day is blind.
 * So the state keeps a row for each day of which something was committed.
 *
 * Threads: as the state; the writer thread alone changes it.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Days kept, the latest: far more than any horizon. */
enum { DAYS_MAX = 1024 };

struct day_row {
    int64_t start_us;
    uint64_t dropped; /* by age; else it should be there */
};

/* The writer's view of the table. */
struct days {
    size_t count;
    struct {
        struct day_row row;
        bool changed;  /* not yet on disk */
    } items[DAYS_MAX]; /* by time */
};

/* Reads the table. 0, -ENOMEM or an error of LMDB. */
int days_load(struct days *days, MDB_txn *txn, MDB_dbi db);
/* Something of the day was committed, or its window was dropped. */
void days_mark(struct days *days, int64_t start_us, bool dropped);
/* Writes what changed; days_settle after the transaction is committed. */
int days_put(const struct days *days, MDB_txn *txn, MDB_dbi db);
void days_settle(struct days *days);
/* Is the day known, and not dropped? */
bool days_expected(const struct days *days, int64_t start_us);
