/* join/goldmane.c -- Calico's Goldmane and Whisker: flows between names, without addresses
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three forms: what Goldmane's stream tool prints ({"id":…,"flow":{"Key":{…},"start_time":…}},
 * enums as numbers), an item of Whisker's list, and the same as a server-sent event ("data: {…}").
 * Neither has an address, so that no record can be joined; what they say of who talks to whom is
 * read all the same.
 */
#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/format.h"

static const char NO_ADDRESS[] =
    "Goldmane and Whisker give no addresses, so that no flow can be joined by them; use kernel LOG "
    "lines of Calico's `Log` action (kernel-log), or Enterprise flow logs at aggregation level 0 "
    "or 1 (calico)";

/* What both forms have: Goldmane's first, then Whisker's. */
enum {
    G_START,
    G_END,
    G_SOURCE_NAME,
    G_SOURCE_NAMESPACE,
    G_DESTINATION_NAME,
    G_DESTINATION_NAMESPACE,
    G_DESTINATION_PORT,
    G_PROTOCOL,
    G_ACTION,
    G_REPORTER,
    G_BYTES_IN,
    G_BYTES_OUT,
    G_COMMON,

    G_KEY = 2 * G_COMMON, /* of Goldmane only */
    G_SOURCE_TYPE,
    G_DESTINATION_TYPE,
    G_SERVICE,
    G_SERVICE_NAMESPACE,
    G_ITEMS, /* of Whisker only */
    G_AGGREGATE,
    G_COUNT,
};

#define FORM(FROM, FLOW, KEY, PROTOCOL)                                                            \
    [FROM + G_START] = FLOW "/start_time", [FROM + G_END] = FLOW "/end_time",                      \
            [FROM + G_SOURCE_NAME] = KEY "/source_name",                                           \
            [FROM + G_SOURCE_NAMESPACE] = KEY "/source_namespace",                                 \
            [FROM + G_DESTINATION_NAME] = KEY "/dest_name",                                        \
            [FROM + G_DESTINATION_NAMESPACE] = KEY "/dest_namespace",                              \
            [FROM + G_DESTINATION_PORT] = KEY "/dest_port", [FROM + G_PROTOCOL] = KEY PROTOCOL,    \
            [FROM + G_ACTION] = KEY "/action", [FROM + G_REPORTER] = KEY "/reporter",              \
            [FROM + G_BYTES_IN] = FLOW "/bytes_in", [FROM + G_BYTES_OUT] = FLOW "/bytes_out"

static const char *const GOLDMANE[G_COUNT] = {
    FORM(0, "/flow", "/flow/Key", "/proto"),
    FORM(G_COMMON, "", "", "/protocol"),
    [G_KEY] = "/flow/Key",
    [G_SOURCE_TYPE] = "/flow/Key/source_type",
    [G_DESTINATION_TYPE] = "/flow/Key/dest_type",
    [G_SERVICE] = "/flow/Key/dest_service_name",
    [G_SERVICE_NAMESPACE] = "/flow/Key/dest_service_namespace",
    [G_ITEMS] = "/items",
    [G_AGGREGATE] = "/source_name_aggr",
};

enum shape { SHAPE_NONE, SHAPE_GOLDMANE, SHAPE_WHISKER, SHAPE_PAGE };

/* Calico Enterprise's records have an aggregate beside each name. */
static bool is_item(const struct json_value *values)
{
    const struct json_value *item = values + G_COMMON;
    return item[G_SOURCE_NAME].type == JSON_STRING &&
           item[G_DESTINATION_NAME].type == JSON_STRING && item[G_REPORTER].type == JSON_STRING &&
           item[G_START].type != JSON_ABSENT && values[G_AGGREGATE].type == JSON_ABSENT;
}

static bool is_page(struct text items)
{
    return memmem(items.data, items.len, "\"source_namespace\"", 18) != NULL &&
           memmem(items.data, items.len, "\"dest_namespace\"", 16) != NULL;
}

/* Without the name of the field in a server-sent event (WHATWG HTML, section 9.2). */
static struct text peel_event(struct text line)
{
    if (text_begins(line, "data:")) {
        line = text_trim((struct text){line.data + 5, line.len - 5});
    }
    return line;
}

/* Returns 0, or what the format is to return. */
static int read_record(struct parser *parser, struct text line, struct json_value *values,
                       enum shape *shape, struct flow_record *record)
{
    *shape = SHAPE_NONE;
    int result = parse_json(parser, PATHS_GOLDMANE, GOLDMANE, G_COUNT, line, values, record);
    if (result == 0 && values[G_KEY].type == JSON_OBJECT) {
        *shape = SHAPE_GOLDMANE;
    } else if (result == 0 && is_item(values)) {
        *shape = SHAPE_WHISKER;
    } else if (result == 0 && values[G_ITEMS].type == JSON_ARRAY && is_page(values[G_ITEMS].text)) {
        *shape = SHAPE_PAGE;
    }
    return result;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[G_COUNT];
    enum shape shape;
    int result = read_record(parser, peel_event(line), values, &shape, NULL);
    return result == 0 && shape != SHAPE_NONE ? 100 : 0;
}

