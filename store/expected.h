/* store/expected.h -- how many senders there were to hear, over time
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who knows the DNS pods of a cluster knows how many senders must be connected, and that changes:
 * an hour that was watched by both of two is not blind because there are three now. A row says how
 * many from its time on, until the next row of the same cluster.
 *
 * Threads: as the state; the writer thread alone changes it.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows kept, the latest: a change for each restart of a DNS pod. */
enum { EXPECTED_MAX = 1024, EXPECTED_CLUSTER_MAX = 63 };

struct expected_row {
    int64_t from_us;
    uint64_t senders; /* 0: not known by number from then on */
    char cluster[EXPECTED_CLUSTER_MAX + 1];
};

struct expected {
    size_t count;
    bool changed;                           /* not yet on disk */
    struct expected_row rows[EXPECTED_MAX]; /* in the order they were told, which is that of time */
};

/* Reads the table. 0 or an error of LMDB. */
int expected_load(struct expected *expected, MDB_txn *txn, MDB_dbi db);
/* So many from then on. What says nothing new is passed over. */
void expected_add(struct expected *expected, const char *cluster, int64_t from_us,
                  uint32_t senders);
/* Writes all rows, if any is new. */
int expected_put(const struct expected *expected, MDB_txn *txn, MDB_dbi db);

/* How many there were to hear of the cluster at the instant, 0 if not known; `*next_us` is when
 * that changes next, INT64_MAX if it does not. */
uint64_t expected_at(const struct expected_row *rows, size_t count, const char *cluster,
                     int64_t at_us, int64_t *next_us);
