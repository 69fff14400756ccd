/* store/days.c -- which days the index ever had a window for
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/days.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/env.h"

static uint32_t day_number(int64_t start_us)
{
    return (uint32_t)(start_us / US_PER_DAY);
}

/* Where the day is, or belongs. */
static size_t find(const struct days *days, int64_t start_us)
{
    size_t at = days->count;
    while (at > 0 && days->items[at - 1].row.start_us >= start_us) {
        at--;
    }
    return at;
}

static bool is_at(const struct days *days, size_t at, int64_t start_us)
{
    return at < days->count && days->items[at].row.start_us == start_us;
}

/* The row at `at` is new. Where there is no room the oldest goes. */
static size_t insert(struct days *days, size_t at)
{
    if (days->count == DAYS_MAX) {
        if (at == 0) {
            return DAYS_MAX;
        }
        memmove(&days->items[0], &days->items[1], (DAYS_MAX - 1) * sizeof(days->items[0]));
        days->count--;
        at--;
    }
    memmove(&days->items[at + 1], &days->items[at], (days->count - at) * sizeof(days->items[0]));
    days->count++;
    memset(&days->items[at], 0, sizeof(days->items[at]));
    return at;
}

int days_load(struct days *days, MDB_txn *txn, MDB_dbi db)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = env_err(mdb_cursor_open(txn, db, &cursor));
    if (err != 0) {
        return err;
    }
    days->count = 0;
    while ((err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        struct day_row row;
        if (value.mv_size != sizeof(row)) {
            err = W_EDAMAGED;
            break;
        }
        memcpy(&row, value.mv_data, sizeof(row));
        days_mark(days, row.start_us, row.dropped != 0);
    }
    mdb_cursor_close(cursor);
    days_settle(days);
    return err == ENV_NOTFOUND ? 0 : err;
}

void days_mark(struct days *days, int64_t start_us, bool dropped)
{
    size_t at = find(days, start_us);
    bool known = is_at(days, at, start_us);
    if (known && (days->items[at].row.dropped != 0) == dropped) {
        return;
    }
    at = known ? at : insert(days, at);
    if (at < DAYS_MAX) {
        days->items[at].row = (struct day_row){start_us, dropped};
        days->items[at].changed = true;
    }
}

int days_put(const struct days *days, MDB_txn *txn, MDB_dbi db)
{
    int err = 0;
    for (size_t i = 0; i < days->count && err == 0; i++) {
        const struct day_row *row = &days->items[i].row;
        uint32_t number = day_number(row->start_us);
        if (days->items[i].changed) {
            MDB_val key = val(&number, sizeof(number));
            MDB_val value = val(row, sizeof(*row));
            err = env_err(mdb_put(txn, db, &key, &value, 0));
        }
    }
    return err;
}

void days_settle(struct days *days)
{
    for (size_t i = 0; i < days->count; i++) {
        days->items[i].changed = false;
    }
}

bool days_expected(const struct days *days, int64_t start_us)
{
    size_t at = find(days, start_us);
    return is_at(days, at, start_us) && days->items[at].row.dropped == 0;
}
