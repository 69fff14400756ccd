/* collector/capture.h -- a Frame Streams capture on its way to the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * Takes the bytes of a capture in any split: of a file (collector/ingest.h) or of an upload
 * (collector/upload.h). Several captures one after another are read as one. Whatever is whole
 * before a damaged place is kept.
 *
 * Threads: a capture belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "collector/feed.h"
#include "proto/framestream.h"

struct capture_options {
    const char *cluster;                      /* at most STORE_CLUSTER_MAX octets; copied */
    const struct cluster_rule *cluster_rules; /* as in struct feed_options; borrowed */
    size_t cluster_rule_count;
    const char *peer;       /* the file, or who sends it; borrowed */
    int64_t covers_from_us; /* what it covers where its user said so, else both 0 */
    int64_t covers_to_us;
};

/* What was loaded. */
struct capture_summary {
    struct feed_counts counts;
    uint64_t frames;
    uint64_t records;  /* DNS responses of flow logs */
    uint64_t oversize; /* frames skipped because of their length */
    uint64_t cut;      /* captures that end in the middle of a frame, as after a crash */
    int64_t first_us;  /* least and greatest time of a response, 0 if none */
    int64_t last_us;
};

struct capture {
    /* for the caller to read */
    struct capture_summary summary;
    /* private */
    struct fs_decoder decoder;
    struct feed feed;
    struct outlet *outlet;
    struct capture_options options;
    uint64_t octets; /* pushed so far */
    bool begun;      /* START was seen */
};

/* `outlet` is borrowed. Never fails. */
void capture_init(struct capture *capture, const struct capture_options *options,
                  struct outlet *outlet);
void capture_fini(struct capture *capture);

/* Takes the next bytes. Returns 0; W_EFORMAT where this is no Frame Streams capture of dnstap;
 * W_ESYNTAX where it is damaged, with the byte offset in `why`; -ENOMEM. After an error only
 * capture_end may follow, which keeps what was read. */
int capture_push(struct capture *capture, const uint8_t *bytes, size_t len, struct why *why);

/* Ends the streams and completes the summary; the outlet's last batch is the caller's. Returns 0;
 * W_EFORMAT where not even START was seen; -ENOMEM. */
int capture_end(struct capture *capture, struct why *why);

/* Notes in a summary from when to when the streams of a feed were heard. */
void capture_span(struct capture_summary *summary, const struct feed *feed);

/* Adds up what several captures gave. */
void capture_add(struct capture_summary *sum, const struct capture_summary *summary);

/* Writes a summary as one JSON object: "frames", "answers", "no_address", "skipped" (by
 * reason), "cut", "first" and "last" (RFC 3339 or null). */
void capture_json(const struct capture_summary *summary, struct buf *buf);
