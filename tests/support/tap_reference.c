/* tests/support/tap_reference.c -- the dnstap decoder held against protobuf-c
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/tap_reference.h"

#include <string.h>

#include "base/clock.h"
#include "dnstap.pb-c.h"
#include "proto/dnstap.h"

static bool differs(struct why *why, const char *what)
{
    why_set(why, 0, "%s", what);
    return false;
}

/* Reads a varint; false at the end. protobuf-c has taken the frame, so that lengths are sane. */
static bool read_varint(const uint8_t *frame, size_t len, size_t *at, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *at < len; shift += 7) {
        uint8_t octet = frame[(*at)++];
        *value |= shift < 64 ? (uint64_t)(octet & 0x7f) << shift : 0;
        if (octet < 0x80) {
            return true;
        }
    }
    return false;
}

/* True if the field `message` comes twice in a frame that protobuf-c has taken. */
static bool is_merged(const uint8_t *frame, size_t len)
{
    size_t at = 0;
    int messages = 0;
    uint64_t tag, value;
    while (read_varint(frame, len, &at, &tag)) {
        messages += (uint32_t)tag >> 3 == 14;
        if ((tag & 7) == 0 || (tag & 7) == 2) {
            read_varint(frame, len, &at, &value);
            at += (tag & 7) == 2 ? value : 0;
        } else {
            at += (tag & 7) == 1 ? 8 : 4;
        }
    }
    return messages > 1;
}

static bool same_bytes(protobuf_c_boolean has, const ProtobufCBinaryData *expected,
                       const struct span *span)
{
    if (!has) {
        return span->data == NULL;
    }
    return span->data != NULL && span->len == expected->len &&
           (span->len == 0 || memcmp(span->data, expected->data, span->len) == 0);
}

static bool same_addr(protobuf_c_boolean has, const ProtobufCBinaryData *expected, bool has_addr,
                      const struct addr *addr)
{
    struct addr wire;
    if (!has || (expected->len != 4 && expected->len != 16)) {
        return !has_addr;
    }
    return has_addr && addr_from_wire(&wire, expected->data, expected->len) &&
           addr_equal(&wire, addr);
}

static int64_t expected_time(protobuf_c_boolean has_sec, uint64_t sec, protobuf_c_boolean has_nsec,
                             uint32_t nsec)
{
    nsec = has_nsec ? nsec : 0;
    if (!has_sec || sec < (uint64_t)(TIME_MIN_US / US_PER_S) ||
        sec >= (uint64_t)(TIME_MAX_US / US_PER_S) || nsec > 999999999) {
        return 0;
    }
    return (int64_t)sec * US_PER_S + nsec / 1000;
}

static uint16_t expected_port(protobuf_c_boolean has, uint32_t port)
{
    return has && port <= 65535 ? (uint16_t)port : 0;
}

static bool same_message(const Dnstap__Dnstap *tap, const struct dnstap_message *m, bool merged,
                         struct why *why)
{
    const Dnstap__Message *e = tap->message;
    const struct {
        const char *field;
        bool same;
    } CHECKS[] = {
        {"identity", same_bytes(tap->has_identity, &tap->identity, &m->identity)},
        {"version", same_bytes(tap->has_version, &tap->version, &m->version)},
        {"extra", same_bytes(tap->has_extra, &tap->extra, &m->extra)},
        {"type", (uint32_t)e->type == m->type},
        {"socket_family",
         (e->has_socket_family ? (uint32_t)e->socket_family : 0) == m->socket_family},
        {"socket_protocol",
         (e->has_socket_protocol ? (uint32_t)e->socket_protocol : 0) == m->socket_protocol},
        {"query_address",
         merged || same_addr(e->has_query_address, &e->query_address, m->has_client, &m->client)},
        {"response_address", merged || same_addr(e->has_response_address, &e->response_address,
                                                 m->has_server, &m->server)},
        {"query_port", expected_port(e->has_query_port, e->query_port) == m->client_port},
        {"response_port", expected_port(e->has_response_port, e->response_port) == m->server_port},
        {"query_time",
         expected_time(e->has_query_time_sec, e->query_time_sec, e->has_query_time_nsec,
                       e->query_time_nsec) == m->query_time_us},
        {"response_time",
         expected_time(e->has_response_time_sec, e->response_time_sec, e->has_response_time_nsec,
                       e->response_time_nsec) == m->response_time_us},
        {"query_message",
         merged || same_bytes(e->has_query_message, &e->query_message, &m->query_message)},
        {"response_message",
         merged || same_bytes(e->has_response_message, &e->response_message, &m->response_message)},
    };
    for (size_t i = 0; i < sizeof(CHECKS) / sizeof(CHECKS[0]); i++) {
        if (!CHECKS[i].same) {
            return differs(why, CHECKS[i].field);
        }
    }
    return true;
}

static bool indexed(uint32_t type)
{
    return type == DNSTAP_CLIENT_RESPONSE || type == DNSTAP_AUTH_RESPONSE;
}

static bool agrees(const Dnstap__Dnstap *tap, bool merged, enum dnstap_result result,
                   const struct dnstap_message *m, struct why *why)
{
    if (result == DNSTAP_SKIPPED) {
        return !indexed(m->type) || differs(why, "an indexed type was skipped");
    }
    bool valid = tap != NULL && tap->message != NULL && tap->type == DNSTAP__DNSTAP__TYPE__MESSAGE;
    if (!valid) {
        return result == DNSTAP_BAD || differs(why, "taken, but protobuf-c refuses it");
    }
    if (result == DNSTAP_BAD) {
        return differs(why, "refused, but protobuf-c takes it");
    }
    if (!indexed((uint32_t)tap->message->type)) {
        return differs(why, "a type that is not indexed was not skipped");
    }
    return same_message(tap, m, merged, why);
}

bool tap_agrees(const uint8_t *frame, size_t len, struct why *why)
{
    struct dnstap_message m;
    enum dnstap_result result = dnstap_decode(frame, len, &m);
    Dnstap__Dnstap *tap = dnstap__dnstap__unpack(NULL, len, frame);
    bool same = agrees(tap, tap != NULL && is_merged(frame, len), result, &m, why);
    if (tap != NULL) {
        dnstap__dnstap__free_unpacked(tap, NULL);
    }
    return same;
}
