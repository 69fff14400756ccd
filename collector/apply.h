/* collector/apply.h -- puts batches into the index and decides when to commit
 * SPDX-License-Identifier: Apache-2.0
 *
 * The one place that calls the writing half of the store: the writer thread of the service uses it,
 * and so does `whither ingest` without any other thread. What cannot be kept becomes a loss in the
 * index (and so a blind interval) and never stops what follows.
 *
 * Threads: one thread, the store's writer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "collector/batch.h"
#include "store/store.h"

/* Who knows the owners of addresses; outside of this folder. */
struct owner_keeper {
    void *ctx;
    /* A DNS server said that the client was that pod ("namespace/pod", not terminated). */
    void (*hint)(void *ctx, const char *cluster, const struct addr *client, int64_t time_us,
                 const char *pod, size_t len);
    /* A commit follows: gives the store what changed. */
    void (*save)(void *ctx, struct store *store);
};

struct applier {
    struct store *store;
    const struct owner_keeper *owners; /* NULL: hints are dropped */
    uint32_t live_streams;             /* connections begun and not ended */
    bool dirty;                        /* something waits for a commit, or for another try */
    int err;                           /* of the last commit */
    uint64_t failures;                 /* commits that failed */
    int refused; /* first error since the last commit of an answer that could not be kept; 0: none
                  */
    struct log_limit limit;
};

/* `store` is open for writing and outlives the applier, as does `owners`, which may be NULL. */
void applier_init(struct applier *applier, struct store *store, const struct owner_keeper *owners);

/* Applies every record and empties the batch. Commits on the way whenever the store is full. */
void applier_apply(struct applier *applier, struct batch *batch);

/* Commits. A failure is logged (rate-limited), counted, and its error returned. */
int applier_commit(struct applier *applier);
