/* collector/facts.h -- from one dnstap frame to what the index wants to know
 * SPDX-License-Identifier: Apache-2.0
 *
 * A frame becomes one of FACT_*: which client asked, when, and if the response carried addresses,
 * the canonical answer set. The same function serves live connections, captures and uploads.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/counters.h"
#include "proto/answer.h"
#include "proto/dnstap.h"

/* A live frame further than this from its receipt is refused (DESIGN section 7). */
#define FACT_AWAY_MAX_US (INT64_C(600) * 1000000)

/* What became of a frame. The order is that of COUNT_FRAME_*, see fact_counter. */
enum fact_kind {
    FACT_ANSWER,       /* a response with addresses: everything is set */
    FACT_ASKED,        /* a response without addresses, whatever the rcode: the client asked */
    FACT_SKIPPED,      /* a type that is not indexed */
    FACT_BAD,          /* not a dnstap message */
    FACT_BAD_DNS,      /* the response is malformed, or no response */
    FACT_NO_CLIENT,    /* no usable client address */
    FACT_NO_TIME,      /* no usable time */
    FACT_NO_MESSAGE,   /* the response itself is missing: CoreDNS without `full` */
    FACT_REFUSED_TIME, /* live, and more than FACT_AWAY_MAX_US from its receipt */
    FACT_KINDS,
};

/* A word for each, as in the labels of the counters: "answer", "no-address", ... */
const char *fact_name(enum fact_kind kind);
enum counter fact_counter(enum fact_kind kind);

struct fact {
    /* Set for FACT_ANSWER and FACT_ASKED, and except for the answer for FACT_BAD_DNS. */
    struct addr client;
    int64_t time_us;
    uint32_t ttl_s;
    uint16_t rcode;
    bool truncated;
    enum answer_source source; /* feed_fact: who saw it; fact_read: dnstap */
    size_t answer_len;
    uint32_t type; /* of the message (enum dnstap_type); set for every kind but FACT_BAD */
    /* Set for every kind but FACT_SKIPPED and FACT_BAD; they point into the frame. */
    struct span identity;
    struct span version;
    struct span extra;
};

/* True for the kinds after which the sender counts as heard at fact.time_us. */
static inline bool fact_is_heard(enum fact_kind kind)
{
    return kind == FACT_ANSWER || kind == FACT_ASKED || kind == FACT_BAD_DNS;
}

/* Can it be somebody's? 0.0.0.0 and :: stand for an address the sender does not know. */
bool fact_is_client(const struct addr *addr);

/* Reads one data frame. `receipt_us` is the wall clock at its receipt, or 0 for a capture, whose
 * frames may be of any time. The canonical answer goes to `answer` (ANSWER_BYTES_MAX octets). */
enum fact_kind fact_read(const uint8_t *frame, size_t len, int64_t receipt_us, struct fact *fact,
                         uint8_t *answer);
