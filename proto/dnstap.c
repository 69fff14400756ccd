/* proto/dnstap.c -- dnstap payloads
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/dnstap.h"

#include <string.h>

#include "base/clock.h"

/* Protobuf wire types; 3 and 4 are groups, which dnstap never had. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

#define TAG(field, wire_type) ((uint32_t)(field) << 3 | (wire_type))

/* A cursor with a sticky error: after a fault it stands at its end and reads zeros. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static void fail(struct cursor *c)
{
    c->bad = true;
    c->at = c->end;
}

/* Ten octets hold 64 bits; bits beyond are dropped, as protobuf-c does. */
static uint64_t get_long_varint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && c->at < c->end; shift += 7) {
        uint8_t octet = *c->at++;
        value |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80) {
            return value;
        }
    }
    fail(c);
    return 0;
}

static inline uint64_t get_varint(struct cursor *c)
{
    if (c->at < c->end && *c->at < 0x80) {
        return *c->at++;
    }
    return get_long_varint(c);
}

/* A tag has 32 bits: five octets at most, bits beyond are dropped. There is no field number 0; like
 * protobuf-c this refuses its usual form, one octet, and takes longer ones for an unknown field. */
static inline uint32_t get_tag(struct cursor *c)
{
    const uint8_t *begin = c->at;
    uint32_t tag = (uint32_t)get_varint(c);
    size_t used = (size_t)(c->at - begin);
    if (used > 5 || (used == 1 && tag < 8)) {
        fail(c);
    }
    return tag;
}

static inline struct span get_bytes(struct cursor *c)
{
    uint64_t len = get_varint(c);
    if (len > (size_t)(c->end - c->at)) {
        fail(c);
        return (struct span){NULL, 0};
    }
    struct span span = {c->at, (size_t)len};
    c->at += len;
    return span;
}

