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

struct applier {
    struct store *store;
    uint32_t live_streams; /* connections begun and not ended */
    bool dirty;            /* something waits for a commit, or for another try */
    int err;               /* of the last commit */
    uint64_t failures;     /* commits that failed */
    int refused; /* first error since the last commit of an answer that could not be kept; 0: none
                  */
    struct log_limit limit;
};

/* `store` is open for writing and outlives the applier. */
void applier_init(struct applier *applier, struct store *store);

/* Applies every record and empties the batch. Commits on the way whenever the store is full. */
void applier_apply(struct applier *applier, struct batch *batch);

/* Commits. A failure is logged (rate-limited), counted, and its error returned. */
int applier_commit(struct applier *applier);
