/* join/owners_file.h -- reads owners from a file, a pipe or standard input
 * SPDX-License-Identifier: Apache-2.0
 *
 * By content: JSON of Kubernetes (lists, objects, watch events, any number of documents) or the
 * text of kube-state-metrics; compressed or not. What is wrong in it is warned of with the line and
 * costs what is wrong, not the rest.
 *
 * Threads: a file belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/owners.h"

/* Says one sentence about bad input. */
typedef void (*owners_warn_fn)(void *ctx, const char *text);

struct owners_read {
    uint64_t objects; /* pods, services and nodes */
    uint64_t faults;
};

/* Reads all of it (a path as in struct source_list). Returns 0 whatever was in it, with `read`
 * added to; a negative error with a sentence in `why` if it could not be opened or read, or the
 * table is full. `warn` may be NULL. */
int owners_read_file(struct owners *owners, const char *cluster, const char *path,
                     owners_warn_fn warn, void *ctx, struct owners_read *read, struct why *why);
