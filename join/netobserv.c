/* join/netobserv.c -- NetObserv (OpenShift network observability): flowlogs-pipeline's JSON
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is in a record depends on version, agent and features, and numbers may be strings. Loki
 * has some of the members as labels of the stream instead, among them the direction: they are taken
 * from there where the record lacks them.
 *
 * A record is what the agent on one node saw of one direction of a connection for some seconds, so
 * that a connection gives many, from both of its nodes, in both directions.
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/json_items.h"

/* What is said of an endpoint, by its names of today and of the first versions. */
enum {
    E_ADDR,
    E_PORT,
    E_TRANSLATED,
    E_NAME,
    E_NAMESPACE,
    E_TYPE,
    E_OWNER,
    E_OWNER_TYPE,
    E_HOST,
    E_OLD_POD,
    E_OLD_NAMESPACE,
    E_OLD_WORKLOAD,
    E_COUNT,
};

enum {
    N_SOURCE,
    N_DESTINATION = N_SOURCE + E_COUNT,
    N_PROTO = N_DESTINATION + E_COUNT,
    N_ETYPE,
    N_START_MS,
    N_END_MS,
    N_START_S,
    N_END_S,
    N_RECEIVED_S,
    N_DIRECTION,
    N_DUPLICATE,
    N_FLAGS,
    N_BYTES,
    N_PACKETS,
    N_DROPPED,
    N_EVENTS,
    N_CLUSTER,
    N_RECORD_TYPE,
    N_IS_FIRST,
    N_SAMPLER,
    N_COUNT,
};

#define END_POINTERS(END, SIDE)                                                                    \
    [END + E_ADDR] = "/" SIDE "Addr", [END + E_PORT] = "/" SIDE "Port",                            \
           [END + E_TRANSLATED] = "/Xlat" SIDE "Addr", [END + E_NAME] = "/" SIDE "K8S_Name",       \
           [END + E_NAMESPACE] = "/" SIDE "K8S_Namespace", [END + E_TYPE] = "/" SIDE "K8S_Type",   \
           [END + E_OWNER] = "/" SIDE "K8S_OwnerName",                                             \
           [END + E_OWNER_TYPE] = "/" SIDE "K8S_OwnerType",                                        \
           [END + E_HOST] = "/" SIDE "K8S_HostName", [END + E_OLD_POD] = "/" SIDE "Pod",           \
           [END + E_OLD_NAMESPACE] = "/" SIDE "Namespace",                                         \
           [END + E_OLD_WORKLOAD] = "/" SIDE "Workload"

static const char *const POINTERS[N_COUNT] = {
    END_POINTERS(N_SOURCE, "Src"),
    END_POINTERS(N_DESTINATION, "Dst"),
    [N_PROTO] = "/Proto",
    [N_ETYPE] = "/Etype",
    [N_START_MS] = "/TimeFlowStartMs",
    [N_END_MS] = "/TimeFlowEndMs",
    [N_START_S] = "/TimeFlowStart",
    [N_END_S] = "/TimeFlowEnd",
    [N_RECEIVED_S] = "/TimeReceived",
    [N_DIRECTION] = "/FlowDirection",
    [N_DUPLICATE] = "/Duplicate",
    [N_FLAGS] = "/Flags",
    [N_BYTES] = "/Bytes",
    [N_PACKETS] = "/Packets",
    [N_DROPPED] = "/PktDropPackets",
    [N_EVENTS] = "/NetworkEvents",
    [N_CLUSTER] = "/K8S_ClusterName",
    [N_RECORD_TYPE] = "/_RecordType",
    [N_IS_FIRST] = "/_IsFirst",
    [N_SAMPLER] = "/SamplerAddress",
};

/* TCP flags seen, as the agent has them: a SYN that is also an ACK has a bit of its own. */
enum { FLAG_SYN = 2, FLAG_SYN_ACK = 256 };

/* The node's view. */
enum { DIRECTION_INGRESS, DIRECTION_EGRESS, DIRECTION_INNER };

/* Ethernet's numbers for IP. */
enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd };

static bool is_netobserv(const struct json_value *values)
{
    bool timed = values[N_START_MS].type != JSON_ABSENT || values[N_START_S].type != JSON_ABSENT ||
                 values[N_RECEIVED_S].type != JSON_ABSENT || values[N_END_MS].type != JSON_ABSENT;
    bool ended = values[N_SOURCE + E_ADDR].type != JSON_ABSENT ||
                 values[N_DESTINATION + E_ADDR].type != JSON_ABSENT;
    return timed && (ended || values[N_ETYPE].type != JSON_ABSENT);
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[N_COUNT];
    int result = parse_json(parser, PATHS_NETOBSERV, POINTERS, N_COUNT, line, values, NULL);
    return result == 0 && is_netobserv(values) ? 90 : 0;
}

