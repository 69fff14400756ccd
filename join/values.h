/* join/values.h -- JSON objects that do not stand one on a line
 * SPDX-License-Identifier: Apache-2.0
 *
 * A push splitter: what goes in, in any pieces, is objects one after another, with or without white
 * space or commas between them, or arrays of such ([{...},{...}]); each object comes out as it is
 * written. Log shippers send them so: Fluent Bit's `json` and `json_stream`, Vector's `json`; and
 * pretty printers write them. Only what tells where an object ends is checked here, the objects are
 * parsed by their format.
 *
 * Memory: one object, at most RECORD_LEN_MAX. Threads: a splitter belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "join/text.h"

enum values_event {
    VALUES_AGAIN,    /* all input consumed; push more */
    VALUES_OBJECT,   /* a whole object, valid until the next call */
    VALUES_OVERSIZE, /* an object longer than RECORD_LEN_MAX was passed over */
    VALUES_ERROR,    /* what stands here is no object: `what` says why; no more events follow */
};

struct values {
    const char *what; /* after VALUES_ERROR: static */
    uint64_t offset;  /* octets consumed */
    /* private */
    const char *in;
    size_t in_len;
    bool in_array; /* between objects: within an array */
    bool in_string;
    bool escaped;   /* the last octet was a backslash in a string */
    uint32_t depth; /* within an object, 0: between objects */
    struct buf object;
};

/* True if the beginning of an input looks like such objects and not like one object on a line. */
bool values_sniff(struct text head);

void values_init(struct values *values);
void values_fini(struct values *values);
/* Legal at the start and after VALUES_AGAIN; `data` must stay valid until VALUES_AGAIN is returned.
 */
void values_push(struct values *values, const char *data, size_t len);
enum values_event values_next(struct values *values, struct text *object);
/* True if the input may end here: not within an object or array. */
bool values_whole(const struct values *values);
