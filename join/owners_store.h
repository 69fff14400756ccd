/* join/owners_store.h -- the table of owners and the index: what outlives the process
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who observes owners saves what changed with each commit of the index, and loads it all at its
 * start, so that its history goes on. Who only reads an index loads what others saved, as often as
 * it likes; only what is new is read.
 *
 * Threads: belongs to one thread at a time; the table may be told and asked by others meanwhile,
 * but not while the first load runs in a process that saves.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "join/owners.h"
#include "store/store.h"

struct owners_store;

/* `owners` is borrowed. Returns 0 or -ENOMEM. */
int owners_store_new(struct owners_store **link, struct owners *owners);
/* NULL is fine. */
void owners_store_free(struct owners_store **link);

/* Puts into the table what the index has and was not loaded before. What the table has no room for
 * is left out, the rest is loaded. Returns 0, -ENOMEM or an error of the index. */
int owners_store_load(struct owners_store *link, struct store_view *view);

/* Loads once, for a table that is then only asked: everything or, where `only` is not NULL, the
 * pods that held one of those addresses, and all services and nodes. Returns as owners_store_load.
 */
int owners_load(struct owners *owners, struct store_view *view, const struct addr *only,
                size_t only_count);

/* Gives the store each interval that changed since the last call, those that changed first first;
 * they are in the next commit. What the store cannot take now comes with the next call. Returns 0
 * or what store_owner did. */
int owners_store_save(struct owners_store *link, struct store *store);

/* A DNS server's word ("namespace/pod", not terminated) that the client was that pod at that time.
 * Returns as owners_observe; W_ESYNTAX where there is no slash. */
int owners_hint(struct owners *owners, const char *cluster, const struct addr *client,
                int64_t time_us, const char *pod, size_t len);
