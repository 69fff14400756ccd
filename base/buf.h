/* base/buf.h -- a growing byte buffer, and JSON written into it
 * SPDX-License-Identifier: Apache-2.0
 *
 * One buffer type for everything that is built up and then sent: lines, HTTP bodies, tables.
 * The error is sticky: after a failed allocation or an exceeded limit every call is a no-op and
 * `err` says why; check it once at the end. Zeroed memory is an empty buffer without a limit.
 *
 * JSON: buf_json_* write values and escape strings (RFC 8259); commas are the caller's. Bytes that
 * are not UTF-8 are written as U+FFFD, so that the output is always valid JSON.
 *
 * Threads: a buffer belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* owned; not terminated */
    size_t len; /* bytes used */
    size_t cap; /* bytes allocated */
    size_t max; /* limit on len, 0 for none */
    int err;    /* 0, -ENOMEM or W_ELIMIT; sticky */
};

/* Frees the memory and leaves an empty buffer with the same limit. */
void buf_fini(struct buf *buf);
/* Empties the buffer and clears its error; keeps the memory. */
void buf_reset(struct buf *buf);

/* Makes room for `len` more bytes and returns where they go, or NULL (sticky error). The caller
 * writes there and then adds what it wrote to buf->len. */
char *buf_room(struct buf *buf, size_t len);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, const char *text);
void buf_char(struct buf *buf, char c);
void buf_int(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A quoted, escaped JSON string of `len` bytes. */
void buf_json_str(struct buf *buf, const char *text, size_t len);
/* `"key":` */
void buf_json_key(struct buf *buf, const char *key);
