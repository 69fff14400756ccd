/* cli/serve_owners.h -- the owners of addresses that a service knows, and where it has them from
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table for the process: what the index kept, --owners, the hints in dnstap messages, and with
 * --kubernetes the API of the cluster the service runs in. What changes is saved with the commits
 * of the index.
 *
 * Threads: new, start, stop and free belong to the main thread, in this order around the
 * collector's life; hints and saving are the writer thread's, objects the Kubernetes thread's,
 * files that change another one's; the table may be asked by any.
 */
#pragma once

#include "base/err.h"
#include "cli/settings.h"
#include "collector/writer.h"
#include "join/kubernetes.h"
#include "join/owners.h"
#include "store/store.h"

struct serve_owners;

/* Makes the table, of at most `memory_bytes`, and loads what the index has and --owners
 * names. `settings` and `store`
 * are borrowed. Returns 0 or a negative error with a reason. */
int serve_owners_new(struct serve_owners **owners, const struct settings *settings,
                     struct store *store, uint64_t memory_bytes, struct why *why);
/* After the collector. NULL is fine. */
void serve_owners_free(struct serve_owners **owners);

/* For the collector; lives as long as `owners`. */
const struct owner_keeper *serve_owners_keeper(const struct serve_owners *owners);

/* With --kubernetes, begins to watch; `writer` is told when there is something to save, and
 * outlives serve_owners_stop. Returns 0; W_EUSAGE outside of a cluster; another negative error;
 * with a reason. */
int serve_owners_start(struct serve_owners *owners, struct writer *writer, struct why *why);
/* Before the collector goes. NULL and what was not started are fine. */
void serve_owners_stop(struct serve_owners *owners);

struct owners *serve_owners_table(struct serve_owners *owners);
/* NULL without --kubernetes. */
struct kubernetes *serve_owners_kubernetes(struct serve_owners *owners);
