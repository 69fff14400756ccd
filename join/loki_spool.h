/* join/loki_spool.h -- Loki as a file that grows, for whoever follows files
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread of its own pulls (join/loki_pull.h) and appends the lines to a file, which a tail
 * follows like any log, with all its promises. The file is also the memory of how far the pulling
 * got: a new start goes on from the last line that is in it, and a piece of a line at its end is
 * cut off. At LOKI_SPOOL_MAX it is renamed to PATH.1 and begun anew, so that it takes no more than
 * twice that on disk.
 *
 * Lines are taken LOKI_DELAY_US after their time, because Loki gets them out of order; what comes
 * to it later than that is not seen.
 *
 * Threads: start and stop belong to one thread; `warn` is called from the spool's.
 */
#pragma once

#include "base/err.h"

#define LOKI_SPOOL_MAX ((int64_t)64 * 1024 * 1024)
#define LOKI_DELAY_US (INT64_C(5) * 1000000)

struct loki_spool;

struct loki_spool_options {
    const char *source; /* "loki:http://..."; copied */
    const char *path;   /* copied */
    void (*warn)(void *ctx, const char *text);
    void *ctx;
};

/* Returns 0; what loki_source_parse and loki_http_new do; -errno where the file cannot be opened;
 * with a sentence in `why`. */
int loki_spool_start(struct loki_spool **spool, const struct loki_spool_options *options,
                     struct why *why);
/* Waits for a query that is under way, a few seconds at most. *spool may be NULL. */
void loki_spool_stop(struct loki_spool **spool);
