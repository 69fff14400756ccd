/* collector/feed.h -- the frames of one connection, capture or upload on their way to the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * A feed turns frames into records (collector/facts.h, collector/batch.h), keeps apart the streams
 * of the identities that come through it (a relay passes several on), and counts. Where a batch
 * goes when it is full is the outlet's business: to the writer's queue, or straight into the index.
 *
 * Threads: a feed and its outlet belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cluster.h"
#include "base/err.h"
#include "collector/batch.h"
#include "collector/facts.h"
#include "collector/hints.h"
#include "proto/answer.h"

/* Identities told apart in one feed; frames of further ones are filed under the last. */
#define FEED_STREAMS_MAX 64

/* Where records go. Zeroed but for `flush` and `ctx` is an outlet without a batch. */
struct outlet {
    struct batch *batch; /* being filled; NULL: none yet */
    /* Disposes of outlet->batch, if there is one, and provides an empty one. Returns 0 or -ENOMEM;
     * outlet->batch is then NULL. */
    int (*flush)(struct outlet *outlet);
    void *ctx;
    uint8_t answer[ANSWER_BYTES_MAX]; /* scratch */
};

/* Response codes counted one by one; the order is that of COUNT_RCODE_*. */
enum feed_rcode {
    FEED_NOERROR,
    FEED_NXDOMAIN,
    FEED_SERVFAIL,
    FEED_REFUSED,
    FEED_OTHER,
    FEED_RCODES
};

struct feed_counts {
    uint64_t kinds[FACT_KINDS];
    uint64_t rcodes[FEED_RCODES];
    uint64_t truncated;
};

/* Answers of a live sender that came in frames of which nothing can be kept. */
struct feed_loss {
    uint64_t count;
    int64_t from_us;
    int64_t to_us;
};

struct feed_stream {
    struct stream *stream;
    int64_t first_us; /* least and greatest time heard, 0 if none; live: none after its receipt */
    int64_t last_us;
    int64_t late_us; /* how far behind last_us a frame came, at most */
    bool heard;      /* since the last flush */
};

struct feed {
    /* for the caller to read */
    struct feed_counts counts;   /* since the last flush */
    struct feed_stream *streams; /* owned */
    uint32_t stream_count;
    /* for the caller to change: no more streams than this, but always one; FEED_STREAMS_MAX at the
     * start */
    uint32_t stream_max;
    /* private */
    struct stream like;    /* what streams are made after; its texts are borrowed */
    uint32_t current;      /* the stream of the last frame */
    struct tally tally;    /* of the frames since the last flush, all of `current` */
    bool nameless;         /* streams[0] stands for a sender that has said nothing yet */
    struct feed_loss loss; /* since the last flush */
    size_t fallback_len;
    const char *fallback;
    bool flows;
    const struct cluster_rule *cluster_rules;
    size_t cluster_rule_count;
    struct hints *hints; /* NULL until the first one comes */
};

struct feed_options {
    enum store_stream_kind kind;
    const char *cluster;  /* at most STORE_CLUSTER_MAX octets; copied */
    const char *peer;     /* borrowed: "tcp:192.0.2.1:4711", a file name */
    const char *fallback; /* the identity of frames that carry none, the same after a reconnect:
                             "tcp:192.0.2.1"; borrowed */
    bool flows;           /* its facts come from flow records by feed_fact: counted apart */
    /* Which cluster a sender is of by its identity; where none matches, `cluster`. Borrowed. */
    const struct cluster_rule *cluster_rules;
    size_t cluster_rule_count;
};

/* Never fails; allocates nothing until the first frame. */
void feed_init(struct feed *feed, const struct feed_options *options);
/* Frees the memory. The streams must have been ended, or their BEGIN never applied. */
void feed_fini(struct feed *feed);

/* Reads one data frame. `receipt_us` is the wall clock, 0 for a capture. Returns what became of it
 * (enum fact_kind), or -ENOMEM: the frame could not be kept, and the feed must be ended as cut. */
int feed_frame(struct feed *feed, struct outlet *outlet, const uint8_t *frame, size_t len,
               int64_t receipt_us);

/* Adds a fact that came without a frame: a FACT_ANSWER, or a FACT_ASKED where fact->answer_len is
 * 0. `answer` is read before the call returns. A fact of no client, or more than FACT_AWAY_MAX_US
 * after `now_us` (0: any time will do), is counted and not kept. Returns what became of it, or
 * -ENOMEM as feed_frame. */
int feed_fact(struct feed *feed, struct outlet *outlet, const struct fact *fact,
              const uint8_t *answer, int64_t now_us);

/* Begins a stream for a sender that is connected and has sent nothing yet, so that it is seen to be
 * there; it makes way for the first that has an identity. Does nothing if there is a stream.
 * Returns 0 or -ENOMEM. */
int feed_greet(struct feed *feed, struct outlet *outlet, int64_t now_us);

/* Writes up to where each stream was heard and adds the counts to the program's counters and, where
 * not NULL, to `sum`. Called once for each read. Returns 0 or -ENOMEM. */
int feed_flush(struct feed *feed, struct outlet *outlet, struct feed_counts *sum);

/* Ends all streams, after feed_flush. A capture covers what was heard, or from_us to to_us if they
 * are not 0. Returns 0 or -ENOMEM. */
int feed_end(struct feed *feed, struct outlet *outlet, enum store_stream_end end, int64_t from_us,
             int64_t to_us);
