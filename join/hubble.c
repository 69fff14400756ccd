/* join/hubble.c -- Cilium Hubble: `hubble observe -o json` and the exporter's file
 * SPDX-License-Identifier: Apache-2.0
 *
 * protojson of observer.proto: members that are zero or empty are absent, 64-bit numbers may be
 * strings, what stands beside "flow" on the stream is another kind of event. Old clients write the
 * flow without "flow" around it; a field mask may leave out anything. Retina writes the same, with
 * verdicts of its own (as numbers) and DNS records without TTL, CNAMEs and observation_source; its
 * is_reply is false where it does not know.
 *
 * DNS responses need a policy with DNS rules; they are what the agent's proxy gave to the pod.
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"
#include "join/dns_records.h"
#include "join/field.h"
#include "join/json_items.h"

/* What is said of an endpoint. */
enum { E_CLUSTER, E_NAMESPACE, E_POD, E_WORKLOAD, E_LABELS, E_COUNT };

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
    H_SOURCE_END,
    H_DESTINATION_END = H_SOURCE_END + E_COUNT,
    H_SOURCE_SERVICE = H_DESTINATION_END + E_COUNT,
    H_DESTINATION_SERVICE,
    H_FLOW_NODE,
    H_TYPE,
    H_L7,
    H_L7_TYPE,
    H_DNS,
    H_DNS_QUERY,
    H_DNS_IPS,
    H_DNS_TTL,
    H_DNS_CNAMES,
    H_DNS_RCODE,
    H_DNS_SEEN_BY,
    H_DIRECTION,
    H_IS_REPLY,
    H_REPLY,
    H_EXTENSIONS,
    H_FLOW_COUNT,
    /* beside the flow */
    H_FLOW = H_FLOW_COUNT,
    H_TIME,
    H_NODE,
    H_LOST_EVENTS,
    H_NODE_STATUS,
    H_AGENT_EVENT,
    H_DEBUG_EVENT,
    H_EVENT_TYPE, /* Suricata's: its events have a "flow", too */
    H_KEY,        /* and Goldmane's */
    H_COUNT,
};

#define END_POINTERS(END, AT)                                                                      \
    [END + E_CLUSTER] = AT "/cluster_name", [END + E_NAMESPACE] = AT "/namespace",                 \
           [END + E_POD] = AT "/pod_name", [END + E_WORKLOAD] = AT "/workloads/0/name",            \
           [END + E_LABELS] = AT "/labels"

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
    [H_ICMPV6] = AT "/l4/ICMPv6", END_POINTERS(H_SOURCE_END, AT "/source"),                        \
    END_POINTERS(H_DESTINATION_END, AT "/destination"),                                            \
    [H_SOURCE_SERVICE] = AT "/source_service/name",                                                \
    [H_DESTINATION_SERVICE] = AT "/destination_service/name", [H_FLOW_NODE] = AT "/node_name",     \
    [H_TYPE] = AT "/Type", [H_L7] = AT "/l7", [H_L7_TYPE] = AT "/l7/type", [H_DNS] = AT "/l7/dns", \
    [H_DNS_QUERY] = AT "/l7/dns/query", [H_DNS_IPS] = AT "/l7/dns/ips",                            \
    [H_DNS_TTL] = AT "/l7/dns/ttl", [H_DNS_CNAMES] = AT "/l7/dns/cnames",                          \
    [H_DNS_RCODE] = AT "/l7/dns/rcode", [H_DNS_SEEN_BY] = AT "/l7/dns/observation_source",         \
    [H_DIRECTION] = AT "/traffic_direction", [H_IS_REPLY] = AT "/is_reply",                        \
    [H_REPLY] = AT "/reply", [H_EXTENSIONS] = AT "/extensions/@type"

