/* store/tally.h -- what a sender sent, counted
 * SPDX-License-Identifier: Apache-2.0
 *
 * One tally for each stream, kept in the state beside it: from these numbers can be told whether a
 * sender sends what is needed (whole responses to clients), how late, and by which clock.
 *
 * Threads: plain data.
 */
#pragma once

#include <stdint.h>

enum tally_frame {
    TALLY_ANSWER,     /* a response to a client, with addresses */
    TALLY_NO_ADDRESS, /* a response to a client, without */
    TALLY_NO_MESSAGE, /* a response to a client, but the message itself is missing */
    TALLY_UNUSABLE,   /* a response to a client that cannot be used for another reason */
    TALLY_QUERY,      /* a client's question */
    TALLY_FORWARDER,  /* between the sender and its upstream */
    TALLY_OTHER,      /* any other type */
    TALLY_BAD,        /* no dnstap message */
    TALLY_FRAMES,
};

/* Upper bounds of the classes of delay from a response to its receipt; the last class has none. */
#define TALLY_DELAY_BOUNDS_MS                                                                      \
    {                                                                                              \
        100, 500, 1000, 2000, 5000, 10000, 30000, 60000                                            \
    }
enum { TALLY_DELAYS = 9 };

struct tally {
    uint64_t frames[TALLY_FRAMES];
    uint64_t delays[TALLY_DELAYS]; /* live responses by delay */
    uint64_t ahead;                /* live responses from more than TALLY_AHEAD_US in the future */
    int64_t ahead_max_us;          /* the farthest */
    /* Answers to a name with a search domain after it that lead to the name itself by a CNAME
     * (CoreDNS autopath). */
    uint64_t search_answers;
};

/* Closer than this two clocks need not agree. */
#define TALLY_AHEAD_US (INT64_C(500) * 1000)

/* Adds `more` to `sum`. */
void tally_add(struct tally *sum, const struct tally *more);
/* Counts one live response that came `delay_us` after its own time (negative: before). */
void tally_delay(struct tally *tally, int64_t delay_us);
