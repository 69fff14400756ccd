/* join/ulogd.c -- ulogd2's connections (NFCT): the JSON plugin, and lines of PRINTFLOW
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [NEW] ORIG: SRC=192.0.2.7 DST=203.0.113.10 PROTO=TCP SPT=40112 DPT=443 PKTS=0 BYTES=0 , REPLY:
 *       SRC=198.51.100.9 DST=192.0.2.7 PROTO=TCP SPT=8443 DPT=40112 PKTS=0 BYTES=0
 *
 * JSON keys are names of ulogd's fields with their dots; addresses need IP2STR in the stack, which
 * gives the original ones the names src_ip and dest_ip. "timestamp" is of the writing where the
 * flow has no times of its own.
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/tuples.h"

/* Values of ct.event. */
enum { CT_NEW = 1, CT_UPDATE = 2 };

/* ---- PRINTFLOW ---- */

struct printed {
    struct syslog_head log;
    struct text event;
    struct text original;
    struct text reply;
};

static bool split(struct parser *parser, struct text line, struct printed *printed)
{
    static const char ORIGINAL[] = "] ORIG: SRC=";
    static const char REPLY[] = " , REPLY: SRC=";
    if (line.len == 0 || line.data[0] == '{') {
        return false;
    }
    const char *original = memmem(line.data, line.len, ORIGINAL, sizeof(ORIGINAL) - 1);
    if (original == NULL) {
        return false;
    }
    const char *end = line.data + line.len;
    const char *reply = memmem(original, (size_t)(end - original), REPLY, sizeof(REPLY) - 1);
    const char *event = memrchr(line.data, '[', (size_t)(original - line.data));
    if (reply == NULL || event == NULL) {
        return false;
    }
    printed->event = (struct text){event, (size_t)(original + 1 - event)};
    if (!text_is(printed->event, "[NEW]") && !text_is(printed->event, "[UPDATE]") &&
        !text_is(printed->event, "[DESTROY]")) {
        return false;
    }
    syslog_peel(line, &parser->civil, parser->year_near_us, &printed->log);
    original += sizeof(ORIGINAL) - 1 - strlen("SRC=");
    printed->original = (struct text){original, (size_t)(reply - original)};
    reply += sizeof(REPLY) - 1 - strlen("SRC=");
    printed->reply = (struct text){reply, (size_t)(end - reply)};
    return true;
}

/* Reads the words of one direction. */
static void read_words(struct text rest, struct tuple *tuple, struct text *protocol)
{
    const struct {
        const char *key;
        struct text *value;
    } KEYS[] = {
        {"SRC=", &tuple->source},      {"DST=", &tuple->destination},
        {"SPT=", &tuple->source_port}, {"DPT=", &tuple->destination_port},
        {"BYTES=", &tuple->bytes},     {"PROTO=", protocol},
    };
    struct text word;
    while (cell_next(&rest, ' ', 0, &word)) {
        for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
            size_t len = strlen(KEYS[i].key);
            if (text_begins(word, KEYS[i].key)) {
                *KEYS[i].value = (struct text){word.data + len, word.len - len};
            }
        }
    }
}

static enum parsed parse_printed(const struct printed *printed, const struct outer *outer,
                                 struct flow_record *record)
{
    struct tuple original = {0}, reply = {0};
    struct text protocol = {NULL, 0}, same = {NULL, 0};
    struct flow *flow = &record->flow;
    if (text_is(printed->event, "[UPDATE]")) {
        return parse_skip(record, SKIP_REPEAT);
    }
    read_words(printed->original, &original, &protocol);
    read_words(printed->reply, &reply, &same);
    flow->dataset = "ulogd";
    tuples_read(record, protocol, &original, &reply);
    flow->shows_start = text_is(printed->event, "[NEW]");
    parse_time(record,
               printed->log.exact || outer->time_us == 0 ? printed->log.time_us : outer->time_us);
    flow->source_id.node = printed->log.host.data != NULL ? printed->log.host : outer->node;
    return PARSED_FLOW;
}

/* ---- JSON ---- */

enum {
    U_SOURCE,
    U_DESTINATION,
    U_SOURCE_STR,
    U_DESTINATION_STR,
    U_SOURCE_PORT,
    U_DESTINATION_PORT,
    U_BYTES,
    U_PROTOCOL,
    U_REPLY_SOURCE,
    U_REPLY_DESTINATION,
    U_REPLY_BYTES,
    U_EVENT,
    U_START_S,
    U_START_US,
    U_END_S,
    U_END_US,
    U_TIMESTAMP,
    U_ECS_TIMESTAMP,
    U_DEVICE,
    U_COUNT,
};

