/* join/suricata.c -- Suricata's EVE JSON: flow, netflow and dns events
 * SPDX-License-Identifier: Apache-2.0
 *
 * A flow event is written when the flow has ended; its "timestamp" is of the writing. netflow is
 * the same as two events, one for each direction. What a dns event looks like depends on its
 * version: one event for each record of an answer (1), all of them in "answers" or only by type in
 * "grouped" (2), the same with "queries" (3).
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"
#include "join/dns_records.h"
#include "join/field.h"
#include "join/json_items.h"

enum {
    S_EVENT,
    S_TIMESTAMP,
    S_FLOW_ID,
    S_STATS,
    S_HOST,
    S_SOURCE,
    S_SOURCE_PORT,
    S_DESTINATION,
    S_DESTINATION_PORT,
    S_PROTO,
    S_START,
    S_END,
    S_TO_SERVER,
    S_TO_CLIENT,
    S_ACTION,
    S_NETFLOW_START,
    S_NETFLOW_END,
    S_NETFLOW_BYTES,
    S_SYN,
    S_ACK,
    S_FLAGS_TO_SERVER,
    S_DNS_TYPE,
    S_DNS_VERSION,
    S_DNS_NAME,
    S_DNS_RRTYPE,
    S_DNS_RCODE,
    S_DNS_TTL,
    S_DNS_RDATA,
    S_DNS_ANSWERS,
    S_DNS_A,
    S_DNS_AAAA,
    S_DNS_CNAME,
    S_DNS_QUERY,
    S_COUNT,
};

static const char *const POINTERS[S_COUNT] = {
    [S_EVENT] = "/event_type",
    [S_TIMESTAMP] = "/timestamp",
    [S_FLOW_ID] = "/flow_id",
    [S_STATS] = "/stats",
    [S_HOST] = "/host",
    [S_SOURCE] = "/src_ip",
    [S_SOURCE_PORT] = "/src_port",
    [S_DESTINATION] = "/dest_ip",
    [S_DESTINATION_PORT] = "/dest_port",
    [S_PROTO] = "/proto",
    [S_START] = "/flow/start",
    [S_END] = "/flow/end",
    [S_TO_SERVER] = "/flow/bytes_toserver",
    [S_TO_CLIENT] = "/flow/bytes_toclient",
    [S_ACTION] = "/flow/action",
    [S_NETFLOW_START] = "/netflow/start",
    [S_NETFLOW_END] = "/netflow/end",
    [S_NETFLOW_BYTES] = "/netflow/bytes",
    [S_SYN] = "/tcp/syn",
    [S_ACK] = "/tcp/ack",
    [S_FLAGS_TO_SERVER] = "/tcp/tcp_flags_ts",
    [S_DNS_TYPE] = "/dns/type",
    [S_DNS_VERSION] = "/dns/version",
    [S_DNS_NAME] = "/dns/rrname",
    [S_DNS_RRTYPE] = "/dns/rrtype",
    [S_DNS_RCODE] = "/dns/rcode",
    [S_DNS_TTL] = "/dns/ttl",
    [S_DNS_RDATA] = "/dns/rdata",
    [S_DNS_ANSWERS] = "/dns/answers",
    [S_DNS_A] = "/dns/grouped/A",
    [S_DNS_AAAA] = "/dns/grouped/AAAA",
    [S_DNS_CNAME] = "/dns/grouped/CNAME",
    [S_DNS_QUERY] = "/dns/queries/0/rrname",
};

/* An element of "answers". */
enum { R_NAME, R_TYPE, R_TTL, R_RDATA, R_COUNT };

static const char *const RECORD_POINTERS[R_COUNT] = {
    [R_NAME] = "/rrname",
    [R_TYPE] = "/rrtype",
    [R_TTL] = "/ttl",
    [R_RDATA] = "/rdata",
};

static bool is_eve(const struct json_value *values)
{
    return values[S_EVENT].type == JSON_STRING && values[S_TIMESTAMP].type == JSON_STRING &&
           (values[S_FLOW_ID].type == JSON_NUMBER || values[S_SOURCE].type == JSON_STRING ||
            values[S_STATS].type == JSON_OBJECT);
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[S_COUNT];
    int result = parse_json(parser, PATHS_SURICATA, POINTERS, S_COUNT, line, values, NULL);
    return result == 0 && is_eve(values) ? 95 : 0;
}

/* 0 if it is absent; then, or if it is no time, `record` is told. */
static int64_t time_of(const struct json_value *value, struct flow_record *record)
{
    int64_t time_us = 0;
    if (value->type == JSON_STRING && time_parse(&time_us, value->text.data, value->text.len, 0)) {
        return time_us;
    }
    if (value->type != JSON_ABSENT) {
        record->doubtful = "a time is no RFC 3339 time";
    }
    return 0;
}

