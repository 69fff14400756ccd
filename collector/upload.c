/* collector/upload.c -- captures that come in over HTTP, for the writer of a running service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The longest an upload waits for the disk at a time. */
#define WAIT_MAX_US (30 * US_PER_S)

struct upload {
    struct uploads *uploads;
    struct outlet outlet;
    struct capture capture;
    char *cluster;
    char *peer;
};

static void hand_over(struct upload *upload)
{
    if (upload->outlet.batch != NULL) {
        writer_hand_over(upload->uploads->writer, upload->outlet.batch, false);
        upload->outlet.batch = NULL;
    }
}

/* Called in the middle of a push; room was waited for before it. */
static int flush_outlet(struct outlet *outlet)
{
    struct upload *upload = outlet->ctx;
    hand_over(upload);
    writer_wait_room(upload->uploads->writer, WAIT_MAX_US);
    outlet->batch = writer_take(upload->uploads->writer);
    return outlet->batch == NULL ? -ENOMEM : 0;
}

static void upload_free(struct upload *upload)
{
    capture_fini(&upload->capture);
    atomic_fetch_sub(&upload->uploads->open, 1);
    free(upload->cluster);
    free(upload->peer);
    free(upload);
}

int upload_begin(struct upload **out, struct uploads *uploads,
                 const struct capture_options *options, struct why *why)
{
    *out = NULL;
    if (strlen(options->cluster) > STORE_CLUSTER_MAX) {
        return why_set(why, W_ELIMIT, "cluster: expected at most %d octets", STORE_CLUSTER_MAX);
    }
    if (atomic_fetch_add(&uploads->open, 1) >= UPLOADS_MAX) {
        atomic_fetch_sub(&uploads->open, 1);
        return why_set(why, -EBUSY, "%d captures are being loaded already", UPLOADS_MAX);
    }
    struct upload *upload = calloc(1, sizeof(*upload));
    char *cluster = strdup(options->cluster);
    char *peer = strdup(options->peer);
    if (upload == NULL || cluster == NULL || peer == NULL) {
        atomic_fetch_sub(&uploads->open, 1);
        free(upload);
        free(cluster);
        free(peer);
        return why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
    }
    upload->uploads = uploads;
    upload->cluster = cluster;
    upload->peer = peer;
    upload->outlet.flush = flush_outlet;
    upload->outlet.ctx = upload;
    struct capture_options copy = *options;
    copy.cluster = cluster;
    copy.peer = peer;
    capture_init(&upload->capture, &copy, &upload->outlet);
    *out = upload;
    return 0;
}

int upload_push(struct upload *upload, const uint8_t *bytes, size_t len, struct why *why)
{
    if (!writer_wait_room(upload->uploads->writer, WAIT_MAX_US)) {
        return why_set(why, -ETIMEDOUT, "the index is written more slowly than captures arrive");
    }
    return capture_push(&upload->capture, bytes, len, why);
}

/* Hands the last batch over and waits until everything is committed. */
static int commit(struct upload *upload, struct why *why)
{
    struct writer *writer = upload->uploads->writer;
    if (upload->outlet.batch == NULL) {
        return 0;
    }
    uint64_t number = writer_hand_over(writer, upload->outlet.batch, true);
    upload->outlet.batch = NULL;
    if (!writer_wait_committed(writer, number, WAIT_MAX_US)) {
        return why_set(why, -ETIMEDOUT, "the index was not committed in time");
    }
    int err = writer_error(writer);
    return err == 0 ? 0 : why_set(why, err, "the index cannot be committed: %s", err_str(err));
}

int upload_end(struct upload **out, struct buf *summary, struct why *why)
{
    struct upload *upload = *out;
    *out = NULL;
    struct why unused;
    int err = capture_end(&upload->capture, why);
    int committed = commit(upload, err == 0 ? why : &unused);
    err = err == 0 ? committed : err;
    if (err == 0) {
        capture_json(&upload->capture.summary, summary);
    }
    upload_free(upload);
    return err;
}

void upload_abort(struct upload **out)
{
    struct upload *upload = *out;
    *out = NULL;
    if (upload != NULL) {
        struct why unused;
        capture_end(&upload->capture, &unused);
        hand_over(upload);
        upload_free(upload);
    }
}
