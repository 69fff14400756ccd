/* join/zeek.c -- Zeek: conn.log, and dns.log for names, as TSV and JSON
 * SPDX-License-Identifier: Apache-2.0
 *
 * TSV logs name their columns in header lines (#fields); any of them may be missing, in any order.
 * JSON logs have the same names as keys, "id.orig_h" with its dot. A connection is written when it
 * has ended, with the time of its first packet.
 */
#include "join/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/dns_records.h"
#include "join/field.h"
#include "join/json_items.h"

enum {
    Z_TS,
    Z_ORIG_H,
    Z_ORIG_P,
    Z_RESP_H,
    Z_RESP_P,
    Z_PROTO,
    /* conn */
    Z_DURATION,
    Z_ORIG_BYTES,
    Z_RESP_BYTES,
    Z_CONN_STATE,
    Z_LOCAL_ORIG,
    Z_LOCAL_RESP,
    Z_HISTORY,
    /* dns */
    Z_RTT,
    Z_QUERY,
    Z_QTYPE,
    Z_RCODE,
    Z_REJECTED,
    Z_ANSWERS,
    Z_TTLS,
    Z_FIELDS,
    /* JSON only */
    Z_PATH = Z_FIELDS,
    Z_COUNT,
};

static const char *const FIELDS[Z_FIELDS] = {
    [Z_TS] = "ts",
    [Z_ORIG_H] = "id.orig_h",
    [Z_ORIG_P] = "id.orig_p",
    [Z_RESP_H] = "id.resp_h",
    [Z_RESP_P] = "id.resp_p",
    [Z_PROTO] = "proto",
    [Z_DURATION] = "duration",
    [Z_ORIG_BYTES] = "orig_bytes",
    [Z_RESP_BYTES] = "resp_bytes",
    [Z_CONN_STATE] = "conn_state",
    [Z_LOCAL_ORIG] = "local_orig",
    [Z_LOCAL_RESP] = "local_resp",
    [Z_HISTORY] = "history",
    [Z_RTT] = "rtt",
    [Z_QUERY] = "query",
    [Z_QTYPE] = "qtype",
    [Z_RCODE] = "rcode",
    [Z_REJECTED] = "rejected",
    [Z_ANSWERS] = "answers",
    [Z_TTLS] = "TTLs",
};

static const char *const POINTERS[Z_COUNT] = {
    [Z_TS] = "/ts",
    [Z_ORIG_H] = "/id.orig_h",
    [Z_ORIG_P] = "/id.orig_p",
    [Z_RESP_H] = "/id.resp_h",
    [Z_RESP_P] = "/id.resp_p",
    [Z_PROTO] = "/proto",
    [Z_DURATION] = "/duration",
    [Z_ORIG_BYTES] = "/orig_bytes",
    [Z_RESP_BYTES] = "/resp_bytes",
    [Z_CONN_STATE] = "/conn_state",
    [Z_LOCAL_ORIG] = "/local_orig",
    [Z_LOCAL_RESP] = "/local_resp",
    [Z_HISTORY] = "/history",
    [Z_RTT] = "/rtt",
    [Z_QUERY] = "/query",
    [Z_QTYPE] = "/qtype",
    [Z_RCODE] = "/rcode",
    [Z_REJECTED] = "/rejected",
    [Z_ANSWERS] = "/answers",
    [Z_TTLS] = "/TTLs",
    [Z_PATH] = "/_path",
};

/* A record of either form; what is not set has no data. */
struct zeek {
    struct text field[Z_COUNT]; /* a JSON array as written */
    char set_separator;         /* between the members of a list; 0: lists are JSON arrays */
};

/* ---- TSV ---- */

/* "\x09" or the character itself. */
static bool read_separator(struct text text, char *separator)
{
    static const char HEX[] = "0123456789abcdef";
    if (text.len == 1) {
        *separator = text.data[0];
        return true;
    }
    if (text.len != 4 || !text_begins(text, "\\x") || text.data[2] == '\0' ||
        text.data[3] == '\0') {
        return false;
    }
    const char *high = strchr(HEX, text.data[2] | 0x20);
    const char *low = strchr(HEX, text.data[3] | 0x20);
    if (high == NULL || low == NULL) {
        return false;
    }
    *separator = (char)((high - HEX) * 16 + (low - HEX));
    return *separator != '\0';
}

