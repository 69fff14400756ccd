/* tests/support/tap_build.h -- dnstap frames and Frame Streams captures, for tests
 * SPDX-License-Identifier: Apache-2.0
 *
 * Frames are packed by protobuf-c and DNS messages by tests/support/dns_build.h, so that nothing
 * here shares code with what it tests. What cannot be built fails the running test.
 *
 * Threads: stateless but for a buffer that belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/framestream.h"

struct tap {
    uint32_t type;        /* 0: CLIENT_RESPONSE */
    const char *identity; /* NULL: absent */
    const char *version;
    const char *extra;
    const char *client;       /* NULL: absent */
    int64_t query_time_us;    /* 0: absent */
    int64_t response_time_us; /* 0: absent */
    uint16_t flags;           /* of the DNS message; 0: QR */
    const char *lines;        /* of the DNS message (dns_build.h); NULL: no message */
    bool cut;                 /* the DNS message lacks its last octet */
};

/* Appends the payload of a data frame. */
void tap_build(struct buf *out, const struct tap *tap);
/* Appends a data frame: the length, then the payload. */
void tap_frame(struct buf *out, const struct tap *tap);
/* Appends a control frame: fs_start() and the like. */
void tap_control(struct buf *out, struct fs_frame control);
/* Appends a frame that answers `name` with `address` (IPv4), TTL 60. */
void tap_answer(struct buf *out, const char *identity, const char *client, int64_t time_us,
                const char *name, const char *address);