static void read_ends(struct parser *parser, const struct json_value *values,
                      struct flow_record *record)
{
    parse_pair(record, parse_text(parser, &values[S_SOURCE]),
               parse_text(parser, &values[S_DESTINATION]));
    parse_transport(&record->flow, parse_text(parser, &values[S_PROTO]));
    parse_ports(record, values[S_SOURCE_PORT].text, values[S_DESTINATION_PORT].text);
}

/* ---- Flows ---- */

static void read_span(const struct json_value *start, const struct json_value *end,
                      const struct outer *outer, struct flow_record *record)
{
    int64_t start_us = time_of(start, record);
    int64_t end_us = time_of(end, record);
    if (start->type == JSON_ABSENT) {
        start_us = outer->time_us;
        record->flow.shows_start = false;
    }
    parse_time(record, start_us);
    if (start_us != 0 && end_us > start_us) {
        record->flow.end_us = end_us;
    }
}

/* Whether the client's packets, from the first one on, had a SYN; of other protocols than TCP a
 * flow begins with the first packet after a silence. */
static bool shows_start(const struct json_value *values, const struct flow *flow)
{
    enum { SYN = 2 };
    const struct json_value *flags = &values[S_FLAGS_TO_SERVER];
    if (strcmp(flow->transport, "tcp") != 0) {
        return true;
    }
    if (flags->type == JSON_STRING && flags->text.len > 0) {
        char low = flags->text.data[flags->text.len - 1];
        return low != '\0' && strchr("2367abefABEF", low) != NULL;
    }
    return values[S_SYN].type == JSON_TRUE;
}

static enum flow_action action_of(const struct json_value *action)
{
    if (parse_is(action, "drop") || parse_is(action, "reject")) {
        return FLOW_DENIED;
    }
    return parse_is(action, "pass") || parse_is(action, "accept") ? FLOW_ALLOWED : FLOW_UNKNOWN;
}

static enum parsed parse_flow(struct parser *parser, const struct json_value *values,
                              const struct outer *outer, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    uint64_t to_server, to_client;
    read_ends(parser, values, record);
    flow->dataset = "suricata";
    flow->shows_start = shows_start(values, flow);
    flow->action = action_of(&values[S_ACTION]);
    read_span(&values[S_START], &values[S_END], outer, record);
    if (json_u64(&values[S_TO_SERVER], &to_server) && json_u64(&values[S_TO_CLIENT], &to_client)) {
        flow->has_bytes = !__builtin_add_overflow(to_server, to_client, &flow->bytes);
    }
    return PARSED_FLOW;
}

/* Which of the two directions an event is of is not said; the flags of both have a SYN. */
static enum parsed parse_netflow(struct parser *parser, const struct json_value *values,
                                 const struct outer *outer, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    read_ends(parser, values, record);
    if (parse_is_way_back(flow)) {
        return parse_skip(record, SKIP_REPLY);
    }
    flow->dataset = "suricata";
    flow->shows_start = values[S_SYN].type == JSON_TRUE && values[S_ACK].type != JSON_TRUE;
    read_span(&values[S_NETFLOW_START], &values[S_NETFLOW_END], outer, record);
    flow->has_bytes = json_u64(&values[S_NETFLOW_BYTES], &flow->bytes);
    return PARSED_FLOW;
}

/* ---- DNS ---- */

static uint16_t rcode_of(const struct json_value *rcode)
{
    /* In the order of their numbers (RFC 1035, RFC 2136). */
    static const char *const NAMES[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};
    enum { COUNT = sizeof(NAMES) / sizeof(NAMES[0]) };
    uint16_t number = 0;
    if (rcode->type == JSON_ABSENT) {
        return 0;
    }
    while (number < COUNT && !parse_is(rcode, NAMES[number])) {
        number++;
    }
    return number;
}

/* One resource record of the answer. */
static void add_record(struct parser *parser, const struct json_value *type,
                       const struct json_value *ttl, const struct json_value *rdata,
                       struct dns_builder *builder)
{
    bool target = parse_is(type, "CNAME");
    uint64_t ttl_s;
    if (!target && !parse_is(type, "A") && !parse_is(type, "AAAA")) {
        return;
    }
    if (target) {
        dns_builder_target(builder, parse_text(parser, rdata));
    } else {
        dns_builder_addr(builder, parse_text(parser, rdata));
    }
    if (json_u64(ttl, &ttl_s)) {
        dns_builder_ttl(builder, ttl_s);
    }
}