/* "#unset_field<separator>-" and its like; other lines with # say nothing about the records. */
static bool header(struct layout_builder *builder, struct text line)
{
    static const struct {
        const char *word;
        enum layout_mark mark;
    } MARKS[] = {
        {"#unset_field", LAYOUT_UNSET},
        {"#empty_field", LAYOUT_EMPTY},
        {"#set_separator", LAYOUT_SET},
        {"#path", LAYOUT_KIND},
    };
    struct text word;
    char separator;
    if (line.len == 0 || line.data[0] != '#') {
        return false;
    }
    if (text_begins(line, "#separator ")) {
        line = (struct text){line.data + 11, line.len - 11};
        if (read_separator(line, &separator)) {
            layout_builder_separator(builder, separator);
        }
        return true;
    }
    cell_next(&line, builder->separator, 0, &word);
    if (line.data == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof(MARKS) / sizeof(MARKS[0]); i++) {
        if (text_is(word, MARKS[i].word)) {
            layout_builder_mark(builder, MARKS[i].mark, line);
        }
    }
    if (text_is(word, "#fields")) {
        layout_builder_names(builder, line, builder->separator);
    }
    return true;
}

static const struct columns COLUMNS = {
    .fields = FIELDS,
    .field_count = Z_FIELDS,
    .separator = '\t',
    .header = header,
};

/* Returns 0, or what the format is to return. */
static int read_tsv(struct parser *parser, struct text line, struct zeek *zeek,
                    struct flow_record *record)
{
    const struct layout *layout = parse_layout(parser, &FORMAT_ZEEK);
    struct text cells[LAYOUT_COLUMNS_MAX];
    if (layout == NULL && line.len > 0 && memchr(line.data, '\t', line.len) != NULL) {
        return parse_bad(parser, record, "no #fields line before it; name the columns (--columns)");
    }
    if (layout == NULL) {
        return PARSED_FOREIGN;
    }
    size_t count = layout_split(layout, line, cells);
    if (count != layout->columns && layout->columns <= LAYOUT_COLUMNS_MAX) {
        return parse_bad(parser, record, "%zu columns, where #fields names %zu", count,
                         layout->columns);
    }
    for (size_t i = 0; i < Z_FIELDS; i++) {
        zeek->field[i] = layout_cell(layout, cells, count, i);
        if (text_is(zeek->field[i], "-") && layout->marks[LAYOUT_UNSET][0] == '\0') {
            zeek->field[i] = (struct text){NULL, 0};
        }
    }
    const char *path = layout->marks[LAYOUT_KIND];
    zeek->field[Z_PATH] = (struct text){path[0] != '\0' ? path : NULL, strlen(path)};
    zeek->set_separator = layout->marks[LAYOUT_SET][0] != '\0' ? layout->marks[LAYOUT_SET][0] : ',';
    return 0;
}

/* ---- JSON ---- */

static bool is_zeek(const struct json_value *values)
{
    return (values[Z_TS].type == JSON_NUMBER || values[Z_TS].type == JSON_STRING) &&
           (values[Z_ORIG_H].type == JSON_STRING || values[Z_PATH].type == JSON_STRING);
}

static struct text as_text(struct parser *parser, const struct json_value *value)
{
    switch (value->type) {
    case JSON_TRUE:
        return (struct text){"T", 1};
    case JSON_FALSE:
        return (struct text){"F", 1};
    case JSON_NUMBER:
    case JSON_ARRAY:
        return value->text;
    default:
        return parse_text(parser, value);
    }
}

static int read_json(struct parser *parser, struct text line, struct zeek *zeek,
                     struct flow_record *record)
{
    struct json_value values[Z_COUNT];
    int result = parse_json(parser, PATHS_ZEEK, POINTERS, Z_COUNT, line, values, record);
    if (result != 0) {
        return result;
    }
    if (!is_zeek(values)) {
        return PARSED_FOREIGN;
    }
    for (size_t i = 0; i < Z_COUNT; i++) {
        zeek->field[i] = as_text(parser, &values[i]);
    }
    zeek->set_separator = '\0';
    return 0;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[Z_COUNT];
    if (text_begins(line, "#separator ") || text_begins(line, "#fields\tts\t")) {
        return 98;
    }
    int result = parse_json(parser, PATHS_ZEEK, POINTERS, Z_COUNT, line, values, NULL);
    return result == 0 && is_zeek(values) ? 92 : 0;
}

/* ---- Fields of both ---- */

