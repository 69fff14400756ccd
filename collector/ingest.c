/* collector/ingest.c -- captures and flow logs into an index that no service is writing
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/ingest.h"

#include <errno.h>
#include <stdlib.h>

#define READ_BYTES (256 * 1024)

struct ingest {
    struct applier applier;
    struct outlet outlet;
    struct flowlog flowlog;
    char *buffer;
    int err; /* the index could not take something */
    ingest_progress_fn progress;
    void *progress_ctx;
};

/* Applies the batch in place and goes on with the same one. */
static int flush_outlet(struct outlet *outlet)
{
    struct ingest *ingest = outlet->ctx;
    applier_apply(&ingest->applier, outlet->batch);
    if (ingest->err == 0) {
        ingest->err = ingest->applier.refused != 0 ? ingest->applier.refused : ingest->applier.err;
    }
    return 0;
}

int ingest_new(struct ingest **out, struct store *store, ingest_progress_fn progress,
               void *progress_ctx)
{
    *out = NULL;
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL) {
        return -ENOMEM;
    }
    applier_init(&ingest->applier, store, NULL);
    ingest->outlet.flush = flush_outlet;
    ingest->outlet.ctx = ingest;
    ingest->outlet.batch = batch_new();
    ingest->buffer = malloc(READ_BYTES);
    ingest->progress = progress;
    ingest->progress_ctx = progress_ctx;
    if (ingest->outlet.batch == NULL || ingest->buffer == NULL) {
        ingest_free(&ingest);
        return -ENOMEM;
    }
    *out = ingest;
    return 0;
}

void ingest_keep_owners(struct ingest *ingest, const struct owner_keeper *owners)
{
    ingest->applier.owners = owners;
}

void ingest_free(struct ingest **out)
{
    struct ingest *ingest = *out;
    *out = NULL;
    if (ingest != NULL) {
        free(ingest->outlet.batch);
        free(ingest->buffer);
        free(ingest);
    }
}

static int unwritable(const struct ingest *ingest, struct why *why)
{
    return why_set(why, W_ELIMIT, "the index cannot be written: %s", err_str(ingest->err));
}

static int read_all(struct ingest *ingest, struct capture *capture,
                    const struct ingest_bytes *bytes, struct why *why)
{
    for (;;) {
        int64_t len = bytes->read(bytes->ctx, ingest->buffer, READ_BYTES, why);
        if (len <= 0) {
            return (int)len;
        }
        int err = capture_push(capture, (const uint8_t *)ingest->buffer, (size_t)len, why);
        if (ingest->err != 0) {
            return unwritable(ingest, why);
        }
        if (err != 0) {
            return err;
        }
        if (ingest->progress != NULL) {
            ingest->progress(ingest->progress_ctx, &capture->summary, bytes->consumed(bytes->ctx),
                             bytes->size);
        }
    }
}

int ingest_capture(struct ingest *ingest, const struct ingest_bytes *bytes,
                   const struct capture_options *options, struct capture_summary *summary,
                   struct why *why)
{
    struct capture capture;
    struct why end_why = {""};
    capture_init(&capture, options, &ingest->outlet);
    int err = read_all(ingest, &capture, bytes, why);
    int end = capture_end(&capture, &end_why);
    flush_outlet(&ingest->outlet);
    *summary = capture.summary;
    capture_fini(&capture);
    if (err == 0 && end != 0) {
        *why = end_why;
        err = end;
    }
    return err == 0 && ingest->err != 0 ? unwritable(ingest, why) : err;
}

void ingest_flowlog_begin(struct ingest *ingest, const struct capture_options *options)
{
    flowlog_init(&ingest->flowlog, options, &ingest->outlet);
}

int ingest_flowlog_add(struct ingest *ingest, const struct fact *fact, const uint8_t *answer)
{
    int err = flowlog_add(&ingest->flowlog, fact, answer, 0);
    return err == 0 && ingest->err != 0 ? W_ELIMIT : err;
}

int ingest_flowlog_end(struct ingest *ingest, struct capture_summary *summary, struct why *why)
{
    int err = flowlog_end(&ingest->flowlog);
    flush_outlet(&ingest->outlet);
    *summary = ingest->flowlog.summary;
    flowlog_fini(&ingest->flowlog);
    if (ingest->err != 0) {
        return unwritable(ingest, why);
    }
    return err == 0 ? 0 : why_set(why, err, "%s", err_str(err));
}

int ingest_finish(struct ingest *ingest, struct why *why)
{
    int err = applier_commit(&ingest->applier);
    return err == 0 ? 0 : why_set(why, err, "the index cannot be committed: %s", err_str(err));
}
