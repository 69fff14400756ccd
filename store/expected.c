/* store/expected.c -- how many senders there were to hear, over time
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/expected.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/env.h"

int expected_load(struct expected *expected, MDB_txn *txn, MDB_dbi db)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = env_err(mdb_cursor_open(txn, db, &cursor));
    if (err != 0) {
        return err;
    }
    expected->count = 0;
    expected->changed = false;
    while (expected->count < EXPECTED_MAX &&
           (err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        if (value.mv_size != sizeof(expected->rows[0])) {
            err = W_EDAMAGED;
            break;
        }
        memcpy(&expected->rows[expected->count++], value.mv_data, value.mv_size);
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

/* The last row of the cluster, NULL if there is none. */
static const struct expected_row *last_of(const struct expected *expected, const char *cluster)
{
    for (size_t i = expected->count; i > 0; i--) {
        if (strcmp(expected->rows[i - 1].cluster, cluster) == 0) {
            return &expected->rows[i - 1];
        }
    }
    return NULL;
}

void expected_add(struct expected *expected, const char *cluster, int64_t from_us, uint32_t senders)
{
    const struct expected_row *last = last_of(expected, cluster);
    if (strlen(cluster) > EXPECTED_CLUSTER_MAX ||
        (last != NULL ? last->senders == senders : senders == 0)) {
        return;
    }
    if (expected->count == EXPECTED_MAX) {
        memmove(&expected->rows[0], &expected->rows[1],
                (EXPECTED_MAX - 1) * sizeof(expected->rows[0]));
        expected->count--;
    }
    struct expected_row *row = &expected->rows[expected->count++];
    memset(row, 0, sizeof(*row));
    row->from_us = from_us;
    row->senders = senders;
    snprintf(row->cluster, sizeof(row->cluster), "%s", cluster);
    expected->changed = true;
}

int expected_put(const struct expected *expected, MDB_txn *txn, MDB_dbi db)
{
    if (!expected->changed) {
        return 0;
    }
    int err = env_err(mdb_drop(txn, db, 0));
    for (uint32_t i = 0; i < expected->count && err == 0; i++) {
        MDB_val key = val(&i, sizeof(i));
        MDB_val value = val(&expected->rows[i], sizeof(expected->rows[i]));
        err = env_err(mdb_put(txn, db, &key, &value, MDB_APPEND));
    }
    return err;
}

uint64_t expected_at(const struct expected_row *rows, size_t count, const char *cluster,
                     int64_t at_us, int64_t *next_us)
{
    uint64_t senders = 0;
    *next_us = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].cluster, cluster) != 0) {
            continue;
        }
        if (rows[i].from_us > at_us) {
            *next_us = rows[i].from_us;
            break;
        }
        senders = rows[i].senders;
    }
    return senders;
}
