/* join/loki_push.c -- Loki's push protocol, as Alloy and Promtail speak it, as the JSON form
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_push.h"

#include <errno.h>
#include <inttypes.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "join/text.h"

/* ---- Protocol buffers ---- */

/* What is left of a message. */
struct message {
    const uint8_t *at;
    const uint8_t *end;
};

struct field {
    uint32_t number;
    uint64_t value;      /* a varint */
    struct message data; /* length-delimited; else empty */
};

static bool read_varint(struct message *message, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && message->at < message->end; shift += 7) {
        uint8_t octet = *message->at++;
        *value |= (uint64_t)(octet & 0x7f) << shift;
        if ((octet & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

/* The next field: 1, 0 at the end, W_ESYNTAX. */
static int next_field(struct message *message, struct field *field)
{
    enum { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };
    uint64_t tag;
    *field = (struct field){0};
    if (message->at == message->end) {
        return 0;
    }
    if (!read_varint(message, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        return W_ESYNTAX;
    }
    field->number = (uint32_t)(tag >> 3);
    uint64_t len = 0;
    switch (tag & 7) {
    case VARINT:
        return read_varint(message, &field->value) ? 1 : W_ESYNTAX;
    case FIXED64:
        len = 8;
        break;
    case FIXED32:
        len = 4;
        break;
    case DELIMITED:
        if (!read_varint(message, &len)) {
            return W_ESYNTAX;
        }
        break;
    default:
        return W_ESYNTAX;
    }
    if (len > (uint64_t)(message->end - message->at)) {
        return W_ESYNTAX;
    }
    field->data = (struct message){message->at, message->at + len};
    message->at += len;
    return 1;
}

static struct text text_of(struct message message)
{
    return (struct text){(const char *)message.at, (size_t)(message.end - message.at)};
}

/* ---- The request ---- */

/* An escape within a quoted label value: what it means, and how long it is. Others than these are
 * kept as they are. */
static size_t unescape(struct text text, char *out)
{
    static const char ESCAPES[] = "n\nt\tr\r\"\"\\\\";
    for (size_t i = 0; text.len > 1 && i + 1 < sizeof(ESCAPES); i += 2) {
        if (text.data[1] == ESCAPES[i]) {
            *out = ESCAPES[i + 1];
            return 2;
        }
    }
    *out = text.data[0];
    return 1;
}

/* One `name="value"` of `labels` as a JSON member. Returns false where there is none. */
static bool put_label(struct text *labels, struct buf *value, struct buf *json)
{
    const char *equals = memmem(labels->data, labels->len, "=\"", 2);
    if (equals == NULL || value->err != 0) {
        return false;
    }
    struct text name = {labels->data, (size_t)(equals - labels->data)};
    while (name.len > 0 && memchr("{, ", name.data[0], 3) != NULL) {
        name.data++;
        name.len--;
    }
    const char *end = labels->data + labels->len;
    const char *at = equals + 2;
    buf_reset(value);
    while (at < end && *at != '"') {
        char c;
        size_t used = *at == '\\' ? unescape((struct text){at, (size_t)(end - at)}, &c) : 1;
        buf_char(value, *at == '\\' ? c : *at);
        at += used;
    }
    if (at == end || name.len == 0) {
        return false;
    }
    buf_json_str(json, name.data, name.len);
    buf_char(json, ':');
    buf_json_str(json, value->data != NULL ? value->data : "", value->len);
    *labels = (struct text){at + 1, (size_t)(end - at - 1)};
    return true;
}

/* {job="x", node="n"}; what is not of that form is left out. */
static void put_labels(struct text labels, struct buf *value, struct buf *json)
{
    size_t before;
    bool more = true;
    buf_str(json, "{\"stream\":{");
    for (size_t count = 0; more; count++) {
        before = json->len;
        buf_str(json, count > 0 ? "," : "");
        more = put_label(&labels, value, json);
    }
    json->len = json->err == 0 ? before : json->len;
    buf_str(json, "},\"values\":[");
}

/* The nanoseconds of a Timestamp; 0 for one that is out of range. */
static int read_time(struct message message, uint64_t *time_ns)
{
    enum { SECONDS = 1, NANOS = 2 };
    struct field field;
    uint64_t seconds = 0, nanos = 0;
    int err;
    while ((err = next_field(&message, &field)) > 0) {
        seconds = field.number == SECONDS ? field.value : seconds;
        nanos = field.number == NANOS ? field.value : nanos;
    }
    bool sane = seconds < UINT64_MAX / 1000000000 - 1 && nanos < 1000000000;
    *time_ns = sane ? seconds * 1000000000 + nanos : 0;
    return err;
}

static int put_entry(struct message message, struct buf *json)
{
    enum { TIMESTAMP = 1, LINE = 2 };
    struct field field;
    struct text line = {"", 0};
    uint64_t time_ns = 0;
    int err;
    while ((err = next_field(&message, &field)) > 0) {
        if (field.number == TIMESTAMP) {
            err = read_time(field.data, &time_ns);
        } else if (field.number == LINE) {
            line = text_of(field.data);
        }
        if (err < 0) {
            return err;
        }
    }
    buf_printf(json, "[\"%" PRIu64 "\",", time_ns);
    buf_json_str(json, line.data, line.len);
    buf_char(json, ']');
    return err;
}

static int put_stream(struct message message, struct buf *value, struct buf *json)
{
    enum { LABELS = 1, ENTRIES = 2 };
    struct field field;
    struct message rest = message;
    struct text labels = {"", 0};
    bool first = true;
    int err;
    while ((err = next_field(&rest, &field)) > 0) {
        labels = field.number == LABELS ? text_of(field.data) : labels;
    }
    if (err < 0) {
        return err;
    }
    put_labels(labels, value, json);
    while ((err = next_field(&message, &field)) > 0) {
        if (field.number == ENTRIES) {
            buf_str(json, first ? "" : ",");
            first = false;
            err = put_entry(field.data, json);
        }
        if (err < 0) {
            return err;
        }
    }
    buf_str(json, "]}");
    return 0;
}

static int put_request(struct message message, struct buf *json)
{
    enum { STREAMS = 1 };
    struct field field;
    struct buf value = {0};
    bool first = true;
    int err;
    buf_str(json, "{\"streams\":[");
    while ((err = next_field(&message, &field)) > 0) {
        if (field.number == STREAMS) {
            buf_str(json, first ? "" : ",");
            first = false;
            err = put_stream(field.data, &value, json);
        }
        if (err < 0 || json->err != 0) {
            break;
        }
    }
    buf_str(json, "]}");
    err = err < 0 ? err : value.err != 0 ? value.err : json->err;
    buf_fini(&value);
    return err;
}

int loki_push_json(const uint8_t *bytes, size_t len, size_t max_len, struct buf *json,
                   struct why *why)
{
    static const char WHAT[] = "expected a Loki push request (logproto.PushRequest) in Snappy's "
                               "block format";
    size_t size;
    if (snappy_uncompressed_length((const char *)bytes, len, &size) != SNAPPY_OK) {
        return why_set(why, W_ESYNTAX, "%s", WHAT);
    }
    if (size > max_len) {
        return why_set(why, W_ELIMIT, "more than %zu octets uncompressed", max_len);
    }
    uint8_t *plain = malloc(size + 1);
    if (plain == NULL) {
        return why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
    }
    int err = snappy_uncompress((const char *)bytes, len, (char *)plain, &size) == SNAPPY_OK
                  ? put_request((struct message){plain, plain + size}, json)
                  : W_ESYNTAX;
    free(plain);
    return err == 0           ? 0
           : err == W_ESYNTAX ? why_set(why, err, "%s", WHAT)
                              : why_set(why, err, "%s", err_str(err));
}
