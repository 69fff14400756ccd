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
#include "proto/name.h"

/* A text as a JSON string: a control character takes six octets, an octet that is not UTF-8 three.
 */
#define PEN_TEXT_ROOM(LEN) ((LEN)*6 + 2)
/* A name of so many octets as a JSON string: an octet may become a backslash, which JSON escapes,
 * and three digits. */
#define PEN_NAME_ROOM(LEN) ((LEN)*5 + 3)

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

/* At most 20 octets. */
static inline void pen_int(struct pen *pen, int64_t value)
{
    if (value < 0) {
        *pen->at++ = '-';
    }
    pen_uint(pen, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static inline void pen_bool(struct pen *pen, bool value)
{
    pen_add(pen, value ? "true" : "false", value ? 4 : 5);
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
/* Escapes the backslashes (and quotes) of a name's text where it stands; returns its new end. */
char *pen_escape_name(char *text, size_t len);

/* True if eight octets may be printable ASCII without quotes and backslashes; never true where they
 * are not. */
static inline bool pen_plain8(uint64_t octets)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = octets ^ ones * '"';
    uint64_t backslash = octets ^ ones * '\\';
    /* A borrow from the octet below can only make an octet look odd that is not. */
    uint64_t odd = (octets - ones * 0x20) | (octets + ones) | octets | ((quote - ones) & ~quote) |
                   ((backslash - ones) & ~backslash);
    return (odd & ones * 0x80) == 0;
}

static inline bool pen_plain(struct text text)
{
    uint64_t octets;
    size_t at = 0;
    for (; at + sizeof(octets) <= text.len; at += sizeof(octets)) {
        memcpy(&octets, text.data + at, sizeof(octets));
        if (!pen_plain8(octets)) {
            return false;
        }
    }
    for (; at < text.len; at++) {
        unsigned char c = (unsigned char)text.data[at];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static inline void pen_json(struct pen *pen, struct buf *buf, struct text text)
{
    if (!pen_plain(text)) {
        pen_json_slow(pen, buf, text);
        return;
    }
    *pen->at++ = '"';
    pen_add(pen, text.data, text.len);
    *pen->at++ = '"';
}

/* A name as a JSON string. */
static inline void pen_name(struct pen *pen, const uint8_t *wire)
{
    char *text = pen->at + 1;
    size_t len = name_to_text(wire, text);
    *pen->at = '"';
    pen->at += 1 + len;
    if (memchr(text, '\\', len) != NULL) {
        pen->at = pen_escape_name(text, len);
    }
    *pen->at++ = '"';
}
