/* join/map.c -- which field of an unknown record is what: `--map source.ip=src,…`
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "join/field.h"

const char *const MAP_FIELDS[MAP_COUNT + 1] = {
    [MAP_TIME] = "@timestamp",
    [MAP_START] = "event.start",
    [MAP_END] = "event.end",
    [MAP_ACTION] = "event.action",
    [MAP_TRANSPORT] = "network.transport",
    [MAP_DIRECTION] = "network.direction",
    [MAP_BYTES] = "network.bytes",
    [MAP_SOURCE] = "source.ip",
    [MAP_SOURCE_PORT] = "source.port",
    [MAP_SOURCE_CLUSTER] = "source.k8s.cluster",
    [MAP_SOURCE_NAMESPACE] = "source.k8s.namespace",
    [MAP_SOURCE_POD] = "source.k8s.pod",
    [MAP_SOURCE_WORKLOAD] = "source.k8s.workload",
    [MAP_DESTINATION] = "destination.ip",
    [MAP_DESTINATION_PORT] = "destination.port",
    [MAP_DESTINATION_NAT] = "destination.nat.ip",
    [MAP_DESTINATION_NAMESPACE] = "destination.k8s.namespace",
    [MAP_DESTINATION_POD] = "destination.k8s.pod",
    [MAP_DESTINATION_WORKLOAD] = "destination.k8s.workload",
    [MAP_DESTINATION_SERVICE] = "destination.k8s.service",
    [MAP_NODE] = "host.name",
};

/* ---- The map ---- */

/* "a.b" as "/a/b"; what begins with a slash is a pointer already. */
static char *pointer_of(const char *name)
{
    size_t len = strlen(name);
    char *pointer = malloc(len + 2);
    if (pointer == NULL || name[0] == '/') {
        return pointer != NULL ? strcpy(pointer, name) : NULL;
    }
    pointer[0] = '/';
    for (size_t i = 0; i <= len; i++) {
        pointer[i + 1] = name[i] == '.' ? '/' : name[i];
    }
    return pointer;
}

/* The place of that name, a new one if need be; SIZE_MAX if memory is short. */
static size_t place_of(struct field_map *map, const char *name)
{
    char *pointer = pointer_of(name);
    for (size_t i = 0; i < map->from_count && pointer != NULL; i++) {
        if (strcmp(map->pointers[i], pointer) == 0) {
            free(pointer);
            return i;
        }
    }
    char *copy = strdup(name);
    if (copy == NULL || pointer == NULL) {
        free(copy);
        free(pointer);
        return SIZE_MAX;
    }
    map->names[map->from_count] = copy;
    map->pointers[map->from_count] = pointer;
    return map->from_count++;
}

/* Whether it can be a path into JSON; as a column anything can be a name. */
static bool is_path(const char *name)
{
    struct json_paths *paths;
    char *pointer = pointer_of(name);
    const char *const one = pointer;
    int err = pointer != NULL ? json_paths_new(&paths, &one, 1) : 0;
    if (pointer != NULL && err == 0) {
        json_paths_free(&paths);
    }
    free(pointer);
    return err == 0;
}

/* "field=name" */
static int add_rule(struct field_map *map, char *rule, struct why *why)
{
    char *equals = strchr(rule, '=');
    size_t field = 0;
    if (equals == NULL || equals[1] == '\0') {
        return why_set(why, W_EUSAGE, "--map %.60s: expected FIELD=NAME, as source.ip=src", rule);
    }
    *equals = '\0';
    while (field < MAP_COUNT && strcmp(MAP_FIELDS[field], rule) != 0) {
        field++;
    }
    if (field == MAP_COUNT) {
        return why_set(why, W_EUSAGE,
                       "--map: %.60s is no field of a flow; `whither join --help` "
                       "lists them",
                       rule);
    }
    if (map->rule_count == MAP_MAX) {
        return why_set(why, W_EUSAGE, "--map: more than %d fields", MAP_MAX);
    }
    if (!is_path(equals + 1)) {
        return why_set(why, W_EUSAGE, "--map %s=%.60s: expected a path of keys of 1 to %d octets",
                       rule, equals + 1, JSON_KEY_MAX);
    }
    size_t from = place_of(map, equals + 1);
    if (from == SIZE_MAX) {
        return -ENOMEM;
    }
    map->rules[map->rule_count].field = (enum map_field)field;
    map->rules[map->rule_count++].from = from;
    return 0;
}