/* 0 where it is absent or no number. */
static uint64_t number(const struct json_value *value)
{
    uint64_t out;
    return json_u64(value, &out) ? out : 0;
}

/* A time in units of `unit_us`, 0 if there is none. */
static int64_t time_of(const struct json_value *value, int64_t unit_us)
{
    uint64_t units = number(value);
    if (units > (uint64_t)(TIME_MAX_US / unit_us)) {
        return 0;
    }
    int64_t time_us = (int64_t)units * unit_us;
    return time_us >= TIME_MIN_US && time_us < TIME_MAX_US ? time_us : 0;
}

/* Members that the record lacks are taken from the labels. */
static void merge_labels(struct parser *parser, struct text labels, struct json_value *values,
                         struct flow_record *record)
{
    struct json_value more[N_COUNT];
    if (labels.data == NULL) {
        return;
    }
    if (parse_json(parser, PATHS_NETOBSERV, POINTERS, N_COUNT, labels, more, NULL) != 0) {
        record->doubtful = "the labels of the Loki stream are not valid JSON";
        return;
    }
    for (size_t i = 0; i < N_COUNT; i++) {
        if (values[i].type == JSON_ABSENT) {
            values[i] = more[i];
        }
    }
}

/* The first packets were seen in the record's span; if not even that is known, when it came. */
static void read_time(const struct json_value *values, const struct outer *outer,
                      struct flow_record *record)
{
    int64_t start_us = time_of(&values[N_START_MS], 1000);
    if (start_us != 0) {
        parse_span(record, start_us, time_of(&values[N_END_MS], 1000), 999);
        return;
    }
    record->flow.shows_start = false;
    start_us = time_of(&values[N_START_S], US_PER_S);
    if (start_us != 0) {
        parse_span(record, start_us, time_of(&values[N_END_S], US_PER_S), US_PER_S - 1);
        return;
    }
    start_us = time_of(&values[N_RECEIVED_S], US_PER_S);
    if (start_us != 0) {
        parse_span(record, start_us, 0, US_PER_S - 1);
        return;
    }
    parse_span(record, outer->time_us, 0, 0);
}

static enum flow_end end_of(struct text type)
{
    if (text_is(type, "Service")) {
        return FLOW_END_SERVICE;
    }
    return text_is(type, "Node") ? FLOW_END_NODE : FLOW_END_POD;
}

static void read_end(struct parser *parser, const struct json_value *end, struct text cluster,
                     struct flow_identity *identity)
{
    struct text name = parse_text(parser, &end[E_NAME]);
    struct text type = parse_text(parser, &end[E_TYPE]);
    if (name.data == NULL) {
        name = parse_text(parser, &end[E_OLD_POD]);
    }
    identity->namespace = parse_text(parser, &end[E_NAMESPACE]);
    if (identity->namespace.data == NULL) {
        identity->namespace = parse_text(parser, &end[E_OLD_NAMESPACE]);
    }
    identity->workload = parse_text(parser, &end[E_OWNER]);
    if (identity->workload.data == NULL) {
        identity->workload = parse_text(parser, &end[E_OLD_WORKLOAD]);
    }
    identity->node = parse_text(parser, &end[E_HOST]);
    if (text_missing(name) && text_missing(type)) {
        return;
    }
    /* A deployment's is a pod; services and nodes own themselves. */
    identity->end = end_of(type.data != NULL ? type : parse_text(parser, &end[E_OWNER_TYPE]));
    identity->cluster = cluster;
    if (identity->end == FLOW_END_POD) {
        identity->pod = name;
    } else if (identity->end == FLOW_END_SERVICE) {
        identity->service = name;
        identity->workload = (struct text){NULL, 0};
    } else {
        identity->node = name.data != NULL ? name : identity->node;
        identity->workload = (struct text){NULL, 0};
    }
}

/* What the network policies did, where that is recorded; else denied is what was dropped whole. */
static enum flow_action read_action(struct parser *parser, const struct json_value *values)
{
    static const char *const ACTION[] = {"/Action"};
    struct json_items events = json_items(&values[N_EVENTS]);
    struct json_value event, action;
    uint64_t dropped = number(&values[N_DROPPED]);
    enum flow_action said = FLOW_UNKNOWN;
    while (json_items_next(&events, &event)) {
        if (parse_json(parser, PATHS_NETOBSERV_EVENT, ACTION, 1, event.text, &action, NULL) != 0) {
            continue;
        }
        if (parse_is(&action, "drop")) {
            return FLOW_DENIED;
        }
        said = parse_is(&action, "allow") ? FLOW_ALLOWED : said;
    }
    return dropped > 0 && dropped >= number(&values[N_PACKETS]) ? FLOW_DENIED : said;
}

