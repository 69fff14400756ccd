/* api/flows.h -- POST /v1/flows: flow records from a log shipper in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 *
 * The body is kept as it came, compressed or not, and read twice: once to count, so that the header
 * can say what was wrong with it, and to hand the DNS responses among the records to the index;
 * and once more while the reply is sent, a batch at a time. So a request needs its own body and one
 * batch, however long the reply is.
 *
 * Threads: a request's flows belong to one thread at a time: that of the request, and between
 * pending_hold and request_resume that of api/pending.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/held.h"
#include "api/problem.h"
#include "base/err.h"
#include "join/join.h"
#include "store/store.h"

struct worker;

enum flows_form {
    FLOWS_PLAIN, /* any format; gzip and zstd are found by content */
    FLOWS_ZLIB,  /* the same as a zlib stream */
    FLOWS_LOKI,  /* Loki's push protocol (join/loki_push.h) */
};

struct flows_counts {
    uint64_t flows; /* records of flows, repeats included */
    uint64_t left_out;
    uint64_t dns;
    uint64_t bad;
};

struct flows {
    /* set by the route */
    struct worker *worker;
    enum flows_form form;
    const struct format *format; /* NULL: by content */
    char cluster[STORE_CLUSTER_MAX + 1];
    bool reply;      /* else the records are only counted */
    int64_t wait_us; /* how long it may wait until its flows are settled; 0: not at all */
    struct held body;
    /* set by flows_survey */
    struct flows_counts counts;
    struct why fault;     /* the first bad record */
    int64_t latest_us;    /* the latest time of a flow, 0: none */
    int64_t deadline_us;  /* monotonic: when waiting ends */
    struct flows *next;   /* in the list of those that wait */
    struct request *held; /* whose it is, while it waits */
    /* of the reply */
    struct join *join;
    struct join_oracle oracle;
    size_t at; /* octets of the body that were read */
    struct buf out;
    size_t sent;
    bool done;
    bool slot; /* counted in api->replies */
};

/* NULL if memory is short. The worker is borrowed. */
struct flows *flows_new(struct worker *worker);
void flows_free(struct flows *flows);

/* The first reading. Sets the problem where not one record was understood (400), the body is too
 * long uncompressed (413), or the index cannot take the DNS responses (503): a sender then tries
 * again, and what it sends twice is in the index once. */
void flows_survey(struct flows *flows, struct parser *parser, struct problem *problem);
/* Makes ready for the second reading. Returns 0 or -ENOMEM. */
int flows_begin_reply(struct flows *flows);
/* struct stream: writes up to `cap` bytes of the reply, one ECS record a line. */
ssize_t flows_read(void *flows, char *bytes, size_t cap);
void flows_end_reply(void *flows);
