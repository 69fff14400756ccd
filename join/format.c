/* join/format.c -- the formats a flow record comes in: the list, and what they share
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/field.h"

/* Loki around journal JSON around a kernel line; deeper is nobody's. */
enum { WRAPPERS_MAX = 3 };

/* A line is taken for a format from this score on. */
enum { SCORE_MIN = 25 };

/* In a wrapper anything may be logged, so a line there must look more like the format. */
enum { SCORE_INNER = 50 };

/* From here on no other format claims the line: they need not be tried. */
enum { SCORE_SURE = 80 };

/* clang-format off */
const struct format *const FORMATS[] = {
    &FORMAT_HUBBLE,
    &FORMAT_KERNEL_LOG,
    &FORMAT_CALICO,
    &FORMAT_CALICO_EBPF,
    &FORMAT_GOLDMANE,
    &FORMAT_ANTREA,
    &FORMAT_ANTREA_S3,
    &FORMAT_AWS_VPC,
    &FORMAT_NETOBSERV,
    &FORMAT_SURICATA,
    &FORMAT_ZEEK,
    &FORMAT_CONNTRACK,
    &FORMAT_ULOGD,
    &FORMAT_JOURNAL,
    &FORMAT_LOKI,
    &FORMAT_LOGCLI,
    &FORMAT_DOCKER,
    &FORMAT_CRI,
    &FORMAT_SHIPPER,
    &FORMAT_JSON,
    &FORMAT_CSV,
    NULL,
};
/* clang-format on */

const char *skip_name(enum skip skip)
{
    static const char *const NAMES[SKIP_COUNT] = {
        [SKIP_NOT_A_FLOW] = "not-a-flow", [SKIP_L7] = "l7",           [SKIP_DNS] = "dns",
        [SKIP_REPLY] = "reply",           [SKIP_INGRESS] = "ingress", [SKIP_REPEAT] = "repeat",
    };
    return NAMES[skip];
}

const struct format *format_by_name(const char *name)
{
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        if (strcmp(FORMATS[i]->name, name) == 0) {
            return FORMATS[i];
        }
    }
    return NULL;
}

/* The format with the best score of at least `min`, NULL if none. */
static const struct format *best_format(struct parser *parser, struct text line, unsigned min)
{
    const struct format *best = NULL;
    unsigned best_score = min - 1;
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        unsigned score = FORMATS[i] == &FORMAT_LOKI ? 0 : FORMATS[i]->score(parser, line);
        if (score > best_score) {
            best = FORMATS[i];
            best_score = score;
        }
    }
    return best;
}

const struct format *format_of_line(struct parser *parser, struct text line)
{
    return best_format(parser, line, SCORE_MIN);
}

int parser_new(struct parser **out, const struct parser_options *options)
{
    struct parser *parser = calloc(1, sizeof(*parser));
    *out = NULL;
    if (parser == NULL) {
        return -ENOMEM;
    }
    parser->options = *options;
    if (json_parser_new(&parser->json, RECORD_LEN_MAX) != 0) {
        free(parser);
        return -ENOMEM;
    }
    *out = parser;
    return 0;
}

void parser_free(struct parser **parser)
{
    if (*parser == NULL) {
        return;
    }
    for (size_t i = 0; i < PATHS_COUNT; i++) {
        json_paths_free(&(*parser)->paths[i]);
    }
    json_parser_free(&(*parser)->json);
    layout_drop(&(*parser)->otherwise);
    free(*parser);
    *parser = NULL;
}

int parser_parse(struct parser *parser, const struct format *format, bool only, struct arena *arena,
                 struct flow_record *record)
{
    struct outer outer = {.labels = record->labels};
    struct text line = record->text;
    parser->arena = arena;
    record->kept = (struct text){NULL, 0};
    record->fault = (struct text){NULL, 0};
    record->doubtful = NULL;
    record->remark = NULL;
    record->flow = (struct flow){.sequence = record->number};
    if (line.len > 0 && line.data[0] == '{') {
        record->kept = line;
    }
    record->parsed = format->parse(parser, line, &outer, record);
    if (record->parsed == PARSED_FOREIGN && !only && format != &FORMAT_LOKI) {
        const struct format *other = format_of_line(parser, line);
        if (other != NULL && other != format) {
            record->parsed = other->parse(parser, line, &outer, record);
        }
    }
    if (record->parsed == PARSED_FOREIGN) {
        record->parsed = parse_bad(parser, record, "not a %s record", format->name);
    }
    bool no_memory =
        parser->no_memory || (record->parsed == PARSED_BAD && record->fault.data == NULL);
    parser->no_memory = false;
    return no_memory ? -ENOMEM : 0;
}

