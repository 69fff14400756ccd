/* base/buf.c -- a growing byte buffer, and JSON written into it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->err = 0;
}

char *buf_room(struct buf *buf, size_t len)
{
    if (buf->err != 0) {
        return NULL;
    }
    if (buf->max != 0 && (len > buf->max || buf->len > buf->max - len)) {
        buf->err = W_ELIMIT;
        return NULL;
    }
    if (buf->cap - buf->len < len) {
        size_t cap = buf->cap == 0 ? 256 : buf->cap;
        while (cap - buf->len < len) {
            cap *= 2;
        }
        char *data = realloc(buf->data, cap);
        if (data == NULL) {
            buf->err = -ENOMEM;
            return NULL;
        }
        buf->data = data;
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    /* Nothing may come from nowhere, and an empty buffer has no memory to point into. */
    char *at = len > 0 ? buf_room(buf, len) : NULL;
    if (at != NULL) {
        memcpy(at, bytes, len);
        buf->len += len;
    }
}

void buf_str(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_int(struct buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        buf_char(buf, '-');
    }
    buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *at = len < 0 ? NULL : buf_room(buf, (size_t)len + 1);
    if (at == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

/* The length of the valid UTF-8 sequence at `text`, 0 if there is none (RFC 3629). */
static size_t utf8_len(const unsigned char *text, size_t len)
{
    size_t need = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || need > len) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xed && text[1] > 0x9f;
    bool beyond = text[0] == 0xf4 && text[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : need;
}

/* Writes the one byte at `text` that cannot stand in a JSON string as itself. */
static void json_escape(struct buf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(buf, "\\\"", 2);
        break;
    case '\\':
        buf_add(buf, "\\\\", 2);
        break;
    case '\n':
        buf_add(buf, "\\n", 2);
        break;
    case '\t':
        buf_add(buf, "\\t", 2);
        break;
    case '\r':
        buf_add(buf, "\\r", 2);
        break;
    default:
        if (c < 0x20) {
            buf_printf(buf, "\\u%04x", c);
        } else {
            buf_add(buf, "\xef\xbf\xbd", 3);
        }
    }
}

void buf_json_str(struct buf *buf, const char *text, size_t len)
{
    const unsigned char *in = (const unsigned char *)text;
    size_t plain = 0; /* start of the run not yet written */
    buf_char(buf, '"');
    for (size_t i = 0; i < len;) {
        size_t step = 1;
        if (in[i] >= 0x20 && in[i] < 0x80 && in[i] != '"' && in[i] != '\\') {
            i += step;
            continue;
        }
        step = in[i] >= 0x80 ? utf8_len(in + i, len - i) : 0;
        if (step == 0) {
            buf_add(buf, text + plain, i - plain);
            json_escape(buf, in[i]);
            step = 1;
            plain = i + 1;
        }
        i += step;
    }
    buf_add(buf, text + plain, len - plain);
    buf_char(buf, '"');
}

void buf_json_key(struct buf *buf, const char *key)
{
    buf_char(buf, '"');
    buf_str(buf, key);
    buf_add(buf, "\":", 2);
}
