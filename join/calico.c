/* join/calico.c -- Calico Enterprise and Cloud: the lines of flows.log
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record is what one flush window (start_time to end_time, some minutes) counted of one
 * connection, or of all that aggregation makes equal: first the source port goes, then names become
 * "prefix-*" and addresses null, then the destination port goes. "-" stands for what is not there.
 * Copies in Elasticsearch, S3 and syslog carry "host" and "@timestamp" (the end of the window),
 * too.
 */
#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/format.h"

enum {
    C_START,
    C_END,
    C_SOURCE,
    C_SOURCE_PORT,
    C_SOURCE_NAME,
    C_SOURCE_AGGREGATE,
    C_SOURCE_NAMESPACE,
    C_SOURCE_TYPE,
    C_DESTINATION,
    C_DESTINATION_PORT,
    C_DESTINATION_NAME,
    C_DESTINATION_AGGREGATE,
    C_DESTINATION_NAMESPACE,
    C_DESTINATION_TYPE,
    C_SERVICE,
    C_SERVICE_NAMESPACE,
    C_PROTOCOL,
    C_ACTION,
    C_REPORTER,
    C_FLOWS,
    C_STARTED,
    C_BYTES_IN,
    C_BYTES_OUT,
    C_HOST,
    C_COUNT,
};

static const char *const CALICO[C_COUNT] = {
    [C_START] = "/start_time",
    [C_END] = "/end_time",
    [C_SOURCE] = "/source_ip",
    [C_SOURCE_PORT] = "/source_port",
    [C_SOURCE_NAME] = "/source_name",
    [C_SOURCE_AGGREGATE] = "/source_name_aggr",
    [C_SOURCE_NAMESPACE] = "/source_namespace",
    [C_SOURCE_TYPE] = "/source_type",
    [C_DESTINATION] = "/dest_ip",
    [C_DESTINATION_PORT] = "/dest_port",
    [C_DESTINATION_NAME] = "/dest_name",
    [C_DESTINATION_AGGREGATE] = "/dest_name_aggr",
    [C_DESTINATION_NAMESPACE] = "/dest_namespace",
    [C_DESTINATION_TYPE] = "/dest_type",
    [C_SERVICE] = "/dest_service_name",
    [C_SERVICE_NAMESPACE] = "/dest_service_namespace",
    [C_PROTOCOL] = "/proto",
    [C_ACTION] = "/action",
    [C_REPORTER] = "/reporter",
    [C_FLOWS] = "/num_flows",
    [C_STARTED] = "/num_flows_started",
    [C_BYTES_IN] = "/bytes_in",
    [C_BYTES_OUT] = "/bytes_out",
    [C_HOST] = "/host",
};

static bool is_calico(const struct json_value *values)
{
    return values[C_SOURCE_AGGREGATE].type != JSON_ABSENT &&
           values[C_DESTINATION_AGGREGATE].type != JSON_ABSENT &&
           values[C_REPORTER].type == JSON_STRING;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[C_COUNT];
    int result = parse_json(parser, PATHS_CALICO, CALICO, C_COUNT, line, values, NULL);
    return result == 0 && is_calico(values) ? 100 : 0;
}

/* Who reported it: "src", "dst", "fwd", or several as in "dst, fwd". Only a record that speaks for
 * the destination alone is a copy. */
static bool is_copy(struct text reporter)
{
    bool source = memmem(reporter.data, reporter.len, "src", 3) != NULL;
    return !source && memmem(reporter.data, reporter.len, "dst", 3) != NULL;
}

/* A name, or none where it is "-". */
static struct text name_of(struct parser *parser, const struct json_value *value)
{
    struct text text = parse_text(parser, value);
    return text_missing(text) ? (struct text){NULL, 0} : text;
}

/* "cart-7c9d-*" without "-*": what the pods of one owner have in common. */
static struct text workload_of(struct parser *parser, const struct json_value *value)
{
    struct text name = name_of(parser, value);
    if (name.len > 2 && memcmp(name.data + name.len - 2, "-*", 2) == 0) {
        name.len -= 2;
    }
    return name;
}

