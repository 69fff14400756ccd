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

    /* Docker's json-file */
    {&FORMAT_DOCKER,
     "{\"log\":\"" HUBBLE
     "\\n\",\"stream\":\"stdout\",\"time\":\"2026-05-22T10:00:01.123456789Z\"}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown 2026-05-22T10:00:00.000000Z"},
    {&FORMAT_DOCKER,
     "{\"log\":\"" PACKET "\\r\\n\",\"stream\":\"stderr\",\"attrs\":{\"tag\":\"x\"},"
     "\"time\":\"2026-05-22T10:00:01.123456789Z\"}",
     IS AT},
    {&FORMAT_DOCKER, "{\"log\":\"" PACKET "\",\"stream\":\"stdout\",\"time\":\"noon\"}",
     IS "never unjoinable no-time"},
    {&FORMAT_DOCKER,
     "{\"log\":\"level=info "
     "msg=started\\n\",\"stream\":\"stderr\",\"time\":\"2026-05-22T10:00:01Z\"}",
     "skip not-a-flow"},
    {&FORMAT_DOCKER, "{\"log\":\"\",\"stream\":\"stderr\",\"time\":\"2026-05-22T10:00:01Z\"}",
     "skip not-a-flow"},
    {&FORMAT_DOCKER, "{\"log\":\"\\q\",\"stream\":\"stderr\",\"time\":\"2026-05-22T10:00:01Z\"}",
     "bad: \"log\" has an escape that is none"},
    {&FORMAT_DOCKER, "{\"log\":\"x\",\"stream\":\"file\",\"time\":\"2026-05-22T10:00:01Z\"}",
     "bad: not a docker record"},

    /* containerd, CRI-O */
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout F " PACKET, IS AT},
    {&FORMAT_CRI, "2026-05-22T12:00:01.123456789+02:00 stderr F:x " PACKET, IS AT},
    {&FORMAT_CRI,
     "2026-05-22T10:00:01.123456789Z stdout F {\"flow\":{\"IP\":{\"source\":\"192.0.2.7\","
     "\"destination\":\"198.51.100.9\"}}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown " AT},
    {&FORMAT_CRI, "2026-13-22T10:00:01.123456789Z stdout F " PACKET, IS "never unjoinable no-time"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout F started", "skip not-a-flow"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout F ", "skip not-a-flow"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout P " PACKET,
     "bad: a piece of a line that the container runtime has cut at 16 KiB"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout F", "skip not-a-flow"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout", "bad: not a cri record"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdin F x", "bad: not a cri record"},
    {&FORMAT_CRI, PACKET, "bad: not a cri record"},
};

static void a_piece_of_a_docker_line_is_told_from_a_whole_one(void **state)
{
    static const char *const ENDS[] = {"", "\\n"};
    char line[20000];
    char piece[16 * 1024 + 1];
    struct flow_lines lines;
    (void)state;
    memset(piece, 'x', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        int len =
            snprintf(line, sizeof(line),
                     "{\"log\":\"%s%s\",\"stream\":\"stdout\",\"time\":\"2026-05-22T10:00:01Z\"}",
                     piece, ENDS[i]);
        assert_string_equal(
            flow_lines_text(flow_lines_parse(&lines, &FORMAT_DOCKER, line, (size_t)len)),
            i == 0 ? "bad: a piece of a line that the container runtime has cut at 16 KiB"
                   : "skip not-a-flow");
    }
    flow_lines_fini(&lines);
}

/* Whatever the lines before were. */
static void what_is_in_a_wrapper_is_told_line_by_line(void **state)
{
    static const char *const INSIDE[] = {
        PACKET,
        "{\"flow\":{\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"198.51.100.9\"}}}",
        "{\"event\":\"x\"}",
        "{not json",
        "2026-05-22T10:00:01Z host sshd[7]: session opened",
        ("2026-05-22T10:00:01Z stdout F " PACKET),
    };
    enum { COUNT = sizeof(INSIDE) / sizeof(INSIDE[0]) };
    char first[COUNT][256];
    (void)state;
    for (size_t before = 0; before <= COUNT; before++) {
        struct flow_lines lines;
        char line[512];
        flow_lines_init(&lines, NULL, INT64_C(1780000000000000));
        for (size_t i = 0; i < COUNT; i++) {
            if (before < COUNT) {
                snprintf(line, sizeof(line), "2026-05-22T10:00:01Z stdout F %s", INSIDE[before]);
                flow_lines_parse(&lines, &FORMAT_CRI, line, strlen(line));
            }
            snprintf(line, sizeof(line), "2026-05-22T10:00:01Z stdout F %s", INSIDE[i]);
            const char *text =
                flow_lines_text(flow_lines_parse(&lines, &FORMAT_CRI, line, strlen(line)));
            if (before == 0) {
                snprintf(first[i], sizeof(first[i]), "%s", text);
            }
            assert_string_equal(text, first[i]);
        }
        flow_lines_fini(&lines);
    }
    assert_string_equal(first[3], "skip not-a-flow");
    assert_string_equal(first[4], "skip not-a-flow");
}

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
        cmocka_unit_test(a_piece_of_a_docker_line_is_told_from_a_whole_one),
        cmocka_unit_test(what_is_in_a_wrapper_is_told_line_by_line),
        cmocka_unit_test(wrapped_lines_are_read_with_the_best_time_there_is),
        cmocka_unit_test(wrappers_without_end_are_refused),
        cmocka_unit_test(what_inline_keeps_is_the_json_record),
        cmocka_unit_test(lines_are_told_apart_by_their_content),
        cmocka_unit_test(a_line_of_another_format_is_read_as_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
