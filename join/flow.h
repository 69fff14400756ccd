/* join/flow.h -- one flow record, whatever format it came in
 * SPDX-License-Identifier: Apache-2.0
 *
 * A parser fills a struct flow from one record; text fields are pieces of that record (or static)
 * and live as long as it does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "join/text.h"

enum flow_action { FLOW_UNKNOWN, FLOW_ALLOWED, FLOW_DENIED, FLOW_LOGGED };
enum flow_direction { FLOW_DIRECTION_UNKNOWN, FLOW_EGRESS, FLOW_INGRESS };

/* What the record itself says one end of the flow is. */
enum flow_end { FLOW_END_UNKNOWN, FLOW_END_POD, FLOW_END_SERVICE, FLOW_END_NODE, FLOW_END_NETWORK };
struct flow_identity {
    enum flow_end end;
    struct text cluster;
    struct text namespace;
    struct text pod;
    struct text workload;
    struct text service;
    struct text node;
};

struct flow {
    const char *dataset;  /* "hubble", "kernel-log"; static */
    int64_t start_us;     /* 0 if the record carries no usable time */
    int64_t end_us;       /* equals start_us unless aggregated or ended */
    int64_t precision_us; /* what the clock of the format cuts off: 999999 where it is seconds; the
                             times lie within start_us .. start_us + precision_us */
    bool aggregated;
    bool shows_start; /* the record shows the connection's first packet, not a later one */
    bool has_pair;    /* source and destination are both addresses */
    struct addr source;
    struct addr destination;
    /* Another address of the destination, where the record shows both sides of an address
     * translation: of a service's own address and its backend, the one that `destination` is not.
     */
    bool has_alternate;
    struct addr alternate;
    bool has_ports;
    bool source_port_unknown; /* has_ports is about the destination only */
    uint16_t source_port;
    uint16_t destination_port;
    char
        transport[16]; /* "tcp", "udp", "icmp", "ipv6-icmp", "sctp", or the number; "" if unknown */
    enum flow_action action;
    enum flow_direction direction;
    bool has_bytes;
    uint64_t bytes;
    uint64_t sequence;      /* number of the record in its input, from 1 */
    const char *unjoinable; /* static reason why it cannot be joined: "no-address", "no-time", ...;
                               else NULL */
    struct flow_identity source_id;
    struct flow_identity destination_id;
    struct text interface; /* workload interface of a kernel LOG line */
    /* Set by the join, not by the formats: until then the source address was seen on another
     * interface; 0: never. */
    int64_t not_before_us;
};
