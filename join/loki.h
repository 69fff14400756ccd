/* join/loki.h -- the entries of a Loki response, without holding the response
 * SPDX-License-Identifier: Apache-2.0
 *
 * A push splitter: any pieces of {"status":"success","data":{"result":[{"values":[[...],...]}]}}
 * (query_range) or {"streams":[{"values":[...]}]} (tail) go in, each entry comes out as the JSON
 * array it is. Documents may follow one another. Only what tells where entries are is checked here;
 * the entries themselves are parsed by FORMAT_LOKI.
 *
 * The labels of the entries' stream ("stream":{...}) are at hand if they stand before its "values",
 * as Loki writes them; behind them they are not seen.
 *
 * Memory: one entry, at most RECORD_LEN_MAX, and labels of LOKI_LABELS_MAX.
 * Threads: a splitter belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "join/text.h"

enum { LOKI_DEPTH_MAX = 32, LOKI_KEY_MAX = 12 };
/* Longer labels are done without. */
#define LOKI_LABELS_MAX (64 * 1024)

enum loki_event {
    LOKI_AGAIN,    /* all input consumed; push more */
    LOKI_ENTRY,    /* a whole entry, valid until the next call */
    LOKI_OVERSIZE, /* an entry longer than RECORD_LEN_MAX was passed over */
    LOKI_ERROR,    /* no such document: `what` says why; no more events follow */
};

struct loki_level {
    char kind; /* '{' or '[' */
    uint8_t key_len;
    char key[LOKI_KEY_MAX]; /* object: of the member in hand; a longer one is none of ours */
};

struct loki {
    const char *what; /* after LOKI_ERROR: static */
    uint64_t offset;  /* octets consumed */
    uint64_t stream;  /* number of the stream that the last entry is of, from 1 */
    /* private */
    const char *in;
    size_t in_len;
    bool in_string;
    bool escaped;     /* the last octet was a backslash in a string */
    bool key_next;    /* the next string is a key */
    bool reading_key; /* the string in hand is a key */
    bool oversize;
    unsigned depth;
    struct buf *taking;    /* what is in hand: NULL, an entry, or labels */
    unsigned taking_depth; /* its depth */
    struct loki_level levels[LOKI_DEPTH_MAX];
    struct buf entry;
    struct buf labels;
};

/* True if the beginning of an input looks like such a document. */
bool loki_sniff(struct text head);
/* True if it looks like the response to a query that failed. */
bool loki_is_error(struct text head);

void loki_init(struct loki *loki);
void loki_fini(struct loki *loki);
/* Legal at the start and after LOKI_AGAIN; `data` must stay valid until LOKI_AGAIN is returned. */
void loki_push(struct loki *loki, const char *data, size_t len);
enum loki_event loki_next(struct loki *loki, struct text *entry);
/* The labels of the last entry's stream as a JSON object, valid until the next call; data is NULL
 * if there are none. */
struct text loki_labels(const struct loki *loki);
/* True if the input may end here: not within a document. */
bool loki_whole(const struct loki *loki);
