/* proto/dnstap.h -- dnstap payloads
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decodes the protobuf of one data frame (schema: https://dnstap.info) without allocating or
 * copying. Types that are never indexed are rejected as soon as their type is read, because nine of
 * ten frames are. Indexed are CLIENT_RESPONSE and AUTH_RESPONSE: the latter is what authoritative
 * servers (Knot DNS, named with RD=0) call the answer a client got. FORWARDER_*, RESOLVER_* and the
 * rest never are: their query address is not, or not reliably, the client's.
 *
 * A 16-octet IPv4-mapped address is the IPv4 address it holds, whatever socket_family says (CoreDNS
 * before 1.14.5 sends ::ffff:192.0.2.1 with INET).
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum dnstap_type {
    DNSTAP_AUTH_RESPONSE = 2,
    DNSTAP_CLIENT_QUERY = 5,
    DNSTAP_CLIENT_RESPONSE = 6,
    DNSTAP_FORWARDER_QUERY = 7,
    DNSTAP_FORWARDER_RESPONSE = 8,
    DNSTAP_TYPE_MAX = 14,
};

/* Bytes inside the frame; `data` is NULL where the field is absent. */
struct span {
    const uint8_t *data;
    size_t len;
};

struct dnstap_message {
    uint32_t type; /* enum dnstap_type, or another value of the schema */
    struct span identity;
    struct span version;
    struct span extra;
    uint32_t socket_family;   /* 1 INET, 2 INET6, 0 absent */
    uint32_t socket_protocol; /* 1 UDP, 2 TCP, 3 DOT, 4 DOH, ...; 0 absent */
    bool has_client;          /* query_address was present and an address */
    struct addr client;       /* query_address */
    bool has_server;
    struct addr server;   /* response_address */
    uint16_t client_port; /* 0 where absent or no port number */
    uint16_t server_port;
    int64_t query_time_us;    /* 0 where absent or outside TIME_MIN_US..TIME_MAX_US */
    int64_t response_time_us; /* likewise */
    struct span query_message;
    struct span response_message;
};

enum dnstap_result {
    DNSTAP_INDEXED, /* a response of an indexed type: all of `*message` is filled */
    DNSTAP_SKIPPED, /* well-formed as far as read, but of a type not indexed: only `type` is sure */
    DNSTAP_BAD,     /* not a dnstap message: truncated, wrong wire types, no message, no type */
};

/* `*message` points into `frame` and lives as long as it. */
enum dnstap_result dnstap_decode(const uint8_t *frame, size_t len, struct dnstap_message *message);

/* The time an answer is filed under: response time, else query time, else 0. */
int64_t dnstap_time_us(const struct dnstap_message *message);

/* "CLIENT_RESPONSE" ...; NULL for a value outside the schema. */
const char *dnstap_type_name(uint32_t type);
