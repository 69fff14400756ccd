/* join/pen.h -- quick writing of a record into a buffer
 * SPDX-License-Identifier: Apache-2.0
 *
 * Room for a whole record is made once; then pieces are written without asking each time. The
 * caller knows how much that is at most: PEN_TEXT_ROOM for a text, a constant for the rest.
 *
 * Threads: as the buffer.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "join/text.h"

/* A text as a JSON string: a control character takes six octets, an octet that is not UTF-8 three.
 */
#define PEN_TEXT_ROOM(LEN) ((LEN)*6 + 2)

struct pen {
    char *at; /* NULL: no memory, and nothing may be written */
};

static inline bool pen_begin(struct pen *pen, struct buf *buf, size_t room)
{
    pen->at = buf_room(buf, room);
    return pen->at != NULL;
}

static inline void pen_end(struct pen *pen, struct buf *buf)
{
    buf->len = (size_t)(pen->at - buf->data);
}

static inline void pen_add(struct pen *pen, const char *text, size_t len)
{
    memcpy(pen->at, text, len);
    pen->at += len;
}

/* A string literal. */
#define PEN(pen, LITERAL) pen_add((pen), (LITERAL), sizeof(LITERAL) - 1)

static inline void pen_str(struct pen *pen, const char *text)
{
    pen_add(pen, text, strlen(text));
}

/* At most 20 digits. */
static inline void pen_uint(struct pen *pen, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    pen_add(pen, digits + at, sizeof(digits) - at);
}

/* Quoted. */
static inline void pen_addr(struct pen *pen, const struct addr *addr)
{
    *pen->at++ = '"';
    pen->at += addr_print(addr, pen->at);
    *pen->at++ = '"';
}

/* Quoted. */
static inline void pen_time(struct pen *pen, int64_t time_us)
{
    *pen->at++ = '"';
    pen->at += time_print(time_us, pen->at);
    *pen->at++ = '"';
}

/* Ends the pen's stay in the buffer for one string that needs escapes, and takes it up again with
 * the room that is left: the escaped text has its PEN_TEXT_ROOM. */
void pen_json_slow(struct pen *pen, struct buf *buf, struct text text);

static inline void pen_json(struct pen *pen, struct buf *buf, struct text text)
{
    unsigned char odd = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        odd |= (unsigned char)(c < 0x20 || c >= 0x7f || c == '"' || c == '\\');
    }
    if (odd) {
        pen_json_slow(pen, buf, text);
        return;
    }
    *pen->at++ = '"';
    pen_add(pen, text.data, text.len);
    *pen->at++ = '"';
}
