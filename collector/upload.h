/* collector/upload.h -- captures that come in over HTTP, for the writer of a running service
 * SPDX-License-Identifier: Apache-2.0
 *
 * The index has one writer, so whoever has a capture and no writer sends it to the service. An
 * upload waits for room in the writer's queue as connections do, and ends when it is committed.
 *
 * Threads: any number of uploads up to UPLOADS_MAX at once, each in one thread at a time.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "collector/capture.h"
#include "collector/writer.h"

/* Each may hold a batch. */
#define UPLOADS_MAX 4

/* What the uploads of one service share. */
struct uploads {
    struct writer *writer; /* borrowed; outlives every upload */
    atomic_uint open;
};

struct upload;

/* Copies what the options point to. Returns 0, -EBUSY (UPLOADS_MAX are open), W_ELIMIT where the
 * cluster's name is too long, or -ENOMEM. */
int upload_begin(struct upload **upload, struct uploads *uploads,
                 const struct capture_options *options, struct why *why);
/* As capture_push; -ETIMEDOUT where the writer's queue stayed full. */
int upload_push(struct upload *upload, const uint8_t *bytes, size_t len, struct why *why);
/* Commits, writes the summary as a JSON object, frees. As capture_end; or the error of the commit.
 */
int upload_end(struct upload **upload, struct buf *summary, struct why *why);
/* Keeps what was read so far, and frees. NULL is fine. */
void upload_abort(struct upload **upload);