int map_add(struct field_map *map, const char *text, struct why *why)
{
    char *copy = strdup(text);
    char *rest = copy;
    int err = copy == NULL ? -ENOMEM : 0;
    for (char *rule = NULL; err == 0 && (rule = strsep(&rest, ",")) != NULL;) {
        err = add_rule(map, rule, why);
    }
    free(copy);
    return err;
}

static bool has(const struct field_map *map, enum map_field field)
{
    for (size_t i = 0; i < map->rule_count; i++) {
        if (map->rules[i].field == field) {
            return true;
        }
    }
    return false;
}

void map_options(const struct field_map *map, struct parser_options *options)
{
    options->map = map;
    options->fields = map->names;
    options->field_count = map->from_count;
}

int map_check(const struct field_map *map, bool timed, struct why *why)
{
    if (!has(map, MAP_SOURCE) || !has(map, MAP_DESTINATION)) {
        return why_set(why, W_EUSAGE, "--map: expected source.ip=… and destination.ip=…");
    }
    if (!timed && !has(map, MAP_TIME) && !has(map, MAP_START)) {
        return why_set(why, W_EUSAGE, "--map: expected @timestamp=… or event.start=…");
    }
    return 0;
}

void map_fini(struct field_map *map)
{
    for (size_t i = 0; i < map->from_count; i++) {
        free((char *)map->names[i]);
        free((char *)map->pointers[i]);
    }
    *map = (struct field_map){0};
}

/* ---- The record ---- */

void map_pick(const struct field_map *map, const struct text *places, struct map_values *values)
{
    *values = (struct map_values){0};
    for (size_t i = 0; i < map->rule_count; i++) {
        struct text *to = &values->text[map->rules[i].field];
        struct text place = text_trim(places[map->rules[i].from]);
        if (to->data == NULL && !text_missing(place)) {
            *to = place;
        }
    }
}

bool map_has_pair(const struct map_values *values)
{
    const struct text *source = &values->text[MAP_SOURCE];
    const struct text *destination = &values->text[MAP_DESTINATION];
    struct addr addr;
    return source->data != NULL && destination->data != NULL &&
           addr_parse(&addr, source->data, source->len) &&
           addr_parse(&addr, destination->data, destination->len);
}

/* A whole number since the epoch tells its unit by its size: what is seconds now has 10 digits,
 * milliseconds 13, microseconds 16, nanoseconds 19. */
static bool read_epoch(uint64_t number, int64_t *time_us, int64_t *precision_us)
{
    static const uint64_t SECONDS_MAX = UINT64_C(100000000000);
    uint64_t us = number;
    *precision_us = 0;
    if (number < SECONDS_MAX) {
        us = number * US_PER_S;
        *precision_us = US_PER_S - 1;
    } else if (number < SECONDS_MAX * 1000) {
        us = number * 1000;
        *precision_us = 999;
    } else if (number >= SECONDS_MAX * 1000000) {
        us = number / 1000;
    }
    *time_us = (int64_t)us;
    return us >= (uint64_t)TIME_MIN_US && us <= (uint64_t)TIME_MAX_US;
}

/* 0 where there is none; nonsense makes the record doubtful. */
static int64_t read_time(struct parser *parser, struct text text, int64_t *precision_us,
                         struct flow_record *record)
{
    uint64_t number;
    int64_t time_us = 0;
    if (text.data == NULL) {
        return 0;
    }
    bool ok = field_u64(text, &number) ? read_epoch(number, &time_us, precision_us)
                                       : civil_parse(&parser->civil, text, &time_us);
    if (!ok) {
        record->doubtful = "the time is no time";
        return 0;
    }
    if (!field_u64(text, &number)) {
        *precision_us = civil_precision(text);
    }
    return time_us;
}

static bool is_any(struct text text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strlen(*words) == text.len && strncasecmp(text.data, *words, text.len) == 0) {
            return true;
        }
    }
    return false;
}

/* The words of many logs; the letters are Azure's, where B, C and E are states of an allowed flow.
 */
static enum flow_action action_of(struct text text)
{
    static const char *const ALLOWED[] = {"allow",  "allowed", "accept",    "accepted",  "pass",
                                          "passed", "permit",  "permitted", "forwarded", "a",
                                          "b",      "c",       "e",         NULL};
    static const char *const DENIED[] = {"deny",     "denied", "drop",    "dropped", "reject",
                                         "rejected", "block",  "blocked", "d",       NULL};
    static const char *const LOGGED[] = {"log", "logged", "audit", NULL};
    return is_any(text, ALLOWED)  ? FLOW_ALLOWED
           : is_any(text, DENIED) ? FLOW_DENIED
           : is_any(text, LOGGED) ? FLOW_LOGGED
                                  : FLOW_UNKNOWN;
}