/* The address that translation gave the destination, where it is another. */
static void read_alternate(struct parser *parser, const struct json_value *values,
                           struct flow *flow)
{
    struct text translated =
        parse_address(parse_text(parser, &values[N_DESTINATION + E_TRANSLATED]));
    flow->has_alternate = flow->has_pair && !text_missing(translated) &&
                          addr_parse(&flow->alternate, translated.data, translated.len) &&
                          !addr_equal(&flow->alternate, &flow->destination);
}

/* The SYN tells, else the ports. Records of whole connections have the client as source. */
static bool is_reply(const struct json_value *values, const struct flow *flow)
{
    uint64_t flags = number(&values[N_FLAGS]);
    bool conversation =
        values[N_RECORD_TYPE].type == JSON_STRING && !parse_is(&values[N_RECORD_TYPE], "flowLog");
    if (conversation || (flags & FLAG_SYN) != 0) {
        return false;
    }
    return (flags & FLAG_SYN_ACK) != 0 || parse_is_way_back(flow);
}

/* A later record of a connection that had one. */
static bool is_update(const struct json_value *values)
{
    const struct json_value *type = &values[N_RECORD_TYPE];
    return (parse_is(type, "heartbeat") || parse_is(type, "updateConnection") ||
            parse_is(type, "endConnection")) &&
           values[N_IS_FIRST].type != JSON_TRUE && !parse_is(&values[N_IS_FIRST], "true");
}

/* Why the record is to be left out; SKIP_COUNT if it is not. The first versions had the direction
 * from the exporter, whose view is the switch's: it says nothing. */
static enum skip skip_of(const struct json_value *values, struct flow *flow)
{
    uint64_t ether = number(&values[N_ETYPE]);
    uint64_t direction;
    if (ether != 0 && ether != ETHER_IPV4 && ether != ETHER_IPV6) {
        return SKIP_NOT_A_FLOW;
    }
    if (values[N_DUPLICATE].type == JSON_TRUE || parse_is(&values[N_DUPLICATE], "true") ||
        is_update(values)) {
        return SKIP_REPEAT;
    }
    if (is_reply(values, flow)) {
        return SKIP_REPLY;
    }
    if (values[N_SAMPLER].type != JSON_ABSENT || !json_u64(&values[N_DIRECTION], &direction)) {
        return SKIP_COUNT;
    }
    flow->direction = direction == DIRECTION_EGRESS || direction == DIRECTION_INNER
                          ? FLOW_EGRESS
                          : FLOW_DIRECTION_UNKNOWN;
    return direction == DIRECTION_INGRESS ? SKIP_INGRESS : SKIP_COUNT;
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[N_COUNT];
    struct flow *flow = &record->flow;
    int result = parse_json(parser, PATHS_NETOBSERV, POINTERS, N_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_netobserv(values)) {
        return PARSED_FOREIGN;
    }
    merge_labels(parser, outer->labels, values, record);
    flow->dataset = "netobserv";
    parse_transport(flow, parse_scalar(&values[N_PROTO]));
    parse_ports(record, parse_scalar(&values[N_SOURCE + E_PORT]),
                parse_scalar(&values[N_DESTINATION + E_PORT]));
    enum skip skip = skip_of(values, flow);
    if (skip != SKIP_COUNT) {
        return parse_skip(record, skip);
    }
    parse_pair(record, parse_text(parser, &values[N_SOURCE + E_ADDR]),
               parse_text(parser, &values[N_DESTINATION + E_ADDR]));
    flow->shows_start = (number(&values[N_FLAGS]) & FLAG_SYN) != 0;
    read_time(values, outer, record);
    read_alternate(parser, values, flow);
    flow->action = read_action(parser, values);
    flow->has_bytes = json_u64(&values[N_BYTES], &flow->bytes);
    struct text cluster = parse_text(parser, &values[N_CLUSTER]);
    read_end(parser, &values[N_SOURCE], cluster, &flow->source_id);
    read_end(parser, &values[N_DESTINATION], cluster, &flow->destination_id);
    return PARSED_FLOW;
}

const struct format FORMAT_NETOBSERV = {
    .name = "netobserv",
    .description =
        "NetObserv (OpenShift): flowlogs-pipeline's JSON, as files, Kafka and Loki have it",
    .score = score,
    .parse = parse,
};
