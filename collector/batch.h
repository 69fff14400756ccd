/* collector/batch.h -- what is on its way to the index, as bytes
 * SPDX-License-Identifier: Apache-2.0
 *
 * A batch is one block of memory into which records are written one after another by whoever
 * receives frames, and which then goes to the writer as a whole: passing single records between
 * threads would cost more than reading them.
 *
 * A stream (one identity in one connection, capture or upload) is made by the receiver and belongs
 * to whoever applies the batch from its RECORD_BEGIN on. Its address is all that the receiver still
 * uses, as the mark of the records that follow; RECORD_END is the last of them and frees it.
 *
 * Threads: a batch belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "store/store.h"
#include "store/tally.h"

/* Octets of records in one batch; the longest record, a whole canonical answer, fits. */
#define BATCH_BYTES (256 * 1024)

struct stream {
    enum store_stream_kind kind;
    int64_t from_us;
    char cluster[STORE_CLUSTER_MAX + 1];
    size_t identity_len; /* at most STORE_IDENTITY_MAX, as the two below */
    size_t version_len;
    uint32_t number;         /* in the index, 0 until it is begun there */
    uint16_t cluster_number; /* likewise */
    const char *peer;        /* these three follow the struct */
    const uint8_t *identity;
    const uint8_t *version;
};

/* Copies all of `like`, cutting what is too long. NULL if memory is short. Freed by free(). */
struct stream *stream_new(const struct stream *like);

enum record_type {
    RECORD_BEGIN,
    RECORD_ASKED,
    RECORD_ANSWER,
    RECORD_HEARD,  /* frames up to time_us were handed over, some of them late_us later than due */
    RECORD_COVERS, /* a capture covers time_us to to_us */
    RECORD_TALLY,  /* what the stream's frames were: a struct tally in place of the answer */
    RECORD_HINT,   /* the client was a pod at time_us: "namespace/pod" in place of the answer */
    RECORD_LOST,   /* answers from time_us to to_us came in frames that cannot be used */
    RECORD_END,
};

struct record {
    uint32_t size;       /* of the record with its answer; a multiple of 8 */
    uint32_t answer_len; /* octets that follow the struct */
    uint8_t type;        /* enum record_type */
    uint8_t end;         /* END: enum store_stream_end */
    uint32_t ttl_s;      /* ANSWER */
    struct stream *stream;
    int64_t time_us; /* ASKED, ANSWER, HEARD, COVERS, LOST, HINT */
    union {
        struct addr client; /* ASKED, ANSWER, HINT */
        int64_t late_us;    /* HEARD */
        struct {
            int64_t to_us;  /* COVERS, LOST */
            uint64_t count; /* LOST */
        };
    };
};

struct batch {
    struct batch *next;
    uint64_t number; /* given when it is handed over; ascending */
    bool urgent;     /* somebody waits for its commit */
    size_t len;
    uint8_t data[] __attribute__((aligned(8)));
};

/* NULL if memory is short. Freed by free(). */
struct batch *batch_new(void);

/* Appends a record and returns it with `size`, `answer_len`, `type` and `stream` set, everything
 * else zero and the answer still to be written; NULL if the batch is too full for it. */
struct record *batch_add(struct batch *batch, enum record_type type, struct stream *stream,
                         size_t answer_len);

/* The record after `record`, for NULL the first; NULL at the end. */
struct record *batch_next(struct batch *batch, struct record *record);

/* What follows the record, answer_len octets: the canonical answer, a struct tally, or a hint. */
uint8_t *record_answer(struct record *record);