enum parsed parse_inner(struct parser *parser, struct text line, const struct outer *outer,
                        struct flow_record *record)
{
    if (outer->depth > WRAPPERS_MAX) {
        return parse_bad(parser, record, "wrapped more than %d times", WRAPPERS_MAX);
    }
    /* What is in one wrapper is mostly of one format. */
    const struct format *format = parser->inner;
    if (format == NULL || format->score(parser, line) < SCORE_SURE) {
        format = best_format(parser, line, SCORE_INNER);
    }
    if (format == NULL) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    parser->inner = format;
    return format->parse(parser, line, outer, record);
}

enum parsed parse_bad(struct parser *parser, struct flow_record *record, const char *format, ...)
{
    enum { ROOM = 256 };
    char *text = arena_take(parser->arena, ROOM);
    if (text != NULL) {
        va_list args;
        va_start(args, format);
        int len = vsnprintf(text, ROOM, format, args);
        va_end(args);
        size_t used = len < 0 ? 0 : len < ROOM ? (size_t)len : ROOM - 1;
        arena_trim(parser->arena, ROOM, used);
        record->fault = (struct text){text, used};
    }
    return PARSED_BAD;
}

enum parsed parse_skip(struct flow_record *record, enum skip skip)
{
    record->skip = skip;
    return PARSED_SKIPPED;
}

int parse_json(struct parser *parser, int set, const char *const *pointers, size_t count,
               struct text line, struct json_value *values, struct flow_record *record)
{
    if (line.len == 0 || line.data[0] != '{') {
        return PARSED_FOREIGN;
    }
    if (parser->paths[set] == NULL && json_paths_new(&parser->paths[set], pointers, count) != 0) {
        parser->no_memory = true;
        return PARSED_BAD;
    }
    struct json_fault fault;
    int err = json_parse(parser->json, parser->paths[set], line.data, line.len, values, &fault);
    if (err == 0) {
        return 0;
    }
    parser->no_memory |= err == -ENOMEM;
    if (record != NULL && err != -ENOMEM) {
        parse_bad(parser, record, "not valid JSON at byte %zu: %s", fault.offset + 1, fault.what);
    }
    return PARSED_BAD;
}

const struct layout *parse_layout(struct parser *parser, const struct format *format)
{
    struct layout_builder builder;
    if (parser->layout != NULL && parser->layout->format == format->columns) {
        return parser->layout;
    }
    if (parser->otherwise == NULL || parser->otherwise->format != format->columns) {
        layout_drop(&parser->otherwise);
        layout_builder_init(&builder, format->columns, parser->options.columns,
                            parser->options.fields, parser->options.field_count);
        parser->no_memory |= layout_make(&builder, &parser->otherwise) != 0;
        layout_builder_fini(&builder);
    }
    return parser->otherwise;
}

