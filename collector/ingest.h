/* collector/ingest.h -- captures and flow logs into an index that no service is writing
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads, decodes and writes in the calling thread. Commits when the store is full and at the end.
 *
 * Threads: one, which is then the store's writer.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "collector/apply.h"
#include "collector/capture.h"
#include "collector/flowlog.h"
#include "store/store.h"

struct ingest;

/* Called after each read of a capture with the octets of it so far and its size (0 if unknown). */
typedef void (*ingest_progress_fn)(void *ctx, const struct capture_summary *summary,
                                   uint64_t octets, uint64_t size);

/* `store` is open for writing and borrowed. Returns 0 or -ENOMEM. */
int ingest_new(struct ingest **ingest, struct store *store, ingest_progress_fn progress,
               void *progress_ctx);
/* Frees; what was not finished is not committed. *ingest may be NULL. */
void ingest_free(struct ingest **ingest);

/* From now on hints at owners go to `owners` (borrowed), which is asked before each commit. */
void ingest_keep_owners(struct ingest *ingest, const struct owner_keeper *owners);

/* Where the octets of a capture come from. */
struct ingest_bytes {
    /* Reads up to `len` octets; returns how many, 0 at the end, or a negative error with a reason.
     */
    int64_t (*read)(void *ctx, char *data, size_t len, struct why *why);
    void *ctx;
    /* Octets read from disk so far and in all, for the progress; the latter is 0 if unknown. */
    uint64_t (*consumed)(void *ctx);
    uint64_t size;
};

/* Loads a capture. `summary` is filled whatever the result. Returns 0; W_EFORMAT (no capture),
 * W_ESYNTAX (damaged; what is whole before is loaded), the error of `read`; all without harm to
 * what else is loaded. W_ELIMIT: the index cannot be written, and there is no use in going on. */
int ingest_capture(struct ingest *ingest, const struct ingest_bytes *bytes,
                   const struct capture_options *options, struct capture_summary *summary,
                   struct why *why);

/* Begins a log of flow records, whose DNS responses are then added one by one; `options` is
 * borrowed until ingest_flowlog_end. One at a time. */
void ingest_flowlog_begin(struct ingest *ingest, const struct capture_options *options);
/* As flowlog_add. Returns 0, -ENOMEM, or W_ELIMIT as above. */
int ingest_flowlog_add(struct ingest *ingest, const struct fact *fact, const uint8_t *answer);
/* Ends it, whatever was returned before. Returns 0 or the same errors, with a reason in `why`. */
int ingest_flowlog_end(struct ingest *ingest, struct capture_summary *summary, struct why *why);

/* Commits. Returns 0 or the error of the commit. */
int ingest_finish(struct ingest *ingest, struct why *why);