/* The four members that tell who an end is, from its name on: name, aggregate, namespace, type. */
static void read_end(struct parser *parser, const struct json_value *values,
                     struct flow_identity *id)
{
    const struct json_value *type = &values[3];
    id->namespace = name_of(parser, &values[2]);
    if (parse_is(type, "wep")) {
        id->end = FLOW_END_POD;
        id->pod = name_of(parser, &values[0]);
        id->workload = workload_of(parser, &values[1]);
    } else if (parse_is(type, "hep")) {
        id->end = FLOW_END_NODE;
        id->node = name_of(parser, &values[0]);
    } else if (parse_is(type, "net") || parse_is(type, "ns")) {
        id->end = FLOW_END_NETWORK;
    }
}

static void read_identity(struct parser *parser, const struct json_value *values, struct flow *flow)
{
    struct flow_identity *destination = &flow->destination_id;
    read_end(parser, &values[C_SOURCE_NAME], &flow->source_id);
    read_end(parser, &values[C_DESTINATION_NAME], destination);
    if (flow->source_id.node.data == NULL) {
        flow->source_id.node = name_of(parser, &values[C_HOST]);
    }
    destination->service = name_of(parser, &values[C_SERVICE]);
    if (destination->namespace.data == NULL) {
        destination->namespace = name_of(parser, &values[C_SERVICE_NAMESPACE]);
    }
}

/* A window in which all connections of the record began shows their start. */
static void read_window(const struct json_value *values, struct flow_record *record)
{
    int64_t start_us = parse_when(parse_scalar(&values[C_START]));
    int64_t end_us = parse_when(parse_scalar(&values[C_END]));
    uint64_t flows;
    uint64_t started;
    if (start_us == 0 || end_us == 0) {
        record->doubtful = "start_time and end_time are no seconds since 1970";
    }
    parse_span(record, start_us, end_us, US_PER_S - 1);
    record->flow.shows_start = json_u64(&values[C_FLOWS], &flows) &&
                               json_u64(&values[C_STARTED], &started) && started > 0 &&
                               started >= flows;
}

static void read_bytes(const struct json_value *values, struct flow *flow)
{
    uint64_t in;
    uint64_t out;
    if (json_u64(&values[C_BYTES_IN], &in) && json_u64(&values[C_BYTES_OUT], &out) &&
        in <= UINT64_MAX - out) {
        flow->has_bytes = true;
        flow->bytes = in + out;
    }
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[C_COUNT];
    struct flow *flow = &record->flow;
    (void)outer;
    int result = parse_json(parser, PATHS_CALICO, CALICO, C_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_calico(values)) {
        return PARSED_FOREIGN;
    }
    if (is_copy(values[C_REPORTER].text)) {
        return parse_skip(record, SKIP_INGRESS);
    }
    flow->dataset = "calico";
    flow->direction = memmem(values[C_REPORTER].text.data, values[C_REPORTER].text.len, "src", 3)
                          ? FLOW_EGRESS
                          : FLOW_DIRECTION_UNKNOWN;
    flow->action = parse_is(&values[C_ACTION], "allow")  ? FLOW_ALLOWED
                   : parse_is(&values[C_ACTION], "deny") ? FLOW_DENIED
                                                         : FLOW_UNKNOWN;
    parse_pair(record, parse_address(parse_text(parser, &values[C_SOURCE])),
               parse_address(parse_text(parser, &values[C_DESTINATION])));
    parse_transport(flow, parse_scalar(&values[C_PROTOCOL]));
    parse_ports(record, parse_scalar(&values[C_SOURCE_PORT]),
                parse_scalar(&values[C_DESTINATION_PORT]));
    read_window(values, record);
    read_bytes(values, flow);
    read_identity(parser, values, flow);
    return PARSED_FLOW;
}

const struct format FORMAT_CALICO = {
    .name = "calico",
    .description = "Calico Enterprise and Cloud: flows.log, and its copies elsewhere",
    .score = score,
    .parse = parse,
};
