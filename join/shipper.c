/* join/shipper.c -- what log shippers make of a line: Fluent Bit, Vector, Logstash, Filebeat
 * SPDX-License-Identifier: Apache-2.0
 *
 * A JSON object with the line as a string and when it was read: "log" and "date" (Fluent Bit),
 * "message" and "timestamp" (Vector) or "@timestamp" (Filebeat, Logstash), "MESSAGE" and "date"
 * where Fluent Bit's systemd input has taken the journal's own time away.
 */
#include <string.h>

#include "base/clock.h"
#include "join/format.h"

enum {
    S_LOG,
    S_MESSAGE,
    S_JOURNAL_MESSAGE,
    S_DATE,
    S_TIMESTAMP,
    S_ECS_TIMESTAMP,
    S_TIME,
    S_HOST,
    S_HOSTNAME,
    S_JOURNAL_HOST,
    S_JOURNAL_TIME,
    S_COUNT
};

static const char *const SHIPPER[S_COUNT] = {
    [S_LOG] = "/log",
    [S_MESSAGE] = "/message",
    [S_JOURNAL_MESSAGE] = "/MESSAGE",
    [S_DATE] = "/date",
    [S_TIMESTAMP] = "/timestamp",
    [S_ECS_TIMESTAMP] = "/@timestamp",
    [S_TIME] = "/time",
    [S_HOST] = "/host",
    [S_HOSTNAME] = "/hostname",
    [S_JOURNAL_HOST] = "/_HOSTNAME",
    [S_JOURNAL_TIME] = "/__REALTIME_TIMESTAMP",
};

/* The line, NULL if there is none. */
static const struct json_value *line_of(const struct json_value *values)
{
    for (int i = S_LOG; i <= S_JOURNAL_MESSAGE; i++) {
        if (values[i].type == JSON_STRING) {
            return &values[i];
        }
    }
    return NULL;
}

/* When it was logged, NULL if that is not told. */
static const struct json_value *time_of(const struct json_value *values)
{
    for (int i = S_DATE; i <= S_TIME; i++) {
        if (values[i].type == JSON_STRING || values[i].type == JSON_NUMBER) {
            return &values[i];
        }
    }
    return NULL;
}

/* The journal's own time is better, and FORMAT_JOURNAL reads it. */
static bool is_shipped(const struct json_value *values)
{
    const struct json_value *line = line_of(values);
    if (line == &values[S_JOURNAL_MESSAGE] && time_of(values) == NULL) {
        return false;
    }
    return line != NULL && values[S_JOURNAL_TIME].type == JSON_ABSENT;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct json_value values[S_COUNT];
    int result = parse_json(parser, PATHS_SHIPPER, SHIPPER, S_COUNT, line, values, NULL);
    if (result != 0 || !is_shipped(values)) {
        return 0;
    }
    if (time_of(values) == NULL) {
        return 30;
    }
    /* Above FORMAT_JOURNAL, which would find no time. */
    return values[S_JOURNAL_MESSAGE].type == JSON_STRING ? 95 : 60;
}

/* RFC 3339, epoch seconds, or epoch milliseconds. */
static bool read_time(const struct json_value *value, int64_t *time_us)
{
    uint64_t ms;
    if (time_parse(time_us, value->text.data, value->text.len, 0)) {
        return true;
    }
    if (!json_u64(value, &ms) || ms > (uint64_t)TIME_MAX_US / 1000 ||
        ms < (uint64_t)TIME_MIN_US / 1000) {
        return false;
    }
    *time_us = (int64_t)ms * 1000;
    return true;
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct json_value values[S_COUNT];
    struct outer inside = *outer;
    int result = parse_json(parser, PATHS_SHIPPER, SHIPPER, S_COUNT, line, values, record);
    if (result != 0) {
        return (enum parsed)result;
    }
    if (!is_shipped(values)) {
        return PARSED_FOREIGN;
    }
    inside.depth++;
    inside.time_us = 0;
    const struct json_value *time = time_of(values);
    if (time != NULL && !read_time(time, &inside.time_us)) {
        record->doubtful = "the shipper's time is neither RFC 3339 nor epoch seconds";
        inside.time_us = 0;
    }
    for (int i = S_HOST; i <= S_JOURNAL_HOST; i++) {
        if (values[i].type == JSON_STRING) {
            inside.node = parse_text(parser, &values[i]);
        }
    }
    struct text inner = parse_text(parser, line_of(values));
    if (inner.data == NULL) {
        return parse_bad(parser, record, "the line within has an escape that is none");
    }
    while (inner.len > 0 &&
           (inner.data[inner.len - 1] == '\n' || inner.data[inner.len - 1] == '\r')) {
        inner.len--;
    }
    return parse_inner(parser, inner, &inside, record);
}

const struct format FORMAT_SHIPPER = {
    .name = "shipper",
    .description =
        "lines as Fluent Bit, Vector, Filebeat or Logstash ship them (\"log\", \"message\")",
    .score = score,
    .parse = parse,
    .wraps = true,
};
