/* join/wrappers.c -- what log systems put around a line
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/format.h"

static bool in_range(int64_t time_us)
{
    return time_us >= TIME_MIN_US && time_us <= TIME_MAX_US;
}

/* What a wrapper within `outer` begins with. */
static struct outer wrapped(const struct outer *outer, int64_t time_us)
{
    struct outer inside = *outer;
    inside.time_us = time_us;
    inside.depth++;
    return inside;
}

/* ---- journalctl -o json ---- */

enum { J_MESSAGE, J_TIME, J_HOST, J_TRANSPORT, J_IDENTIFIER, J_PRIORITY, J_COUNT };

static const char *const JOURNAL[J_COUNT] = {
    [J_MESSAGE] = "/MESSAGE",
    [J_TIME] = "/__REALTIME_TIMESTAMP",
    [J_HOST] = "/_HOSTNAME",
    [J_TRANSPORT] = "/_TRANSPORT",
    [J_IDENTIFIER] = "/SYSLOG_IDENTIFIER",
    [J_PRIORITY] = "/PRIORITY",
};

static bool is_journal(const struct json_value *values)
{
    bool stamped = values[J_TIME].type != JSON_ABSENT || values[J_HOST].type != JSON_ABSENT ||
                   values[J_TRANSPORT].type != JSON_ABSENT;
    return stamped &&
           (values[J_MESSAGE].type != JSON_ABSENT || values[J_IDENTIFIER].type != JSON_ABSENT ||
            values[J_PRIORITY].type != JSON_ABSENT);
}

/* A MESSAGE that is not UTF-8 comes as an array of its octets. */
static struct text read_octets(struct parser *parser, struct text array)
{
    struct text none = {NULL, 0};
    char *out = arena_take(parser->arena, array.len);
    size_t len = 0;
    unsigned octet = 0;
    bool digits = false;
    if (out == NULL) {
        parser->no_memory = true;
        return none;
    }
    for (size_t i = 1; i < array.len; i++) {
        char c = array.data[i];
        if (c >= '0' && c <= '9') {
            octet = octet * 10 + (unsigned)(c - '0');
            digits = true;
        } else if (c == ',' || c == ']') {
            if (digits) {
                out[len++] = (char)octet;
            }
            octet = 0;
            digits = false;
        } else if (c != ' ') {
            return none;
        }
        if (octet > 255) {
            return none;
        }
    }
    arena_trim(parser->arena, array.len, len);
    return (struct text){out, len};
}

static unsigned score_journal(struct parser *parser, struct text line)
{
    struct json_value values[J_COUNT];
    int result = parse_json(parser, PATHS_JOURNAL, JOURNAL, J_COUNT, line, values, NULL);
    return result == 0 && is_journal(values) ? 90 : 0;
}

static enum parsed parse_journal(struct parser *parser, struct text line, const struct outer *outer,
                                 struct flow_record *record)
{
    struct json_value values[J_COUNT];
    struct outer inside = wrapped(outer, outer->time_us);
    uint64_t time_us;
    int result = parse_json(parser, PATHS_JOURNAL, JOURNAL, J_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_journal(values)) {
        return PARSED_FOREIGN;
    }
    if (json_u64(&values[J_TIME], &time_us) && time_us <= INT64_MAX && in_range((int64_t)time_us)) {
        inside.time_us = (int64_t)time_us;
    } else if (values[J_TIME].type != JSON_ABSENT) {
        record->doubtful = "__REALTIME_TIMESTAMP is no time in microseconds";
    }
    if (values[J_HOST].type == JSON_STRING) {
        inside.node = parse_text(parser, &values[J_HOST]);
    }
    struct text message = values[J_MESSAGE].type == JSON_ARRAY
                              ? read_octets(parser, values[J_MESSAGE].text)
                              : parse_text(parser, &values[J_MESSAGE]);
    /* null where journald found it too big; an array of strings where there were several. */
    if (message.data == NULL) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    return parse_inner(parser, message, &inside, record);
}

const struct format FORMAT_JOURNAL = {
    .name = "journal",
    .description = "`journalctl -o json` with kernel LOG lines as MESSAGE",
    .score = score_journal,
    .parse = parse_journal,
    .wraps = true,
};

/* ---- Loki ---- */

enum { L_TIME, L_LINE, L_COUNT };

