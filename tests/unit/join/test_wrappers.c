/* tests/unit/join/test_wrappers.c -- journal JSON, Loki entries and logcli lines around a flow
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define PACKET                                                                                     \
    "calico-packet: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=UDP SPT=1 DPT=2"
#define IS "kernel-log udp 192.0.2.7:1 > 198.51.100.9:2 unknown egress start "
#define STAMP "\"__REALTIME_TIMESTAMP\":\"1779444001123456\""
#define AT "2026-05-22T10:00:01.123456Z"
#define HUBBLE                                                                                     \
    "{\\\"flow\\\":{\\\"time\\\":\\\"2026-05-22T10:00:00Z\\\",\\\"IP\\\":{\\\"source\\\":\\\"192." \
    "0.2.7\\\",\\\"destination\\\":\\\"198.51.100.9\\\"}}}"

struct line {
    const struct format *format;
    const char *line;
    const char *is;
};

static const struct line LINES[] = {
    /* journalctl -o json */
    {&FORMAT_JOURNAL, "{" STAMP ",\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"" PACKET "\"}", IS AT},
    {&FORMAT_JOURNAL, "{\"MESSAGE\":\"" PACKET "\",\"_HOSTNAME\":\"n\"," STAMP "}", IS AT},
    /* The octets of "IN= OUT=e SRC=192.0.2.7 DST=198.51.100.9 \xff". */
    {&FORMAT_JOURNAL,
     "{" STAMP ",\"PRIORITY\":\"5\",\"MESSAGE\":[73,78,61,32,79,85,84,61,101,32,83,82,67,61,49,57,"
     "50,46,48,46,50,46,55,32,68,83,84,61,49,57,56,46,53,49,46,49,48,48,46,57,32,255]}",
     "kernel-log ? 192.0.2.7 > 198.51.100.9 unknown egress start " AT},
    {&FORMAT_JOURNAL,
     "{" STAMP ",\"PRIORITY\":\"5\",\"MESSAGE\":[73,78,61,32,79,85,84,61,101,32,83,82,67,61,49,57,"
     "50,46,48,46,50,46,55,32,68,83,84,61,49,57,56,46,53,49,46,49,48,48,46,57,32,256]}",
     "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"PRIORITY\":\"5\",\"MESSAGE\":[\"a\",\"b\"]}",
     "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"PRIORITY\":\"5\",\"MESSAGE\":null}", "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"PRIORITY\":\"5\",\"MESSAGE\":[]}", "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"MESSAGE\":\"eth0: link up\"}", "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"MESSAGE\":\"{not json\"}", "skip not-a-flow"},
    {&FORMAT_JOURNAL, "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"" PACKET "\"}",
     IS "never unjoinable no-time"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"MESSAGE\":\"" HUBBLE "\"}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown 2026-05-22T10:00:00.000000Z"},
    {&FORMAT_JOURNAL, "{\"MESSAGE\":\"" PACKET "\"}", "bad: not a journal record"},
    {&FORMAT_JOURNAL, "{" STAMP ",\"MESSAGE\":\"" PACKET "\"",
     "bad: not valid JSON at byte 141: ',' or '}' was expected"},

    /* Loki entries: the time is Loki's unless the line has a better one. */
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"" PACKET "\"]", IS AT},
    {&FORMAT_LOKI, "[ \"1779444001123456789\" , \"" PACKET "\\n\", {\"a\":\"b\"} ]", IS AT},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"May 22 09:00:00 h kernel: " PACKET "\"]", IS AT},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"2026-05-22T09:00:00.5Z h kernel: " PACKET "\"]",
     IS "2026-05-22T09:00:00.500000Z"},
    {&FORMAT_LOKI,
     "[\"1779444009000000000\",\"{\\\"__REALTIME_TIMESTAMP\\\":\\\"1779444001123456\\\","
     "\\\"MESSAGE\\\":\\\"" PACKET "\\\"}\"]",
     IS AT},
    {&FORMAT_LOKI,
     "[\"1779444001123456789\",\"{\\\"_TRANSPORT\\\":\\\"kernel\\\",\\\"MESSAGE\\\":\\\"" PACKET
     "\\\"}\"]",
     IS AT},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"" HUBBLE "\"]",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown 2026-05-22T10:00:00.000000Z"},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"something else\"]", "skip not-a-flow"},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"\"]", "skip not-a-flow"},
    {&FORMAT_LOKI, "[1779444001.5,\"1\"]",
     "bad: a Loki entry is [\"nanoseconds\", \"line\"]; was this a metric query?"},
    {&FORMAT_LOKI, "[]",
     "bad: a Loki entry is [\"nanoseconds\", \"line\"]; was this a metric query?"},
    {&FORMAT_LOKI, "[\"1779444001123456789\",\"\\q\"]",
     "bad: the line of a Loki entry has an escape that is none"},

    /* logcli --output=jsonl */
    {&FORMAT_LOGCLI,
     "{\"labels\":{\"job\":\"node-journal\"},\"line\":\"" PACKET
     "\",\"timestamp\":\"2026-05-22T12:00:01.123456789+02:00\"}",
     IS AT},
    {&FORMAT_LOGCLI, "{\"line\":\"" PACKET "\",\"timestamp\":\"2026-05-22T10:00:01.123456789Z\"}",
     IS AT},
    {&FORMAT_LOGCLI, "{\"line\":\"\",\"timestamp\":\"2026-05-22T10:00:01Z\"}", "skip not-a-flow"},
    {&FORMAT_LOGCLI, "{\"line\":\"" PACKET "\",\"timestamp\":\"noon\"}",
     IS "never unjoinable no-time"},
    {&FORMAT_LOGCLI, "{\"line\":\"" PACKET "\"}", "bad: not a logcli record"},
};

