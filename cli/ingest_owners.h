/* cli/ingest_owners.h -- hints at owners that come with captures, into the index they are loaded
 * into SPDX-License-Identifier: Apache-2.0
 *
 * The table of what the index knows is only loaded when the first hint comes: most captures have
 * none.
 *
 * Threads: as its caller.
 */
#pragma once

#include "collector/apply.h"
#include "join/owners_store.h"

struct ingest_owners {
    struct owner_keeper keeper; /* for ingest_keep_owners */
    /* private */
    struct store *store;
    struct owners *table; /* NULL until the first hint */
    struct owners_store *link;
    int err; /* sticky */
};

/* `store` is borrowed. Never fails. */
void ingest_owners_init(struct ingest_owners *owners, struct store *store);
/* Before the store is closed. Returns 0, or the error why hints could not be kept. */
int ingest_owners_fini(struct ingest_owners *owners);