static const char *const LOKI[L_COUNT] = {[L_TIME] = "/0", [L_LINE] = "/1"};

static unsigned score_loki(struct parser *parser, struct text line)
{
    (void)parser;
    (void)line;
    return 0;
}

/* The line inside is what --to inline keeps, where it is JSON. */
static enum parsed parse_line_inside(struct parser *parser, struct text line,
                                     const struct outer *outer, struct flow_record *record)
{
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r')) {
        line.len--;
    }
    return parse_inner(parser, line, outer, record);
}

static enum parsed parse_loki(struct parser *parser, struct text entry, const struct outer *outer,
                              struct flow_record *record)
{
    struct json_value values[L_COUNT];
    struct outer inside = wrapped(outer, 0);
    struct json_fault fault = {"not a Loki entry", 0};
    uint64_t time_ns;
    if (parser->paths[PATHS_LOKI] == NULL &&
        json_paths_new(&parser->paths[PATHS_LOKI], LOKI, L_COUNT) != 0) {
        return PARSED_BAD;
    }
    int err =
        json_parse(parser->json, parser->paths[PATHS_LOKI], entry.data, entry.len, values, &fault);
    if (err != 0) {
        return parse_bad(parser, record, "not valid JSON at byte %zu of the entry: %s",
                         fault.offset + 1, fault.what);
    }
    if (values[L_TIME].type != JSON_STRING || values[L_LINE].type != JSON_STRING ||
        !json_u64(&values[L_TIME], &time_ns)) {
        return parse_bad(parser, record,
                         "a Loki entry is [\"nanoseconds\", \"line\"]; was this a metric query?");
    }
    if (in_range((int64_t)(time_ns / 1000))) {
        inside.time_us = (int64_t)(time_ns / 1000);
    }
    struct text line = parse_text(parser, &values[L_LINE]);
    if (line.data == NULL) {
        return parse_bad(parser, record, "the line of a Loki entry has an escape that is none");
    }
    record->kept = line.len > 0 && line.data[0] == '{' ? line : (struct text){NULL, 0};
    return parse_line_inside(parser, line, &inside, record);
}

const struct format FORMAT_LOKI = {
    .name = "loki",
    .description = "responses of Loki's query_range (or tail), one or several, pretty or not",
    .score = score_loki,
    .parse = parse_loki,
    .wraps = true,
};

/* ---- logcli --output=jsonl ---- */

enum { C_LINE, C_TIME, C_LABELS, C_COUNT };

static const char *const LOGCLI[C_COUNT] = {
    [C_LINE] = "/line", [C_TIME] = "/timestamp", [C_LABELS] = "/labels"};

static bool is_logcli(const struct json_value *values)
{
    return values[C_LINE].type == JSON_STRING && values[C_TIME].type == JSON_STRING;
}

static unsigned score_logcli(struct parser *parser, struct text line)
{
    struct json_value values[C_COUNT];
    int result = parse_json(parser, PATHS_LOGCLI, LOGCLI, C_COUNT, line, values, NULL);
    return result == 0 && is_logcli(values) ? 85 : 0;
}

static enum parsed parse_logcli(struct parser *parser, struct text line, const struct outer *outer,
                                struct flow_record *record)
{
    struct json_value values[C_COUNT];
    struct outer inside = wrapped(outer, 0);
    int result = parse_json(parser, PATHS_LOGCLI, LOGCLI, C_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_logcli(values)) {
        return PARSED_FOREIGN;
    }
    if (!time_parse(&inside.time_us, values[C_TIME].text.data, values[C_TIME].text.len, 0)) {
        record->doubtful = "the timestamp is no RFC 3339 time";
        inside.time_us = 0;
    }
    if (values[C_LABELS].type == JSON_OBJECT) {
        inside.labels = values[C_LABELS].text;
    }
    struct text inner = parse_text(parser, &values[C_LINE]);
    if (inner.data == NULL) {
        return parse_bad(parser, record, "\"line\" has an escape that is none");
    }
    return parse_line_inside(parser, inner, &inside, record);
}

const struct format FORMAT_LOGCLI = {
    .name = "logcli",
    .description = "`logcli query --output=jsonl`",
    .score = score_logcli,
    .parse = parse_logcli,
    .wraps = true,
};

/* ---- container logs ---- */

