/* join/skip.h -- why a record is left out of the result
 * SPDX-License-Identifier: Apache-2.0
 *
 * Left out is not bad: these records were understood, and there is nothing to say about them.
 *
 * Threads: everything here is stateless.
 */
#pragma once

enum skip {
    SKIP_NOT_A_FLOW, /* another event of the same stream: lost_events, another kernel message */
    SKIP_L7,         /* a request within a connection; a DNS answer of no resolver */
    SKIP_DNS,        /* a DNS response, which is for the index */
    SKIP_REPLY,      /* the way back */
    SKIP_INGRESS,    /* the destination's copy of a connection */
    SKIP_REPEAT,     /* the same 5-tuple within REPEAT_US, or an update of a connection */
    SKIP_COUNT,
};

/* "not-a-flow", "l7", "dns", "reply", "ingress", "repeat". */
const char *skip_name(enum skip skip);
