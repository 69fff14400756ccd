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

/* Octets as they come; what a file that is read at once is, and one that grows. */
struct owners_feed;

/* `name` is for warnings; it, `owners`, `cluster` and `read` are borrowed. `warn` may be NULL.
 * Returns 0 or -ENOMEM. */
int owners_feed_new(struct owners_feed **feed, struct owners *owners, const char *cluster,
                    const char *name, owners_warn_fn warn, void *ctx, struct owners_read *read);
void owners_feed_free(struct owners_feed **feed);
/* The next octets, received at `received_us` (0: recorded; what they say has its own times).
 * Returns 0, W_ELIMIT if the table is full, or -ENOMEM. */
int owners_feed_push(struct owners_feed *feed, const char *bytes, size_t len, int64_t received_us);
/* There is no more for now: metrics, which are gathered, count from then on. Returns likewise. */
int owners_feed_settle(struct owners_feed *feed);
/* What came is all of it, or all there is now of a file that was written anew: what follows begins
 * another document. Objects of its lists that are not in the lists that follow have ended. */
int owners_feed_end(struct owners_feed *feed);

/* Reads all of it (a path as in struct source_list). Returns 0 whatever was in it, with `read`
 * added to; a negative error with a sentence in `why` if it could not be opened or read, or the
 * table is full. `warn` may be NULL. */
int owners_read_file(struct owners *owners, const char *cluster, const char *path,
                     owners_warn_fn warn, void *ctx, struct owners_read *read, struct why *why);
