/* join/tuples.c -- connection tracking: what a connection was asked for, and where it went
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/tuples.h"

#include "join/field.h"

static void read_alternate(struct flow *flow, const struct tuple *reply)
{
    struct text source = parse_address(reply->source);
    flow->has_alternate = flow->has_pair && !text_missing(source) &&
                          addr_parse(&flow->alternate, source.data, source.len) &&
                          !addr_equal(&flow->alternate, &flow->destination);
}

void tuples_read(struct flow_record *record, struct text protocol, const struct tuple *original,
                 const struct tuple *reply)
{
    struct flow *flow = &record->flow;
    uint64_t sent = 0, received = 0;
    parse_pair(record, original->source, original->destination);
    parse_transport(flow, protocol);
    parse_ports(record, original->source_port, original->destination_port);
    read_alternate(flow, reply);
    bool counted = field_u64(original->bytes, &sent);
    counted = field_u64(reply->bytes, &received) || counted;
    flow->has_bytes = counted && !__builtin_add_overflow(sent, received, &flow->bytes);
}