bool parse_port(const struct json_value *value, uint16_t *port)
{
    uint64_t number = 0;
    if (value->type != JSON_ABSENT && (!json_u64(value, &number) || number > UINT16_MAX)) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

bool parse_is(const struct json_value *value, const char *word)
{
    return value->type == JSON_STRING && text_is(value->text, word);
}

struct text parse_scalar(const struct json_value *value)
{
    bool plain = value->type == JSON_NUMBER || (value->type == JSON_STRING && !value->escaped);
    return plain ? value->text : (struct text){NULL, 0};
}

struct text parse_text(struct parser *parser, const struct json_value *value)
{
    struct text none = {NULL, 0};
    if (value->type != JSON_STRING) {
        return none;
    }
    if (!value->escaped) {
        return value->text;
    }
    char *text = arena_take(parser->arena, value->text.len);
    if (text == NULL) {
        parser->no_memory = true;
        return none;
    }
    size_t len = json_unescape(value, text);
    arena_trim(parser->arena, value->text.len, len == SIZE_MAX ? 0 : len);
    return len == SIZE_MAX ? none : (struct text){text, len};
}

void parse_pair(struct flow_record *record, struct text source, struct text destination)
{
    struct flow *flow = &record->flow;
    if (text_missing(source) || text_missing(destination)) {
        flow->unjoinable = "no-address";
    } else if (!addr_parse(&flow->source, source.data, source.len)) {
        flow->unjoinable = "bad-address";
        record->doubtful = "the source is no IP address";
    } else if (!addr_parse(&flow->destination, destination.data, destination.len)) {
        flow->unjoinable = "bad-address";
        record->doubtful = "the destination is no IP address";
    } else {
        flow->has_pair = true;
    }
}

void parse_time(struct flow_record *record, int64_t time_us)
{
    struct flow *flow = &record->flow;
    flow->start_us = flow->end_us = time_us;
    if (time_us == 0 && flow->unjoinable == NULL) {
        flow->unjoinable = "no-time";
    }
}

int64_t parse_when(struct text text)
{
    int64_t time_us;
    return text.data != NULL && time_parse(&time_us, text.data, text.len, 0) ? time_us : 0;
}

void parse_span(struct flow_record *record, int64_t start_us, int64_t end_us, int64_t precision_us)
{
    parse_time(record, start_us);
    record->flow.end_us = end_us > start_us && start_us != 0 ? end_us : start_us;
    record->flow.precision_us = precision_us;
    record->flow.aggregated = true;
}

struct text parse_address(struct text text)
{
    return text_is(text, "0.0.0.0") || text_is(text, "::") ? (struct text){NULL, 0} : text;
}

void parse_ports(struct flow_record *record, struct text source, struct text destination)
{
    struct flow *flow = &record->flow;
    bool has_any = strcmp(flow->transport, "tcp") == 0 || strcmp(flow->transport, "udp") == 0 ||
                   strcmp(flow->transport, "sctp") == 0 || strcmp(flow->transport, "udplite") == 0;
    if (!has_any || text_missing(destination)) {
        return;
    }
    flow->source_port_unknown = text_missing(source);
    flow->has_ports = field_port(destination, &flow->destination_port) &&
                      (flow->source_port_unknown || field_port(source, &flow->source_port));
    if (!flow->has_ports) {
        record->doubtful = "a port is no port number";
    }
}

bool parse_is_way_back(const struct flow *flow)
{
    /* Below 512 are servers only; from there to 1023 also clients that ask for a privileged port,
     * as NFS does. From 32768 on Linux gives ports to clients, and few servers listen. */
    enum { SERVERS = 512, PRIVILEGED = 1024, EPHEMERAL = 32768 };
    return flow->has_ports && !flow->source_port_unknown &&
           ((flow->source_port < SERVERS && flow->destination_port >= PRIVILEGED) ||
            (flow->source_port < EPHEMERAL && flow->destination_port >= EPHEMERAL));
}

/* IANA protocol numbers and the names that netfilter and Hubble print for them. */
static const struct {
    const char *as;
    const char *ecs;
} PROTOCOLS[] = {
    {"TCP", "tcp"},          {"6", "tcp"},           {"UDP", "udp"},
    {"17", "udp"},           {"ICMP", "icmp"},       {"1", "icmp"},
    {"ICMPv6", "ipv6-icmp"}, {"icmp6", "ipv6-icmp"}, {"icmpv6", "ipv6-icmp"},
    {"58", "ipv6-icmp"},     {"SCTP", "sctp"},       {"132", "sctp"},
    {"UDPLITE", "udplite"},  {"136", "udplite"},     {"ESP", "esp"},
    {"50", "esp"},           {"AH", "ah"},           {"51", "ah"},
    {"47", "gre"},           {"2", "igmp"},          {"4", "ipv4"},
    {"41", "ipv6"},
};

/* A protocol that has no name here is printed as it stands, if it is a word. */
static size_t copy_word(char *out, size_t cap, struct text word)
{
    if (word.len >= cap) {
        return 0;
    }
    for (size_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') {
            return 0;
        }
        out[i] = upper ? (char)(c - 'A' + 'a') : c;
    }
    return word.len;
}

void parse_transport(struct flow *flow, struct text protocol)
{
    for (size_t i = 0; i < sizeof(PROTOCOLS) / sizeof(PROTOCOLS[0]); i++) {
        if (text_is(protocol, PROTOCOLS[i].as)) {
            strcpy(flow->transport, PROTOCOLS[i].ecs);
            return;
        }
    }
    flow->transport[copy_word(flow->transport, sizeof(flow->transport), protocol)] = '\0';
}