static const char *const POINTERS[U_COUNT] = {
    [U_SOURCE] = "/src_ip",
    [U_DESTINATION] = "/dest_ip",
    [U_SOURCE_STR] = "/orig.ip.saddr.str",
    [U_DESTINATION_STR] = "/orig.ip.daddr.str",
    [U_SOURCE_PORT] = "/orig.l4.sport",
    [U_DESTINATION_PORT] = "/orig.l4.dport",
    [U_BYTES] = "/orig.raw.pktlen",
    [U_PROTOCOL] = "/orig.ip.protocol",
    [U_REPLY_SOURCE] = "/reply.ip.saddr.str",
    [U_REPLY_DESTINATION] = "/reply.ip.daddr.str",
    [U_REPLY_BYTES] = "/reply.raw.pktlen",
    [U_EVENT] = "/ct.event",
    [U_START_S] = "/flow.start.sec",
    [U_START_US] = "/flow.start.usec",
    [U_END_S] = "/flow.end.sec",
    [U_END_US] = "/flow.end.usec",
    [U_TIMESTAMP] = "/timestamp",
    [U_ECS_TIMESTAMP] = "/@timestamp",
    [U_DEVICE] = "/dvc",
};

static bool is_connection(const struct json_value *values)
{
    return values[U_PROTOCOL].type != JSON_ABSENT || values[U_EVENT].type != JSON_ABSENT ||
           values[U_REPLY_SOURCE].type != JSON_ABSENT;
}

/* A packet, as NFLOG gives it, is ulogd's, too. */
static bool is_ulogd(const struct json_value *values)
{
    return is_connection(values) || parse_is(&values[U_DEVICE], "Netfilter");
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[U_COUNT];
    struct printed printed;
    if (split(parser, line, &printed)) {
        return 95;
    }
    int result = parse_json(parser, PATHS_ULOGD, POINTERS, U_COUNT, line, values, NULL);
    return result == 0 && is_ulogd(values) ? 90 : 0;
}

/* 0 if it is not told. */
static int64_t clock_of(const struct json_value *seconds, const struct json_value *micros)
{
    uint64_t s, us = 0;
    if (!json_u64(seconds, &s) || s < TIME_MIN_US / US_PER_S || s >= TIME_MAX_US / US_PER_S) {
        return 0;
    }
    json_u64(micros, &us);
    return (int64_t)s * US_PER_S + (us < US_PER_S ? (int64_t)us : 0);
}

static int64_t written_at(const struct json_value *values)
{
    int64_t time_us;
    const struct json_value *time =
        values[U_TIMESTAMP].type != JSON_ABSENT ? &values[U_TIMESTAMP] : &values[U_ECS_TIMESTAMP];
    bool there =
        time->type == JSON_STRING && time_parse(&time_us, time->text.data, time->text.len, 0);
    return there ? time_us : 0;
}

/* The flow's own start; for want of one the end, then when it was written. */
static void read_time(const struct json_value *values, uint64_t event, const struct outer *outer,
                      struct flow_record *record)
{
    int64_t start_us = clock_of(&values[U_START_S], &values[U_START_US]);
    int64_t end_us = clock_of(&values[U_END_S], &values[U_END_US]);
    int64_t written_us = written_at(values);
    int64_t known_us = end_us != 0 ? end_us : written_us;
    known_us = known_us != 0 ? known_us : outer->time_us;
    record->flow.shows_start = start_us != 0 || event == CT_NEW;
    parse_time(record, start_us != 0 ? start_us : known_us);
    if (start_us != 0 && end_us > start_us) {
        record->flow.end_us = end_us;
    }
}

static struct text either(struct parser *parser, const struct json_value *first,
                          const struct json_value *second)
{
    return parse_text(parser, first->type == JSON_STRING ? first : second);
}

static enum parsed parse_object(struct parser *parser, struct text line, const struct outer *outer,
                                struct flow_record *record)
{
    struct json_value values[U_COUNT];
    uint64_t event = 0;
    int result = parse_json(parser, PATHS_ULOGD, POINTERS, U_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_ulogd(values)) {
        return PARSED_FOREIGN;
    }
    if (!is_connection(values)) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    json_u64(&values[U_EVENT], &event);
    if (event == CT_UPDATE) {
        return parse_skip(record, SKIP_REPEAT);
    }
    struct tuple original = {
        .source = either(parser, &values[U_SOURCE], &values[U_SOURCE_STR]),
        .destination = either(parser, &values[U_DESTINATION], &values[U_DESTINATION_STR]),
        .source_port = parse_scalar(&values[U_SOURCE_PORT]),
        .destination_port = parse_scalar(&values[U_DESTINATION_PORT]),
        .bytes = parse_scalar(&values[U_BYTES]),
    };
    struct tuple reply = {
        .source = parse_text(parser, &values[U_REPLY_SOURCE]),
        .destination = parse_text(parser, &values[U_REPLY_DESTINATION]),
        .bytes = parse_scalar(&values[U_REPLY_BYTES]),
    };
    record->flow.dataset = "ulogd";
    tuples_read(record, parse_scalar(&values[U_PROTOCOL]), &original, &reply);
    read_time(values, event, outer, record);
    record->flow.source_id.node = outer->node;
    return PARSED_FLOW;
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct printed printed;
    return split(parser, line, &printed) ? parse_printed(&printed, outer, record)
                                         : parse_object(parser, line, outer, record);
}

const struct format FORMAT_ULOGD = {
    .name = "ulogd",
    .description = "ulogd2's connections: the JSON plugin, or lines of PRINTFLOW",
    .score = score,
    .parse = parse,
};