static void add_answers(struct parser *parser, const struct json_value *answers,
                        struct dns_builder *builder)
{
    struct json_items items = json_items(answers);
    struct json_value item;
    while (json_items_next(&items, &item)) {
        struct json_value values[R_COUNT];
        if (parse_json(parser, PATHS_SURICATA_ANSWER, RECORD_POINTERS, R_COUNT, item.text, values,
                       NULL) == 0) {
            add_record(parser, &values[R_TYPE], &values[R_TTL], &values[R_RDATA], builder);
        }
    }
}

static void add_grouped(struct parser *parser, const struct json_value *list, bool targets,
                        struct dns_builder *builder)
{
    struct json_items items = json_items(list);
    struct json_value item;
    while (json_items_next(&items, &item)) {
        if (targets) {
            dns_builder_target(builder, parse_text(parser, &item));
        } else {
            dns_builder_addr(builder, parse_text(parser, &item));
        }
    }
}

/* The asked name: of the query where there is one; in some versions only the records have names,
 * of which the first is the asked one's. */
static struct text asked_name(struct parser *parser, const struct json_value *values)
{
    struct json_value record[R_COUNT];
    struct json_value first;
    struct json_items items = json_items(&values[S_DNS_ANSWERS]);
    if (values[S_DNS_QUERY].type == JSON_STRING) {
        return parse_text(parser, &values[S_DNS_QUERY]);
    }
    if (values[S_DNS_NAME].type == JSON_ABSENT && json_items_next(&items, &first) &&
        parse_json(parser, PATHS_SURICATA_ANSWER, RECORD_POINTERS, R_COUNT, first.text, record,
                   NULL) == 0) {
        return parse_text(parser, &record[R_NAME]);
    }
    return parse_text(parser, &values[S_DNS_NAME]);
}

static enum parsed parse_dns(struct parser *parser, const struct json_value *values,
                             const struct outer *outer, struct flow_record *record)
{
    struct dns_builder builder;
    struct dns_record facts = {.source = "suricata", .rcode = rcode_of(&values[S_DNS_RCODE])};
    struct text asked = asked_name(parser, values);
    if (asked.data == NULL) {
        return parse_skip(record, SKIP_L7);
    }
    read_ends(parser, values, record);
    facts.time_us = time_of(&values[S_TIMESTAMP], record);
    facts.time_us = facts.time_us != 0 ? facts.time_us : outer->time_us;
    if (!record->flow.has_pair || record->doubtful != NULL) {
        return parse_bad(parser, record, "a DNS response: %s",
                         record->doubtful != NULL ? record->doubtful : "no addresses");
    }
    /* Version 2 has the ends of the flow, the others those of the packet. */
    uint64_t version;
    bool of_flow = json_u64(&values[S_DNS_VERSION], &version) && version == 2;
    facts.client =
        dns_client_is_source(record->flow.source_port, record->flow.destination_port, of_flow)
            ? record->flow.source
            : record->flow.destination;
    facts.sender = parse_text(parser, &values[S_HOST]);
    dns_builder_init(&builder, asked);
    if (values[S_DNS_ANSWERS].type == JSON_ARRAY) {
        add_answers(parser, &values[S_DNS_ANSWERS], &builder);
    } else if (values[S_DNS_RDATA].type != JSON_ABSENT) {
        add_record(parser, &values[S_DNS_RRTYPE], &values[S_DNS_TTL], &values[S_DNS_RDATA],
                   &builder);
    } else {
        add_grouped(parser, &values[S_DNS_CNAME], true, &builder);
        add_grouped(parser, &values[S_DNS_A], false, &builder);
        add_grouped(parser, &values[S_DNS_AAAA], false, &builder);
    }
    return dns_builder_finish(&builder, parser, &facts, record);
}

/* ---- Events ---- */

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[S_COUNT];
    int result = parse_json(parser, PATHS_SURICATA, POINTERS, S_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_eve(values)) {
        return PARSED_FOREIGN;
    }
    if (parse_is(&values[S_EVENT], "flow")) {
        return parse_flow(parser, values, outer, record);
    }
    if (parse_is(&values[S_EVENT], "netflow")) {
        return parse_netflow(parser, values, outer, record);
    }
    if (!parse_is(&values[S_EVENT], "dns")) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    bool response =
        parse_is(&values[S_DNS_TYPE], "answer") || parse_is(&values[S_DNS_TYPE], "response");
    return response ? parse_dns(parser, values, outer, record) : parse_skip(record, SKIP_L7);
}

const struct format FORMAT_SURICATA = {
    .name = "suricata",
    .description = "Suricata's EVE JSON: flow and netflow events; dns events give names",
    .score = score,
    .parse = parse,
};