/* Seconds with a fraction and, in JSON, perhaps an exponent; -1 if they are none. */
static double seconds_of(struct text text)
{
    char copy[64];
    char *end;
    if (text.data == NULL || text.len == 0 || text.len >= sizeof(copy)) {
        return -1;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    double seconds = strtod(copy, &end);
    return end == copy + text.len && isfinite(seconds) && seconds >= 0 ? seconds : -1;
}

/* The time, or that of the wrapper where there is none; 0, and the record is doubtful, if it is no
 * time. Epoch seconds, ISO 8601, or epoch milliseconds. */
static int64_t read_time(struct text text, const struct outer *outer, struct flow_record *record)
{
    int64_t time_us;
    uint64_t millis;
    if (text_missing(text)) {
        return outer->time_us;
    }
    if (time_parse(&time_us, text.data, text.len, 0)) {
        return time_us;
    }
    if (field_u64(text, &millis) && millis >= TIME_MIN_US / 1000 && millis < TIME_MAX_US / 1000) {
        return (int64_t)millis * 1000;
    }
    record->doubtful = "ts is no time";
    return 0;
}

/* A time some seconds after another, both 0 if not known. */
static int64_t later(int64_t time_us, struct text seconds)
{
    double after = seconds_of(seconds);
    if (time_us == 0 || after < 0 || after > (double)(TIME_MAX_US - time_us - 1) / 1e6) {
        return time_us;
    }
    return time_us + (int64_t)(after * 1e6);
}

/* ---- Connections ---- */

/* The originator's SYN, or its first packet of data, is the first of the history: in capitals what
 * the originator sent. Without a history the state tells as much. */
static bool shows_start(const struct zeek *zeek, const struct flow *flow)
{
    static const char *const MIDDLE[] = {"OTH", "SHR", "RSTRH"};
    struct text history = zeek->field[Z_HISTORY];
    struct text state = zeek->field[Z_CONN_STATE];
    if (!text_missing(history)) {
        return history.data[0] == (strcmp(flow->transport, "tcp") == 0 ? 'S' : 'D');
    }
    for (size_t i = 0; i < sizeof(MIDDLE) / sizeof(MIDDLE[0]); i++) {
        if (text_is(state, MIDDLE[i])) {
            return false;
        }
    }
    return !text_missing(state);
}

static enum flow_direction direction_of(const struct zeek *zeek)
{
    if (text_is(zeek->field[Z_LOCAL_ORIG], "T")) {
        return FLOW_EGRESS;
    }
    return text_is(zeek->field[Z_LOCAL_RESP], "T") ? FLOW_INGRESS : FLOW_DIRECTION_UNKNOWN;
}

static void read_bytes(const struct zeek *zeek, struct flow *flow)
{
    uint64_t sent = 0, received = 0;
    bool some = field_u64(zeek->field[Z_ORIG_BYTES], &sent);
    some = field_u64(zeek->field[Z_RESP_BYTES], &received) || some;
    flow->has_bytes = some && !__builtin_add_overflow(sent, received, &flow->bytes);
}

static enum parsed parse_conn(const struct zeek *zeek, const struct outer *outer,
                              struct flow_record *record)
{
    struct flow *flow = &record->flow;
    flow->dataset = "zeek";
    parse_pair(record, zeek->field[Z_ORIG_H], zeek->field[Z_RESP_H]);
    parse_transport(flow, zeek->field[Z_PROTO]);
    parse_ports(record, zeek->field[Z_ORIG_P], zeek->field[Z_RESP_P]);
    /* One name for both versions. */
    if (flow->has_pair && !addr_is_v4(&flow->source) && strcmp(flow->transport, "icmp") == 0) {
        strcpy(flow->transport, "ipv6-icmp");
    }
    parse_time(record, read_time(zeek->field[Z_TS], outer, record));
    flow->end_us = later(flow->start_us, zeek->field[Z_DURATION]);
    flow->shows_start = shows_start(zeek, flow);
    flow->direction = direction_of(zeek);
    read_bytes(zeek, flow);
    return PARSED_FLOW;
}

/* ---- DNS ---- */

/* A list of either form. */
struct list {
    struct json_items items;
    struct text rest;
    char separator;
};

static struct list list_of(const struct zeek *zeek, int field)
{
    struct text text = zeek->field[field];
    struct json_value array = {.type = JSON_ARRAY, .text = text};
    struct list list = {.separator = zeek->set_separator};
    if (text.data == NULL || text.len == 0) {
        return list;
    }
    if (list.separator == '\0') {
        list.items = text.data[0] == '[' ? json_items(&array) : list.items;
    } else {
        list.rest = text;
    }
    return list;
}

static bool list_next(struct parser *parser, struct list *list, struct text *item)
{
    struct json_value value;
    if (list->separator != '\0') {
        return cell_next(&list->rest, list->separator, 0, item);
    }
    if (!json_items_next(&list->items, &value)) {
        return false;
    }
    *item = as_text(parser, &value);
    return true;
}

/* Zeek writes octets that are not printable, and separators, as \xHH. */
static struct text unescape(struct parser *parser, struct text text)
{
    size_t at = 0;
    char *out;
    if (text.data == NULL || memchr(text.data, '\\', text.len) == NULL) {
        return text;
    }
    out = arena_take(parser->arena, text.len);
    if (out == NULL) {
        parser->no_memory = true;
        return (struct text){NULL, 0};
    }
    for (size_t i = 0; i < text.len; i++) {
        struct text escape = {text.data + i, text.len - i < 4 ? text.len - i : 4};
        if (escape.len == 4 && read_separator(escape, &out[at])) {
            i += 3;
        } else {
            out[at] = text.data[i];
        }
        at++;
    }
    arena_trim(parser->arena, text.len, at);
    return (struct text){out, at};
}

/* Answers are given as text whatever they are: of A and AAAA queries they are addresses and the
 * targets of CNAME records; something with a space is another record ("RRSIG 13 example.com"). */
static void read_answers(struct parser *parser, const struct zeek *zeek,
                         struct dns_builder *builder)
{
    struct list answers = list_of(zeek, Z_ANSWERS);
    struct list ttls = list_of(zeek, Z_TTLS);
    struct text answer, ttl;
    while (list_next(parser, &answers, &answer)) {
        bool has_ttl = list_next(parser, &ttls, &ttl);
        if (answer.data != NULL && memchr(answer.data, ' ', answer.len) != NULL) {
            continue;
        }
        dns_builder_answer(builder, unescape(parser, answer));
        double seconds = has_ttl ? seconds_of(ttl) : -1;
        if (seconds >= 0) {
            dns_builder_ttl(builder, seconds < 4e9 ? (uint64_t)seconds : UINT64_MAX);
        }
    }
}

/* Whether this is the name service of a network without servers: multicast DNS, LLMNR, NetBIOS. */
static bool is_serverless(struct text port)
{
    return text_is(port, "5353") || text_is(port, "5355") || text_is(port, "137");
}

static enum parsed parse_dns(struct parser *parser, const struct zeek *zeek,
                             const struct outer *outer, struct flow_record *record)
{
    enum { REFUSED = 5, A = 1, AAAA = 28 };
    struct dns_builder builder;
    struct dns_record facts = {.source = "zeek"};
    struct text addr = zeek->field[Z_ORIG_H];
    uint64_t qtype = A, rcode;
    if (zeek->field[Z_QUERY].data == NULL || !field_u64(zeek->field[Z_RCODE], &rcode) ||
        rcode > UINT16_MAX || is_serverless(zeek->field[Z_RESP_P])) {
        return parse_skip(record, SKIP_L7);
    }
    if (text_missing(addr) || !addr_parse(&facts.client, addr.data, addr.len)) {
        return parse_bad(parser, record, "a DNS response: id.orig_h is no IP address");
    }
    facts.time_us = read_time(zeek->field[Z_TS], outer, record);
    if (record->doubtful != NULL) {
        return parse_bad(parser, record, "a DNS response: %s", record->doubtful);
    }
    facts.time_us = later(facts.time_us, zeek->field[Z_RTT]);
    bool rejected = text_is(zeek->field[Z_REJECTED], "T");
    facts.rcode = rejected && rcode == 0 ? REFUSED : (uint16_t)rcode;
    dns_builder_init(&builder, unescape(parser, zeek->field[Z_QUERY]));
    field_u64(zeek->field[Z_QTYPE], &qtype);
    if (qtype == A || qtype == AAAA) {
        read_answers(parser, zeek, &builder);
    }
    return dns_builder_finish(&builder, parser, &facts, record);
}

/* ---- Records ---- */

static bool has_any(const struct zeek *zeek, const int *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (zeek->field[fields[i]].data != NULL) {
            return true;
        }
    }
    return false;
}