static const char *const WRAPPED[H_COUNT] = {
    FLOW_POINTERS("/flow"),
    [H_FLOW] = "/flow",
    [H_TIME] = "/time",
    [H_NODE] = "/node_name",
    [H_LOST_EVENTS] = "/lost_events",
    [H_NODE_STATUS] = "/node_status",
    [H_AGENT_EVENT] = "/agent_event",
    [H_DEBUG_EVENT] = "/debug_event",
    [H_EVENT_TYPE] = "/event_type",
    [H_KEY] = "/flow/Key",
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

static bool is_wrapped(const struct json_value *values)
{
    return values[H_FLOW].type == JSON_OBJECT && values[H_EVENT_TYPE].type == JSON_ABSENT &&
           values[H_KEY].type == JSON_ABSENT;
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
    if (is_wrapped(values)) {
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

/* What Retina says is no reply may be one, unless it tracks connections: the SYN tells, else the
 * ports. */
static bool is_untold_reply(const struct json_value *values, const struct flow *flow)
{
    const struct json_value *type = &values[H_EXTENSIONS];
    if (type->type != JSON_STRING || type->text.len == 0 ||
        memmem(type->text.data, type->text.len, "etina", strlen("etina")) == NULL) {
        return false;
    }
    if (values[H_SYN].type == JSON_TRUE) {
        return values[H_ACK].type == JSON_TRUE;
    }
    return parse_is_way_back(flow);
}

/* 0 if there is none. */
static int64_t read_time(const struct json_value *values, const struct outer *outer,
                         struct flow_record *record)
{
    const struct json_value *time = &values[H_FLOW_TIME];
    int64_t time_us;
    if (time->type == JSON_ABSENT) {
        time = &values[H_TIME];
    }
    if (time->type != JSON_STRING) {
        return outer->time_us;
    }
    if (!time_parse(&time_us, time->text.data, time->text.len, 0)) {
        record->doubtful = "the time is no RFC 3339 time";
        return 0;
    }
    return time_us;
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
        if (parser->bare ? is_bare(values) : is_wrapped(values) || is_event(values)) {
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

/* What an endpoint that is no pod is: Cilium's reserved identities are among the labels. */
static enum flow_end end_of(const struct json_value *labels)
{
    struct json_items items = json_items(labels);
    struct json_value label;
    while (json_items_next(&items, &label)) {
        if (parse_is(&label, "reserved:host") || parse_is(&label, "reserved:remote-node")) {
            return FLOW_END_NODE;
        }
        if (label.type == JSON_STRING && text_begins(label.text, "reserved:world")) {
            return FLOW_END_NETWORK;
        }
    }
    return FLOW_END_UNKNOWN;
}

static void read_end(struct parser *parser, const struct json_value *end,
                     const struct json_value *service, struct flow_identity *identity)
{
    identity->cluster = parse_text(parser, &end[E_CLUSTER]);
    identity->namespace = parse_text(parser, &end[E_NAMESPACE]);
    identity->pod = parse_text(parser, &end[E_POD]);
    identity->workload = parse_text(parser, &end[E_WORKLOAD]);
    identity->service = parse_text(parser, service);
    if (identity->pod.data != NULL) {
        identity->end = FLOW_END_POD;
    } else {
        identity->end = identity->service.data != NULL ? FLOW_END_SERVICE : end_of(&end[E_LABELS]);
    }
}

/* The node that saw it. */
static struct text read_node(struct parser *parser, const struct json_value *values)
{
    struct text node = parse_text(parser, &values[H_FLOW_NODE]);
    return node.data != NULL ? node : parse_text(parser, &values[H_NODE]);
}

/* ---- DNS ---- */

/* A response that reached a client: not dropped, nor what the agent asked on its own account. */
static bool is_dns_response(const struct json_value *values)
{
    const struct json_value *by = &values[H_DNS_SEEN_BY];
    return values[H_DNS].type == JSON_OBJECT && parse_is(&values[H_L7_TYPE], "RESPONSE") &&
           values[H_DNS_QUERY].type == JSON_STRING &&
           action_of(&values[H_VERDICT]) != FLOW_DENIED &&
           (by->type == JSON_ABSENT || parse_is(by, "") || parse_is(by, "proxy") ||
            parse_is(by, "agent"));
}

static void read_answer(struct parser *parser, const struct json_value *values,
                        struct dns_builder *builder)
{
    struct json_items names = json_items(&values[H_DNS_CNAMES]);
    struct json_items addrs = json_items(&values[H_DNS_IPS]);
    struct json_value item;
    uint64_t ttl_s = 0;
    dns_builder_init(builder, parse_text(parser, &values[H_DNS_QUERY]));
    while (json_items_next(&names, &item)) {
        dns_builder_target(builder, parse_text(parser, &item));
    }
    while (json_items_next(&addrs, &item)) {
        dns_builder_addr(builder, parse_text(parser, &item));
    }
    /* protojson leaves out 0; Retina, which knows no TTL, also leaves out who saw it. */
    if (json_u64(&values[H_DNS_TTL], &ttl_s) || values[H_DNS_SEEN_BY].type != JSON_ABSENT) {
        dns_builder_ttl(builder, ttl_s);
    }
}

/* The server is the source and the client the destination, but for records in which old tools
 * turned them round. */
static enum parsed parse_dns(struct parser *parser, const struct json_value *values,
                             const struct outer *outer, struct flow_record *record)
{
    struct dns_builder builder;
    struct dns_record facts = {.source = "hubble", .sender = read_node(parser, values)};
    uint64_t rcode = 0;
    parse_pair(record, parse_text(parser, &values[H_SOURCE]),
               parse_text(parser, &values[H_DESTINATION]));
    read_layer4(values, record);
    if (!record->flow.has_pair || record->doubtful != NULL) {
        return parse_bad(parser, record, "a DNS response: %s",
                         record->doubtful != NULL ? record->doubtful : "no addresses");
    }
    if (values[H_DNS_RCODE].type != JSON_ABSENT &&
        (!json_u64(&values[H_DNS_RCODE], &rcode) || rcode > UINT16_MAX)) {
        return parse_bad(parser, record, "a DNS response: the rcode is no number");
    }
    facts.client =
        dns_client_is_source(record->flow.source_port, record->flow.destination_port, false)
            ? record->flow.source
            : record->flow.destination;
    facts.time_us = read_time(values, outer, record);
    facts.rcode = (uint16_t)rcode;
    read_answer(parser, values, &builder);
    return dns_builder_finish(&builder, parser, &facts, record);
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
    if (is_dns_response(values)) {
        return parse_dns(parser, values, outer, record);
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
    if (is_untold_reply(values, flow)) {
        return parse_skip(record, SKIP_REPLY);
    }
    parse_time(record, read_time(values, outer, record));
    read_end(parser, &values[H_SOURCE_END], &values[H_SOURCE_SERVICE], &flow->source_id);
    read_end(parser, &values[H_DESTINATION_END], &values[H_DESTINATION_SERVICE],
             &flow->destination_id);
    flow->source_id.node = read_node(parser, values);
    return PARSED_FLOW;
}

const struct format FORMAT_HUBBLE = {
    .name = "hubble",
    .description = "Cilium Hubble and Retina: `hubble observe -o json`, or the exporter's file",
    .score = score,
    .parse = parse,
};
