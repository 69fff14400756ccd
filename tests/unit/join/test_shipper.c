/* tests/unit/join/test_shipper.c -- what log shippers make of a line
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
#define AT "2026-05-22T10:00:01.123456Z"
#define HUBBLE                                                                                     \
    "{\\\"flow\\\":{\\\"time\\\":\\\"2026-05-22T10:00:00Z\\\",\\\"IP\\\":{\\\"source\\\":\\\"192." \
    "0.2.7\\\",\\\"destination\\\":\\\"198.51.100.9\\\"}}}"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* Fluent Bit: tail, and systemd, which drops __REALTIME_TIMESTAMP */
    {"{\"date\":1779444001.123456,\"log\":\"" PACKET "\"}", IS AT},
    {"{\"date\":\"2026-05-22T10:00:01.123456Z\",\"log\":\"" PACKET "\\n\"}", IS AT},
    {"{\"date\":1779444001123,\"log\":\"" PACKET "\"}", IS "2026-05-22T10:00:01.123000Z"},
    {"{\"date\":1779444001.123456,\"_TRANSPORT\":\"kernel\",\"PRIORITY\":\"5\",\"_HOSTNAME\":\"n\","
     "\"MESSAGE\":\"" PACKET "\"}",
     IS AT},
    /* Vector: file, journald, docker_logs */
    {"{\"file\":\"/var/log/x\",\"host\":\"n\",\"message\":\"" PACKET
     "\",\"source_type\":\"file\",\"timestamp\":\"2026-05-22T10:00:01.123456789Z\"}",
     IS AT},
    /* Filebeat, Logstash */
    {"{\"@timestamp\":\"2026-05-22T10:00:01.123456Z\",\"message\":\"" PACKET
     "\",\"host\":{\"name\":\"n\"}}",
     IS AT},
    /* The line's own time is better. */
    {"{\"date\":1779444001.123456,\"log\":\"" HUBBLE "\"}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown 2026-05-22T10:00:00.000000Z"},
    /* Wrapped again. */
    {"{\"date\":1,\"log\":\"2026-05-22T10:00:01.123456Z stdout F " PACKET "\"}", IS AT},
    {"{\"message\":\"" PACKET "\"}", IS "never unjoinable no-time"},
    {"{\"date\":1779444001,\"log\":\"eth0: link up\"}", "skip not-a-flow"},
    {"{\"date\":1779444001,\"log\":5}", "bad: not a shipper record"},
    {"{\"date\":1779444001,\"log\":\"\\x\"}", "bad: the line within has an escape that is none"},
    {"{\"date\":1779444001,\"log\":\"" PACKET "\"",
     "bad: not valid JSON at byte 113: ',' or '}' was expected"},
};

static void each_line_is_what_it_holds(void **state)
{
    (void)state;
    static const struct parser_options NONE = {0};
    struct flow_lines lines;
    flow_lines_init(&lines, &NONE, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_SHIPPER, LINES[i].line, strlen(LINES[i].line));
        const char *is = flow_lines_text(record);
        if (strcmp(is, LINES[i].is) != 0) {
            fail_msg("%s\ngot  %s\nwant %s", LINES[i].line, is, LINES[i].is);
        }
    }
    flow_lines_fini(&lines);
}

static void a_time_that_is_none_is_doubtful(void **state)
{
    (void)state;
    static const char LINE[] = "{\"date\":\"yesterday\",\"log\":\"" PACKET "\"}";
    static const struct parser_options NONE = {0};
    struct flow_lines lines;
    flow_lines_init(&lines, &NONE, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_SHIPPER, LINE, sizeof(LINE) - 1);
    assert_non_null(record->doubtful);
    assert_string_equal(record->flow.unjoinable, "no-time");
    flow_lines_fini(&lines);
}

static void it_is_recognised_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const struct format *format;
    } OF[] = {
        {"{\"date\":1779444001.1,\"log\":\"x\"}", &FORMAT_SHIPPER},
        {"{\"message\":\"x\",\"timestamp\":\"2026-05-22T10:00:01Z\"}", &FORMAT_SHIPPER},
        {"{\"date\":1779444001.1,\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"x\"}", &FORMAT_SHIPPER},
        {"{\"date\":1,\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"x\",\"__REALTIME_TIMESTAMP\":\"1\"}",
         &FORMAT_JOURNAL},
        {"{\"date\":1,\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2026-05-22T10:00:01Z\"}",
         &FORMAT_DOCKER},
        {"{\"date\":1,\"flow\":{\"verdict\":\"FORWARDED\"}}", &FORMAT_HUBBLE},
        {"{\"date\":1}", NULL},
    };
    static const struct parser_options NONE = {0};
    struct flow_lines lines;
    flow_lines_init(&lines, &NONE, 0);
    for (size_t i = 0; i < sizeof(OF) / sizeof(OF[0]); i++) {
        struct text line = {OF[i].line, strlen(OF[i].line)};
        lines.parser->arena = &lines.arena;
        assert_ptr_equal(format_of_line(lines.parser, line), OF[i].format);
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_what_it_holds),
        cmocka_unit_test(a_time_that_is_none_is_doubtful),
        cmocka_unit_test(it_is_recognised_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
