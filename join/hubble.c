/* join/hubble.c -- Cilium Hubble: `hubble observe -o json` and the exporter's file
 * SPDX-License-Identifier: Apache-2.0
 *
 * protojson of observer.proto: members that are zero or empty are absent, 64-bit numbers may be
 * strings, what stands beside "flow" on the stream is another kind of event. Old clients write the
 * flow without "flow" around it; a field mask may leave out anything.
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"

enum {
    H_FLOW_TIME,
    H_VERDICT,
    H_SOURCE,
    H_DESTINATION,
    H_TCP,
    H_TCP_SOURCE,
    H_TCP_DESTINATION,
    H_SYN,
    H_ACK,
    H_UDP,
    H_UDP_SOURCE,
    H_UDP_DESTINATION,
    H_SCTP,
    H_SCTP_SOURCE,
    H_SCTP_DESTINATION,
    H_ICMPV4,
    H_ICMPV6,
    H_CLUSTER,
    H_NAMESPACE,
    H_POD,
    H_WORKLOAD,
    H_FLOW_NODE,
    H_TYPE,
    H_L7,
    H_DIRECTION,
    H_IS_REPLY,
    H_REPLY,
    H_FLOW_COUNT,
    /* beside the flow */
    H_FLOW = H_FLOW_COUNT,
    H_TIME,
    H_NODE,
    H_LOST_EVENTS,
    H_NODE_STATUS,
    H_AGENT_EVENT,
    H_DEBUG_EVENT,
    H_COUNT,
};

#define FLOW_POINTERS(AT)                                                                          \
    [H_FLOW_TIME] = AT "/time", [H_VERDICT] = AT "/verdict", [H_SOURCE] = AT "/IP/source",         \
    [H_DESTINATION] = AT "/IP/destination", [H_TCP] = AT "/l4/TCP",                                \
    [H_TCP_SOURCE] = AT "/l4/TCP/source_port",                                                     \
    [H_TCP_DESTINATION] = AT "/l4/TCP/destination_port", [H_SYN] = AT "/l4/TCP/flags/SYN",         \
    [H_ACK] = AT "/l4/TCP/flags/ACK", [H_UDP] = AT "/l4/UDP",                                      \
    [H_UDP_SOURCE] = AT "/l4/UDP/source_port",                                                     \
    [H_UDP_DESTINATION] = AT "/l4/UDP/destination_port", [H_SCTP] = AT "/l4/SCTP",                 \
    [H_SCTP_SOURCE] = AT "/l4/SCTP/source_port",                                                   \
    [H_SCTP_DESTINATION] = AT "/l4/SCTP/destination_port", [H_ICMPV4] = AT "/l4/ICMPv4",           \
    [H_ICMPV6] = AT "/l4/ICMPv6", [H_CLUSTER] = AT "/source/cluster_name",                         \
    [H_NAMESPACE] = AT "/source/namespace", [H_POD] = AT "/source/pod_name",                       \
    [H_WORKLOAD] = AT "/source/workloads/0/name", [H_FLOW_NODE] = AT "/node_name",                 \
    [H_TYPE] = AT "/Type", [H_L7] = AT "/l7", [H_DIRECTION] = AT "/traffic_direction",             \
    [H_IS_REPLY] = AT "/is_reply", [H_REPLY] = AT "/reply"

static const char *const WRAPPED[H_COUNT] = {
    FLOW_POINTERS("/flow"),
    [H_FLOW] = "/flow",
    [H_TIME] = "/time",
    [H_NODE] = "/node_name",
    [H_LOST_EVENTS] = "/lost_events",
    [H_NODE_STATUS] = "/node_status",
    [H_AGENT_EVENT] = "/agent_event",
    [H_DEBUG_EVENT] = "/debug_event",
};

static const char *const BARE[H_FLOW_COUNT] = {FLOW_POINTERS("")};

/* A flow without "flow" around it is one that has addresses, a verdict or a layer 4 beside a time.
 */
static bool is_bare(const struct json_value *values)
{
    return values[H_FLOW_TIME].type == JSON_STRING &&
           (values[H_SOURCE].type != JSON_ABSENT || values[H_VERDICT].type != JSON_ABSENT) &&
           (values[H_TYPE].type != JSON_ABSENT || values[H_DIRECTION].type != JSON_ABSENT ||
            values[H_FLOW_NODE].type != JSON_ABSENT);
}

static bool is_event(const struct json_value *values)
{
    return values[H_LOST_EVENTS].type != JSON_ABSENT || values[H_NODE_STATUS].type != JSON_ABSENT ||
           values[H_AGENT_EVENT].type != JSON_ABSENT || values[H_DEBUG_EVENT].type != JSON_ABSENT;
}

static int read_wrapped(struct parser *parser, struct text line, struct json_value *values,
                        struct flow_record *record)
{
    return parse_json(parser, PATHS_HUBBLE, WRAPPED, H_COUNT, line, values, record);
}

static int read_bare(struct parser *parser, struct text line, struct json_value *values,
                     struct flow_record *record)
{
    return parse_json(parser, PATHS_HUBBLE_BARE, BARE, H_FLOW_COUNT, line, values, record);
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[H_COUNT] = {0};
    if (read_wrapped(parser, line, values, NULL) != 0) {
        return 0;
    }
    if (values[H_FLOW].type == JSON_OBJECT) {
        return 100;
    }
    if (is_event(values)) {
        return 80;
    }
    return read_bare(parser, line, values, NULL) == 0 && is_bare(values) ? 90 : 0;
}

