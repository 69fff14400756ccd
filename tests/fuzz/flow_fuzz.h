/* tests/fuzz/flow_fuzz.h -- what the fuzz targets of the flow formats share
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <string.h>

#include "base/clock.h"
#include "join/sink.h"
#include "proto/answer.h"
#include "tests/fuzz/fuzz.h"

/* Made once: a target runs in one thread. */
struct flow_fuzz {
    struct parser *parser;
    struct arena arena;
    struct sink *sinks[8]; /* one of each kind */
    struct json_paths *paths;
    struct json_parser *json;
};

static inline struct flow_fuzz *flow_fuzz(void)
{
    static const struct prefix_rule RULE = {"deny", FLOW_DENIED};
    static const struct parser_options OPTIONS = {.prefixes = &RULE, .prefix_count = 1};
    static const struct sink_options SINK = {"default", 120, true};
    static const char *const VERDICT = "/attribution/verdict";
    static struct flow_fuzz fuzz;
    if (fuzz.parser == NULL) {
        int err = parser_new(&fuzz.parser, &OPTIONS);
        for (size_t i = 0; SINKS[i] != NULL && err == 0; i++) {
            struct buf head = {0};
            err = sink_new(&fuzz.sinks[i], SINKS[i], &SINK);
            if (err == 0 && SINKS[i]->begin != NULL) {
                SINKS[i]->begin(fuzz.sinks[i], &head);
            }
            buf_fini(&head);
        }
        err = err != 0 ? err : json_paths_new(&fuzz.paths, &VERDICT, 1);
        err = err != 0 ? err : json_parser_new(&fuzz.json, 64 * 1024 * 1024);
        if (err != 0) {
            fuzz_fail("no memory");
        }
        fuzz.parser->year_near_us = INT64_C(1780000000) * US_PER_S;
    }
    return &fuzz;
}

/* What is given out of any record must be one line, and JSON where JSON is promised. */
static inline void flow_fuzz_give_out(struct flow_fuzz *fuzz, const struct flow_record *record)
{
    struct attribution attribution = attribution_unjoinable("no-address");
    for (size_t i = 0; SINKS[i] != NULL; i++) {
        struct buf out = {0};
        struct json_value verdict;
        if (SINKS[i]->keeps_json && record->kept.data == NULL) {
            continue;
        }
        SINKS[i]->flow(fuzz->sinks[i], &out, record, &attribution);
        if (SINKS[i]->flush != NULL) {
            SINKS[i]->flush(fuzz->sinks[i], &out);
        }
        if (out.err != 0 || out.len == 0 || out.data[out.len - 1] != '\n') {
            fuzz_fail("a flow was not given out");
        }
        if (SINKS[i] == &SINK_ECS &&
            (memchr(out.data, '\n', out.len - 1) != NULL ||
             json_parse(fuzz->json, fuzz->paths, out.data, out.len, &verdict, NULL) != 0 ||
             verdict.type != JSON_STRING)) {
            fuzz_fail("--to ecs gave something else than a line of JSON");
        }
        if (SINKS[i] == &SINK_INLINE &&
            json_parse(fuzz->json, fuzz->paths, out.data, out.len, &verdict, NULL) != 0) {
            fuzz_fail("--to inline gave something else than JSON");
        }
        buf_fini(&out);
    }
}

/* What a parsed flow may say. */
static inline void flow_fuzz_check(const struct flow_record *record)
{
    const struct flow *flow = &record->flow;
    bool timed = flow->start_us >= TIME_MIN_US && flow->start_us <= TIME_MAX_US;
    if (flow->dataset == NULL || flow->end_us < flow->start_us ||
        memchr(flow->transport, '\0', sizeof(flow->transport)) == NULL) {
        fuzz_fail("a flow is not filled");
    }
    if (flow->start_us != 0 && !timed) {
        fuzz_fail("a time is out of range");
    }
    if (flow->unjoinable == NULL && (!flow->has_pair || !timed)) {
        fuzz_fail("a flow without addresses or time could be asked about");
    }
}

/* What a parsed DNS response may say. */
static inline void flow_fuzz_check_dns(const struct flow_record *record)
{
    const struct dns_record *dns = &record->dns;
    struct answer answer;
    if (dns->source == NULL || dns->time_us < TIME_MIN_US || dns->time_us > TIME_MAX_US) {
        fuzz_fail("a DNS response is not filled");
    }
    if (dns->answer.len == 0) {
        return;
    }
    if (dns->rcode != 0 ||
        answer_decode(&answer, (const uint8_t *)dns->answer.data, dns->answer.len) != 0 ||
        answer.v4_count + answer.v6_count == 0) {
        fuzz_fail("the answer of a DNS response is none");
    }
}

/* Parses one line as `format`, and as whatever it is. */
static inline void flow_fuzz_line(struct flow_fuzz *fuzz, const struct format *format,
                                  const char *line, size_t len)
{
    for (int only = 0; only < 2; only++) {
        struct flow_record record = {.text = {line, len}, .number = 1};
        if (parser_parse(fuzz->parser, format, only, &fuzz->arena, &record) != 0) {
            fuzz_fail("no memory");
        }
        if (record.parsed == PARSED_FLOW) {
            flow_fuzz_check(&record);
            flow_fuzz_give_out(fuzz, &record);
        } else if (record.parsed == PARSED_DNS) {
            flow_fuzz_check_dns(&record);
        } else if (record.parsed == PARSED_BAD && record.fault.len == 0) {
            fuzz_fail("a bad record without a reason");
        } else if (record.parsed == PARSED_FOREIGN) {
            fuzz_fail("a record that is nothing");
        }
        arena_reset(&fuzz->arena);
    }
}

/* The same for all lines of a text in a format with columns, of which some are headers. */
static inline void flow_fuzz_lines(struct flow_fuzz *fuzz, const struct format *format,
                                   const char *text, size_t size)
{
    struct layout_builder builder;
    struct layout *layout = NULL;
    layout_builder_init(&builder, format->columns, NULL, fuzz->parser->options.fields,
                        fuzz->parser->options.field_count);
    for (const char *at = text, *end = text + size; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)((stop != NULL ? stop : end) - at)};
        at = stop != NULL ? stop + 1 : end;
        if (format->columns->header(&builder, line)) {
            continue;
        }
        if (builder.changed) {
            layout_drop(&layout);
            if (layout_make(&builder, &layout) != 0) {
                fuzz_fail("no memory");
            }
        }
        fuzz->parser->layout = layout;
        flow_fuzz_line(fuzz, format, line.data, line.len);
    }
    fuzz->parser->layout = NULL;
    layout_drop(&layout);
    layout_builder_fini(&builder);
}