/* The letters are Azure's, the ends GCP's. */
static enum flow_direction direction_of(struct text text)
{
    static const char *const INGRESS[] = {"ingress", "inbound", "in",           "i",
                                          "dst",     "dest",    "dest_gateway", NULL};
    static const char *const EGRESS[] = {"egress", "outbound",    "out", "o",
                                         "src",    "src_gateway", NULL};
    return is_any(text, INGRESS)  ? FLOW_INGRESS
           : is_any(text, EGRESS) ? FLOW_EGRESS
                                  : FLOW_DIRECTION_UNKNOWN;
}

static void read_transport(struct text text, struct flow *flow)
{
    /* Azure's letters. */
    static const char *const TCP[] = {"t", NULL};
    static const char *const UDP[] = {"u", NULL};
    if (is_any(text, TCP)) {
        strcpy(flow->transport, "tcp");
    } else if (is_any(text, UDP)) {
        strcpy(flow->transport, "udp");
    } else if (text.data != NULL) {
        parse_transport(flow, text);
    }
}

/* event.start is when the connection began; @timestamp with an end is a span in which it was seen.
 */
static void read_times(struct parser *parser, const struct map_values *values,
                       const struct outer *outer, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    int64_t precision_us = 0;
    int64_t ignored_us;
    int64_t end_us = read_time(parser, values->text[MAP_END], &ignored_us, record);
    int64_t start_us = read_time(parser, values->text[MAP_START], &precision_us, record);
    flow->shows_start = start_us != 0;
    if (start_us == 0) {
        start_us = read_time(parser, values->text[MAP_TIME], &precision_us, record);
    }
    if (start_us == 0 && values->text[MAP_START].data == NULL &&
        values->text[MAP_TIME].data == NULL) {
        start_us = outer->time_us;
    }
    parse_time(record, start_us);
    flow->precision_us = precision_us;
    if (start_us != 0 && end_us != 0) {
        flow->end_us = end_us > start_us ? end_us : start_us;
        flow->aggregated = !flow->shows_start;
    }
}

static void read_ends(const struct map_values *values, const struct outer *outer,
                      struct flow_record *record)
{
    struct flow *flow = &record->flow;
    const struct text *text = values->text;
    parse_pair(record, parse_address(text[MAP_SOURCE]), parse_address(text[MAP_DESTINATION]));
    parse_ports(record, text[MAP_SOURCE_PORT], text[MAP_DESTINATION_PORT]);
    flow->has_alternate =
        text[MAP_DESTINATION_NAT].data != NULL &&
        addr_parse(&flow->alternate, text[MAP_DESTINATION_NAT].data, text[MAP_DESTINATION_NAT].len);
    flow->source_id.cluster = text[MAP_SOURCE_CLUSTER];
    flow->source_id.namespace = text[MAP_SOURCE_NAMESPACE];
    flow->source_id.pod = text[MAP_SOURCE_POD];
    flow->source_id.workload = text[MAP_SOURCE_WORKLOAD];
    flow->source_id.node = text[MAP_NODE].data != NULL ? text[MAP_NODE] : outer->node;
    flow->destination_id.namespace = text[MAP_DESTINATION_NAMESPACE];
    flow->destination_id.pod = text[MAP_DESTINATION_POD];
    flow->destination_id.workload = text[MAP_DESTINATION_WORKLOAD];
    flow->destination_id.service = text[MAP_DESTINATION_SERVICE];
}

enum parsed map_fill(struct parser *parser, const char *dataset, const struct map_values *values,
                     const struct outer *outer, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    flow->dataset = dataset;
    flow->direction = direction_of(values->text[MAP_DIRECTION]);
    if (flow->direction == FLOW_INGRESS) {
        return parse_skip(record, SKIP_INGRESS);
    }
    flow->action = action_of(values->text[MAP_ACTION]);
    read_transport(values->text[MAP_TRANSPORT], flow);
    read_ends(values, outer, record);
    if (parse_is_way_back(flow)) {
        return parse_skip(record, SKIP_REPLY);
    }
    read_times(parser, values, outer, record);
    flow->has_bytes = field_u64(values->text[MAP_BYTES], &flow->bytes);
    return PARSED_FLOW;
}