/* A log is told by fields that only it has, because it may be called anything; if they were left
 * out, by what it is usually called. */
static bool is_of(const struct zeek *zeek, const char *path, const int *fields, size_t count)
{
    return has_any(zeek, fields, count) || text_is(zeek->field[Z_PATH], path);
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    static const int CONN[] = {Z_CONN_STATE, Z_HISTORY};
    static const int DNS[] = {Z_QUERY, Z_RCODE, Z_REJECTED};
    struct zeek zeek;
    if (line.len > 0 && line.data[0] == '#') {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    bool json = line.len > 0 && line.data[0] == '{';
    int result =
        json ? read_json(parser, line, &zeek, record) : read_tsv(parser, line, &zeek, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (is_of(&zeek, "conn", CONN, sizeof(CONN) / sizeof(CONN[0]))) {
        return parse_conn(&zeek, outer, record);
    }
    return is_of(&zeek, "dns", DNS, sizeof(DNS) / sizeof(DNS[0]))
               ? parse_dns(parser, &zeek, outer, record)
               : parse_skip(record, SKIP_NOT_A_FLOW);
}

const struct format FORMAT_ZEEK = {
    .name = "zeek",
    .description = "Zeek's conn.log, TSV or JSON; dns.log gives names",
    .score = score,
    .parse = parse,
    .columns = &COLUMNS,
};