/* What a runtime cuts a long line into. */
enum { PIECE_LEN = 16 * 1024 };

static const char A_PIECE[] = "a piece of a line that the container runtime has cut at 16 KiB";

enum { D_LOG, D_STREAM, D_TIME, D_COUNT };

static const char *const DOCKER[D_COUNT] = {
    [D_LOG] = "/log", [D_STREAM] = "/stream", [D_TIME] = "/time"};

static bool is_docker(const struct json_value *values)
{
    return values[D_LOG].type == JSON_STRING && values[D_TIME].type == JSON_STRING &&
           (parse_is(&values[D_STREAM], "stdout") || parse_is(&values[D_STREAM], "stderr"));
}

static unsigned score_docker(struct parser *parser, struct text line)
{
    struct json_value values[D_COUNT];
    int result = parse_json(parser, PATHS_DOCKER, DOCKER, D_COUNT, line, values, NULL);
    return result == 0 && is_docker(values) ? 90 : 0;
}

static enum parsed parse_docker(struct parser *parser, struct text line, const struct outer *outer,
                                struct flow_record *record)
{
    struct json_value values[D_COUNT];
    struct outer inside = wrapped(outer, 0);
    int result = parse_json(parser, PATHS_DOCKER, DOCKER, D_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_docker(values)) {
        return PARSED_FOREIGN;
    }
    if (!time_parse(&inside.time_us, values[D_TIME].text.data, values[D_TIME].text.len, 0)) {
        record->doubtful = "the time is no RFC 3339 time";
        inside.time_us = 0;
    }
    struct text inner = parse_text(parser, &values[D_LOG]);
    if (inner.data == NULL) {
        return parse_bad(parser, record, "\"log\" has an escape that is none");
    }
    /* A whole line has its line feed; some shippers cut it off, but those do not cut lines. */
    if (inner.len >= PIECE_LEN && inner.data[inner.len - 1] != '\n') {
        return parse_bad(parser, record, "%s", A_PIECE);
    }
    return parse_line_inside(parser, inner, &inside, record);
}

const struct format FORMAT_DOCKER = {
    .name = "docker",
    .description = "container logs as Docker's json-file driver writes them",
    .score = score_docker,
    .parse = parse_docker,
    .wraps = true,
};

/* 2026-05-22T10:00:01.123456789Z stdout F the line */
struct cri {
    struct text time;
    struct text tags; /* "F": whole, or the last piece; "P": a piece */
    struct text line;
};

static bool split_cri(struct text line, struct cri *cri)
{
    struct text stream;
    cri->line = line;
    return cell_next(&cri->line, ' ', 0, &cri->time) && cell_next(&cri->line, ' ', 0, &stream) &&
           cell_next(&cri->line, ' ', 0, &cri->tags) && cri->time.len >= 20 &&
           cri->time.data[0] >= '0' && cri->time.data[0] <= '9' && cri->time.data[10] == 'T' &&
           (text_is(stream, "stdout") || text_is(stream, "stderr")) &&
           (text_is(cri->tags, "F") || text_is(cri->tags, "P") || text_begins(cri->tags, "F:") ||
            text_begins(cri->tags, "P:"));
}

static unsigned score_cri(struct parser *parser, struct text line)
{
    struct cri cri;
    (void)parser;
    return split_cri(line, &cri) ? 98 : 0;
}

static enum parsed parse_cri(struct parser *parser, struct text line, const struct outer *outer,
                             struct flow_record *record)
{
    struct cri cri;
    struct outer inside = wrapped(outer, 0);
    if (!split_cri(line, &cri)) {
        return PARSED_FOREIGN;
    }
    if (!time_parse(&inside.time_us, cri.time.data, cri.time.len, 0)) {
        record->doubtful = "the time is no RFC 3339 time";
        inside.time_us = 0;
    }
    if (cri.tags.data[0] == 'P') {
        return parse_bad(parser, record, "%s", A_PIECE);
    }
    record->kept = cri.line.len > 0 && cri.line.data[0] == '{' ? cri.line : record->kept;
    return parse_line_inside(parser, cri.line, &inside, record);
}

const struct format FORMAT_CRI = {
    .name = "cri",
    .description = "container logs as containerd and CRI-O write them (/var/log/pods)",
    .score = score_cri,
    .parse = parse_cri,
    .wraps = true,
};
