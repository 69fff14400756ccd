/* cli/followed.h -- the sources that are followed, Loki among them
 * SPDX-License-Identifier: Apache-2.0
 *
 * What follows files knows nothing of Loki: each loki:URL becomes a file that grows
 * (join/loki_spool.h), beside what is written, and the file the source.
 *
 * Threads: one; `warn` is called from those of the spools.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "cli/settings.h"
#include "join/loki_spool.h"

struct followed {
    const char **items; /* as on the command line, or paths of spools; owned */
    size_t count;
    /* private */
    char **paths; /* owned, by item; NULL: not of a spool */
    struct loki_spool **spools;
};

/* Starts what is needed for `count` sources; `base` begins the names of the files: PATH.loki-HASH.
 * NULL: none may be written. Returns 0; W_EUSAGE where there is Loki among them and no `base`; or
 * what loki_spool_start does; with a sentence. followed_stop is fine after either. */
int followed_start(struct followed *followed, const char *const *sources, size_t count,
                   const char *base, void (*warn)(void *ctx, const char *text), void *ctx,
                   struct why *why);
/* Stops the spools; their files stay for a new start. Zeroed memory is fine. */
void followed_stop(struct followed *followed);