static void wrapped_lines_are_read_with_the_best_time_there_is(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    lines.parser->year_near_us = INT64_C(1780000000000000);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, LINES[i].format, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void wrappers_without_end_are_refused(void **state)
{
    /* Each level is a logcli line whose line is the next. */
    char text[16384] = "x";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (int level = 0; level < 6; level++) {
        char inner[16384];
        size_t at = 0;
        strcpy(inner, text);
        at += (size_t)sprintf(text + at, "{\"timestamp\":\"2026-05-22T10:00:01Z\",\"line\":\"");
        for (const char *c = inner; *c != '\0'; c++) {
            if (*c == '"' || *c == '\\') {
                text[at++] = '\\';
            }
            text[at++] = *c;
        }
        strcpy(text + at, "\"}");
    }
    assert_string_equal(
        flow_lines_text(flow_lines_parse(&lines, &FORMAT_LOGCLI, text, strlen(text))),
        "bad: wrapped more than 3 times");
    flow_lines_fini(&lines);
}

static void what_inline_keeps_is_the_json_record(void **state)
{
    static const char JOURNAL[] = "{" STAMP ",\"MESSAGE\":\"" PACKET "\"}";
    static const char PLAIN[] = "[\"1779444001123456789\",\"" PACKET "\"]";
    static const char INSIDE[] = "[\"1779444001123456789\",\"{\\\"flow\\\":{}}\"]";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_JOURNAL, JOURNAL, sizeof(JOURNAL) - 1);
    assert_int_equal(record->kept.len, sizeof(JOURNAL) - 1);
    record = flow_lines_parse(&lines, &FORMAT_LOKI, PLAIN, sizeof(PLAIN) - 1);
    assert_null(record->kept.data);
    record = flow_lines_parse(&lines, &FORMAT_LOKI, INSIDE, sizeof(INSIDE) - 1);
    assert_int_equal(record->kept.len, strlen("{\"flow\":{}}"));
    assert_memory_equal(record->kept.data, "{\"flow\":{}}", record->kept.len);
    flow_lines_fini(&lines);
}

static void lines_are_told_apart_by_their_content(void **state)
{
    static const struct {
        const char *line;
        const struct format *format;
    } CASES[] = {
        {"{\"flow\":{}}", &FORMAT_HUBBLE},
        {"{\"lost_events\":{}}", &FORMAT_HUBBLE},
        {"{\"time\":\"x\",\"verdict\":\"FORWARDED\",\"Type\":\"L3_L4\"}", &FORMAT_HUBBLE},
        {"{" STAMP ",\"MESSAGE\":\"anything\"}", &FORMAT_JOURNAL},
        {"{\"line\":\"anything\",\"timestamp\":\"x\"}", &FORMAT_LOGCLI},
        {PACKET, &FORMAT_KERNEL_LOG},
        {"May 22 10:00:00 host kernel: eth0: link up", &FORMAT_KERNEL_LOG},
        {"{}", NULL},
        {"{\"flow\":", NULL},
        {"some text", NULL},
        {"", NULL},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, INT64_C(1780000000000000));
    lines.parser->arena = &lines.arena;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct text line = {CASES[i].line, strlen(CASES[i].line)};
        assert_ptr_equal(format_of_line(lines.parser, line), CASES[i].format);
    }
    flow_lines_fini(&lines);
}

static void a_line_of_another_format_is_read_as_what_it_is(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    struct flow_record record = {.text = {PACKET, strlen(PACKET)}, .number = 1};
    assert_int_equal(parser_parse(lines.parser, &FORMAT_HUBBLE, false, &lines.arena, &record), 0);
    assert_string_equal(flow_lines_text(&record), IS "never unjoinable no-time");
    assert_int_equal(parser_parse(lines.parser, &FORMAT_HUBBLE, true, &lines.arena, &record), 0);
    assert_string_equal(flow_lines_text(&record), "bad: not a hubble record");
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapped_lines_are_read_with_the_best_time_there_is),
        cmocka_unit_test(wrappers_without_end_are_refused),
        cmocka_unit_test(what_inline_keeps_is_the_json_record),
        cmocka_unit_test(lines_are_told_apart_by_their_content),
        cmocka_unit_test(a_line_of_another_format_is_read_as_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