static uint32_t get_fixed32(struct cursor *c)
{
    if (c->end - c->at < 4) {
        fail(c);
        return 0;
    }
    const uint8_t *b = c->at;
    c->at += 4;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Steps over a field this decoder does not know. A known field comes here only with the wrong wire
 * type. */
static void skip_field(struct cursor *c, uint32_t tag, bool known)
{
    if (known) {
        fail(c);
        return;
    }
    switch (tag & 7) {
    case VARINT:
        get_varint(c);
        break;
    case FIXED64:
        get_fixed32(c);
        get_fixed32(c);
        break;
    case BYTES:
        get_bytes(c);
        break;
    case FIXED32:
        get_fixed32(c);
        break;
    default:
        fail(c);
    }
}

/* Seconds and nanoseconds as they came; both parts are judged when the message is complete. */
struct wire_time {
    uint64_t sec;
    uint32_t nsec;
};

static int64_t time_from_wire(const struct wire_time *time)
{
    if (time->sec >= (uint64_t)(TIME_MAX_US / US_PER_S) || time->nsec >= 1000000000) {
        return 0;
    }
    int64_t time_us = (int64_t)time->sec * US_PER_S + time->nsec / 1000;
    return time_us < TIME_MIN_US ? 0 : time_us;
}

static uint16_t port_from_wire(uint64_t port)
{
    return (uint32_t)port > UINT16_MAX ? 0 : (uint16_t)port;
}

static bool is_indexed(uint32_t type)
{
    return type == DNSTAP_CLIENT_RESPONSE || type == DNSTAP_AUTH_RESPONSE;
}

static void read_field(struct cursor *c, uint32_t tag, struct dnstap_message *m,
                       struct wire_time *query, struct wire_time *response)
{
    struct span span;
    switch (tag) {
    case TAG(2, VARINT):
        m->socket_family = (uint32_t)get_varint(c);
        break;
    case TAG(3, VARINT):
        m->socket_protocol = (uint32_t)get_varint(c);
        break;
    case TAG(4, BYTES):
        span = get_bytes(c);
        m->has_client = addr_from_wire(&m->client, span.data, span.len);
        break;
    case TAG(5, BYTES):
        span = get_bytes(c);
        m->has_server = addr_from_wire(&m->server, span.data, span.len);
        break;
    case TAG(6, VARINT):
        m->client_port = port_from_wire(get_varint(c));
        break;
    case TAG(7, VARINT):
        m->server_port = port_from_wire(get_varint(c));
        break;
    case TAG(8, VARINT):
        query->sec = get_varint(c);
        break;
    case TAG(9, FIXED32):
        query->nsec = get_fixed32(c);
        break;
    case TAG(10, BYTES):
        m->query_message = get_bytes(c);
        break;
    case TAG(11, BYTES):
        get_bytes(c);
        break;
    case TAG(12, VARINT):
        response->sec = get_varint(c);
        break;
    case TAG(13, FIXED32):
        response->nsec = get_fixed32(c);
        break;
    case TAG(14, BYTES):
        m->response_message = get_bytes(c);
        break;
    default:
        skip_field(c, tag, tag >> 3 >= 1 && tag >> 3 <= 14);
    }
}

/* The times of a message whose field comes twice are merged like its other fields, so they live
 * outside. */
static enum dnstap_result read_message(struct span span, struct dnstap_message *m,
                                       struct wire_time *query, struct wire_time *response)
{
    struct cursor c = {span.data, span.data + span.len, false};
    bool typed = false;
    while (c.at < c.end) {
        uint32_t tag = get_tag(&c);
        if (tag != TAG(1, VARINT)) {
            read_field(&c, tag, m, query, response);
            continue;
        }
        m->type = (uint32_t)get_varint(&c);
        typed = true;
        /* Every sender writes the type first: nine of ten frames end here. */
        if (!c.bad && !is_indexed(m->type)) {
            return DNSTAP_SKIPPED;
        }
    }
    return c.bad || !typed ? DNSTAP_BAD : DNSTAP_INDEXED;
}

/* Field by field: the compilers clear a whole structure of this size with "rep stos", whose
 * start-up alone costs as much as reading a frame that is skipped. */
static void clear(struct dnstap_message *m)
{
    const struct span none = {NULL, 0};
    m->type = 0;
    m->identity = m->version = m->extra = none;
    m->socket_family = m->socket_protocol = 0;
    m->has_client = m->has_server = false;
    memset(&m->client, 0, sizeof(m->client));
    memset(&m->server, 0, sizeof(m->server));
    m->client_port = m->server_port = 0;
    m->query_time_us = m->response_time_us = 0;
    m->query_message = m->response_message = none;
}

enum dnstap_result dnstap_decode(const uint8_t *frame, size_t len, struct dnstap_message *message)
{
    enum { MESSAGE = 1 };
    struct cursor c = {frame, frame + len, false};
    struct wire_time query = {0, 0}, response = {0, 0};
    bool has_message = false;
    uint32_t type = 0, field;
    clear(message);
    while (c.at < c.end) {
        uint32_t tag = get_tag(&c);
        switch (tag) {
        case TAG(1, BYTES):
            message->identity = get_bytes(&c);
            break;
        case TAG(2, BYTES):
            message->version = get_bytes(&c);
            break;
        case TAG(3, BYTES):
            message->extra = get_bytes(&c);
            break;
        case TAG(14, BYTES): {
            struct span span = get_bytes(&c);
            if (c.bad) {
                return DNSTAP_BAD;
            }
            enum dnstap_result result = read_message(span, message, &query, &response);
            if (result != DNSTAP_INDEXED) {
                return result;
            }
            has_message = true;
            break;
        }
        case TAG(15, VARINT):
            type = (uint32_t)get_varint(&c);
            break;
        default:
            field = tag >> 3;
            skip_field(&c, tag, (field >= 1 && field <= 3) || field == 14 || field == 15);
        }
    }
    if (c.bad || !has_message || type != MESSAGE) {
        return DNSTAP_BAD;
    }
    message->query_time_us = time_from_wire(&query);
    message->response_time_us = time_from_wire(&response);
    return DNSTAP_INDEXED;
}

int64_t dnstap_time_us(const struct dnstap_message *message)
{
    return message->response_time_us != 0 ? message->response_time_us : message->query_time_us;
}

const char *dnstap_type_name(uint32_t type)
{
    static const char *const NAMES[DNSTAP_TYPE_MAX + 1] = {
        [1] = "AUTH_QUERY",        [2] = "AUTH_RESPONSE",      [3] = "RESOLVER_QUERY",
        [4] = "RESOLVER_RESPONSE", [5] = "CLIENT_QUERY",       [6] = "CLIENT_RESPONSE",
        [7] = "FORWARDER_QUERY",   [8] = "FORWARDER_RESPONSE", [9] = "STUB_QUERY",
        [10] = "STUB_RESPONSE",    [11] = "TOOL_QUERY",        [12] = "TOOL_RESPONSE",
        [13] = "UPDATE_QUERY",     [14] = "UPDATE_RESPONSE",
    };
    return type <= DNSTAP_TYPE_MAX ? NAMES[type] : NULL;
}