static enum flow_action action_of(const struct json_value *verdict)
{
    static const struct {
        const char *verdict;
        enum flow_action action;
    } ACTIONS[] = {
        {"FORWARDED", FLOW_ALLOWED}, {"DROPPED", FLOW_DENIED}, {"REDIRECTED", FLOW_ALLOWED},
        {"TRACED", FLOW_ALLOWED},    {"ERROR", FLOW_DENIED},   {"TRANSLATED", FLOW_ALLOWED},
        {"AUDIT", FLOW_LOGGED},
    };
    for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++) {
        if (parse_is(verdict, ACTIONS[i].verdict)) {
            return ACTIONS[i].action;
        }
    }
    return FLOW_UNKNOWN;
}

static void read_ports(struct flow_record *record, const struct json_value *source,
                       const struct json_value *destination)
{
    struct flow *flow = &record->flow;
    flow->has_ports =
        parse_port(source, &flow->source_port) && parse_port(destination, &flow->destination_port);
    if (!flow->has_ports) {
        record->doubtful = "a port is no port number";
    }
}

static void read_layer4(const struct json_value *values, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    if (values[H_TCP].type == JSON_OBJECT) {
        strcpy(flow->transport, "tcp");
        read_ports(record, &values[H_TCP_SOURCE], &values[H_TCP_DESTINATION]);
        flow->shows_start = values[H_SYN].type == JSON_TRUE && values[H_ACK].type != JSON_TRUE;
    } else if (values[H_UDP].type == JSON_OBJECT) {
        strcpy(flow->transport, "udp");
        read_ports(record, &values[H_UDP_SOURCE], &values[H_UDP_DESTINATION]);
    } else if (values[H_SCTP].type == JSON_OBJECT) {
        strcpy(flow->transport, "sctp");
        read_ports(record, &values[H_SCTP_SOURCE], &values[H_SCTP_DESTINATION]);
    } else if (values[H_ICMPV4].type == JSON_OBJECT) {
        strcpy(flow->transport, "icmp");
    } else if (values[H_ICMPV6].type == JSON_OBJECT) {
        strcpy(flow->transport, "ipv6-icmp");
    }
}

static void read_time(const struct json_value *values, const struct outer *outer,
                      struct flow_record *record)
{
    const struct json_value *time = &values[H_FLOW_TIME];
    int64_t time_us = 0;
    if (time->type == JSON_ABSENT) {
        time = &values[H_TIME];
    }
    if (time->type == JSON_STRING && !time_parse(&time_us, time->text.data, time->text.len, 0)) {
        record->doubtful = "the time is no RFC 3339 time";
        time_us = 0;
    } else if (time->type != JSON_STRING) {
        time_us = outer->time_us;
    }
    parse_time(record, time_us);
}

/* Reads the record in the form the last one had, else in the other, which the next will have, too.
 * Returns 0 with a flow or another event in `values`, or what the format is to return. */
static int read_record(struct parser *parser, struct text line, struct json_value *values,
                       struct flow_record *record)
{
    for (int tries = 0; tries < 2; tries++) {
        memset(values, 0, H_COUNT * sizeof(*values));
        int result = parser->bare ? read_bare(parser, line, values, record)
                                  : read_wrapped(parser, line, values, record);
        if (result != 0) {
            return result;
        }
        if (parser->bare ? is_bare(values)
                         : values[H_FLOW].type == JSON_OBJECT || is_event(values)) {
            return 0;
        }
        parser->bare = !parser->bare;
    }
    return PARSED_FOREIGN;
}

/* Why the record is to be left out; SKIP_COUNT if it is not. */
static enum skip skip_of(const struct json_value *values)
{
    if (is_event(values)) {
        return SKIP_NOT_A_FLOW;
    }
    if (parse_is(&values[H_TYPE], "L7") || values[H_L7].type == JSON_OBJECT) {
        return SKIP_L7;
    }
    if (values[H_IS_REPLY].type == JSON_TRUE || values[H_REPLY].type == JSON_TRUE) {
        return SKIP_REPLY;
    }
    return parse_is(&values[H_DIRECTION], "INGRESS") ? SKIP_INGRESS : SKIP_COUNT;
}

static void read_identity(struct parser *parser, const struct json_value *values, struct flow *flow)
{
    flow->source_id.cluster = parse_text(parser, &values[H_CLUSTER]);
    flow->source_id.namespace = parse_text(parser, &values[H_NAMESPACE]);
    flow->source_id.pod = parse_text(parser, &values[H_POD]);
    flow->source_id.workload = parse_text(parser, &values[H_WORKLOAD]);
    flow->source_id.node = parse_text(parser, &values[H_FLOW_NODE]);
    if (flow->source_id.node.data == NULL) {
        flow->source_id.node = parse_text(parser, &values[H_NODE]);
    }
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[H_COUNT];
    struct flow *flow = &record->flow;
    int result = read_record(parser, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    enum skip skip = skip_of(values);
    if (skip != SKIP_COUNT) {
        return parse_skip(record, skip);
    }
    flow->dataset = "hubble";
    flow->direction =
        parse_is(&values[H_DIRECTION], "EGRESS") ? FLOW_EGRESS : FLOW_DIRECTION_UNKNOWN;
    flow->action = action_of(&values[H_VERDICT]);
    parse_pair(record, parse_text(parser, &values[H_SOURCE]),
               parse_text(parser, &values[H_DESTINATION]));
    read_layer4(values, record);
    read_time(values, outer, record);
    read_identity(parser, values, flow);
    return PARSED_FLOW;
}

const struct format FORMAT_HUBBLE = {
    .name = "hubble",
    .description = "Cilium Hubble: `hubble observe -o json`, or the file of the exporter",
    .score = score,
    .parse = parse,
};
