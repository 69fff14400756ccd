/* collector/ingest.h -- capture files into an index that no service is writing
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads, decodes and writes in the calling thread. Commits when the store is full and at the end.
 *
 * Threads: one, which is then the store's writer.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "collector/capture.h"
#include "store/store.h"

struct ingest;

/* Called after each read with the octets of this file so far and its size (0 if unknown). */
typedef void (*ingest_progress_fn)(void *ctx, const struct capture_summary *summary,
                                   uint64_t octets, uint64_t size);

/* `store` is open for writing and borrowed. Returns 0 or -ENOMEM. */
int ingest_new(struct ingest **ingest, struct store *store, ingest_progress_fn progress,
               void *progress_ctx);
/* Frees; what was not finished is not committed. *ingest may be NULL. */
void ingest_free(struct ingest **ingest);

/* Loads the file at `path`, standard input for "-". `summary` is filled whatever the result.
 * Returns 0; W_EFORMAT (no capture), W_ESYNTAX (damaged; what is whole before is loaded), -errno
 * where it cannot be read; all without harm to what else is loaded. W_ELIMIT: the index cannot be
 * written, and there is no use in going on. `why` does not name the file. */
int ingest_file(struct ingest *ingest, const char *path, const struct capture_options *options,
                struct capture_summary *summary, struct why *why);

/* Commits. Returns 0 or the error of the commit. */
int ingest_finish(struct ingest *ingest, struct why *why);