/* "-" and "" stand for what is not there, and Whisker's "Global" for no namespace. */
static struct text name_of(struct parser *parser, const struct json_value *value)
{
    struct text text = parse_text(parser, value);
    return text_missing(text) || text_is(text, "Global") ? (struct text){NULL, 0} : text;
}

/* Names are those of the pods' owners: "cart-7c9d-*". */
static struct text workload_of(struct text name)
{
    if (name.len > 2 && memcmp(name.data + name.len - 2, "-*", 2) == 0) {
        name.len -= 2;
    }
    return name;
}

/* Networks have names, too, which are no workload's. */
static bool is_network(struct text name)
{
    return text_is(name, "pub") || text_is(name, "pvt") || text_is(name, "PUBLIC NETWORK") ||
           text_is(name, "PRIVATE NETWORK");
}

/* EndpointType of Goldmane's API: 1 workload, 2 host, 3 network set, 4 network. */
static enum flow_end end_of(const struct json_value *type, struct text name)
{
    static const enum flow_end ENDS[] = {FLOW_END_UNKNOWN, FLOW_END_POD, FLOW_END_NODE,
                                         FLOW_END_NETWORK, FLOW_END_NETWORK};
    uint64_t number;
    if (json_u64(type, &number) && number < sizeof(ENDS) / sizeof(ENDS[0])) {
        return ENDS[number];
    }
    return is_network(name) ? FLOW_END_NETWORK : FLOW_END_UNKNOWN;
}

static void read_end(struct parser *parser, const struct json_value *name,
                     const struct json_value *namespace, const struct json_value *type,
                     struct flow_identity *id)
{
    struct text text = name_of(parser, name);
    id->end = end_of(type, text);
    id->namespace = name_of(parser, namespace);
    if (id->end == FLOW_END_NODE) {
        id->node = text;
    } else if (id->end != FLOW_END_NETWORK) {
        id->workload = workload_of(text);
    }
}

/* Words of Whisker, numbers of Goldmane: 1 allow, 2 deny, 3 pass. */
static enum flow_action action_of(const struct json_value *value)
{
    struct text action = parse_scalar(value);
    return text_is(action, "Allow") || text_is(action, "1")  ? FLOW_ALLOWED
           : text_is(action, "Deny") || text_is(action, "2") ? FLOW_DENIED
                                                             : FLOW_UNKNOWN;
}

/* `common` is the part of `values` for the form of the record. */
static void fill(struct parser *parser, const struct json_value *values,
                 const struct json_value *common, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    struct flow_identity *destination = &flow->destination_id;
    uint64_t in;
    uint64_t out;
    flow->dataset = "goldmane";
    flow->direction = FLOW_EGRESS;
    flow->action = action_of(&common[G_ACTION]);
    flow->unjoinable = "no-address";
    record->remark = NO_ADDRESS;
    parse_transport(flow, parse_scalar(&common[G_PROTOCOL]));
    parse_ports(record, (struct text){NULL, 0}, parse_scalar(&common[G_DESTINATION_PORT]));
    parse_span(record, parse_when(parse_scalar(&common[G_START])),
               parse_when(parse_scalar(&common[G_END])), US_PER_S - 1);
    flow->has_bytes = json_u64(&common[G_BYTES_IN], &in) && json_u64(&common[G_BYTES_OUT], &out) &&
                      in <= UINT64_MAX - out;
    flow->bytes = flow->has_bytes ? in + out : 0;
    read_end(parser, &common[G_SOURCE_NAME], &common[G_SOURCE_NAMESPACE], &values[G_SOURCE_TYPE],
             &flow->source_id);
    read_end(parser, &common[G_DESTINATION_NAME], &common[G_DESTINATION_NAMESPACE],
             &values[G_DESTINATION_TYPE], destination);
    destination->service = name_of(parser, &values[G_SERVICE]);
    if (destination->namespace.data == NULL) {
        destination->namespace = name_of(parser, &values[G_SERVICE_NAMESPACE]);
    }
}

static bool is_copy(const struct json_value *reporter)
{
    struct text text = parse_scalar(reporter);
    return text_is(text, "Dst") || text_is(text, "2");
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[G_COUNT];
    enum shape shape;
    (void)outer;
    /* The other fields of a server-sent event, and its comments. */
    if (text_begins(line, "event:") || text_begins(line, "id:") || text_begins(line, "retry:") ||
        text_begins(line, ":")) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    int result = read_record(parser, peel_event(line), values, &shape, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (shape == SHAPE_PAGE) {
        return parse_bad(parser, record,
                         "a page of Whisker; give its items line by line, as "
                         "`jq -c '.items[]'` does (and they have no addresses)");
    }
    if (shape == SHAPE_NONE) {
        return PARSED_FOREIGN;
    }
    const struct json_value *common = shape == SHAPE_WHISKER ? values + G_COMMON : values;
    if (is_copy(&common[G_REPORTER])) {
        return parse_skip(record, SKIP_INGRESS);
    }
    fill(parser, values, common, record);
    return PARSED_FLOW;
}

const struct format FORMAT_GOLDMANE = {
    .name = "goldmane",
    .description = "Calico's Goldmane and Whisker: no addresses, so nothing that can be joined",
    .score = score,
    .parse = parse,
};
