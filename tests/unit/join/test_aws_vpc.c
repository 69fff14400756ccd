/* tests/unit/join/test_aws_vpc.c -- AWS VPC flow logs in default and other formats
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define HEAD "2 123456789012 eni-0a1b2c3d4e5f "
/* packets, octets, 2026-05-22T10:00:00Z and a minute later */
#define TAIL "20 4249 1779444000 1779444060 "
#define SPAN "aggregate 2026-05-22T10:00:00.000000Z to 2026-05-22T10:01:00.000000Z"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

static const struct {
    const char *line;
    const char *is;
} DEFAULT_LINES[] = {
    {HEAD "192.0.2.7 198.51.100.9 40112 443 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp " PAIR " allowed unknown " SPAN " 4249 bytes"},
    {HEAD "192.0.2.7 198.51.100.9 40112 443 17 " TAIL "REJECT OK",
     "aws-vpc udp " PAIR " denied unknown " SPAN " 4249 bytes"},
    {HEAD "2001:db8::7 2001:db8::9 34892 22 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp 2001:db8::7:34892 > 2001:db8::9:22 allowed unknown " SPAN " 4249 bytes"},
    {HEAD "192.0.2.7 198.51.100.9 0 0 1 " TAIL "ACCEPT OK",
     "aws-vpc icmp 192.0.2.7 > 198.51.100.9 allowed unknown " SPAN " 4249 bytes"},
    /* The way back, by its ports; and what may look like it. */
    {HEAD "198.51.100.9 192.0.2.7 443 40112 6 " TAIL "ACCEPT OK", "skip reply"},
    {HEAD "198.51.100.9 192.0.2.7 443 1024 6 " TAIL "ACCEPT OK", "skip reply"},
    {HEAD "198.51.100.9 192.0.2.7 8080 40112 6 " TAIL "ACCEPT OK", "skip reply"},
    {HEAD "198.51.100.9 192.0.2.7 993 40112 6 " TAIL "ACCEPT OK", "skip reply"},
    {HEAD "192.0.2.7 198.51.100.9 800 2049 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp 192.0.2.7:800 > 198.51.100.9:2049 allowed unknown " SPAN " 4249 bytes"},
    {HEAD "192.0.2.7 198.51.100.9 123 123 17 " TAIL "ACCEPT OK",
     "aws-vpc udp 192.0.2.7:123 > 198.51.100.9:123 allowed unknown " SPAN " 4249 bytes"},
    {HEAD "192.0.2.7 198.51.100.9 20641 8080 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp 192.0.2.7:20641 > 198.51.100.9:8080 allowed unknown " SPAN " 4249 bytes"},
    {HEAD "192.0.2.7 198.51.100.9 40112 50051 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp 192.0.2.7:40112 > 198.51.100.9:50051 allowed unknown " SPAN " 4249 bytes"},
    /* Nothing was seen, or noted. */
    {HEAD "- - - - - - - 1779444000 1779444060 - NODATA", "skip not-a-flow"},
    {HEAD "- - - - - - - 1779444000 1779444060 - SKIPDATA", "skip not-a-flow"},
    {HEAD "- 198.51.100.9 - 443 6 - - 1779444000 1779444060 - OK",
     "aws-vpc tcp unknown unknown " SPAN " unjoinable no-address"},
    {HEAD "192.0.2.7 198.51.100.9 40112 443 6 20 4249 - - ACCEPT OK",
     "aws-vpc tcp " PAIR " allowed unknown aggregate never 4249 bytes unjoinable no-time"},
    /* What CloudWatch puts in front. */
    {"2026-05-22T10:09:00.000Z " HEAD "192.0.2.7 198.51.100.9 40112 443 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp " PAIR " allowed unknown " SPAN " 4249 bytes"},
    {"2026-05-22T10:09:00+00:00 eni-0a1b2c3d4e5f-all " HEAD
     "192.0.2.7 198.51.100.9 40112 443 6 " TAIL "ACCEPT OK",
     "aws-vpc tcp " PAIR " allowed unknown " SPAN " 4249 bytes"},
    /* Another format than it is read in. */
    {HEAD "192.0.2.7 198.51.100.9 40112 443 6 " TAIL "ACCEPT",
     "bad: 13 fields, but 14 columns; where the format is not the default and no header names it, "
     "pass --columns with the format"},
    {"version srcaddr dstaddr", "skip not-a-flow"},
    {"{}", "bad: not a aws-vpc record"},
    {"", "bad: not a aws-vpc record"},
};

#define V5                                                                                         \
    "version srcaddr dstaddr srcport dstport protocol start end bytes instance-id action "         \
    "tcp-flags pkt-srcaddr pkt-dstaddr flow-direction log-status"
#define V5_TIMES "6 1779444000 1779444060 471 i-0c50d5961bcb2d47b "

static const struct {
    const char *line;
    const char *is;
} V5_LINES[] = {
    /* A pod behind the node's interface: its own address, the node's name. */
    {"5 10.0.0.71 198.51.100.9 40112 443 " V5_TIMES "ACCEPT 2 192.0.2.7 198.51.100.9 egress OK",
     "aws-vpc tcp " PAIR " allowed egress start " SPAN " 471 bytes"},
    {"5 10.0.0.71 198.51.100.9 40112 443 " V5_TIMES "ACCEPT 3 - - egress OK",
     "aws-vpc tcp 10.0.0.71:40112 > 198.51.100.9:443 allowed egress start " SPAN " 471 bytes"},
    {"5 10.0.0.71 198.51.100.9 40112 443 " V5_TIMES "ACCEPT 0 192.0.2.7 198.51.100.9 egress OK",
     "aws-vpc tcp " PAIR " allowed egress " SPAN " 471 bytes"},
    {"5 10.0.0.71 198.51.100.9 40112 443 " V5_TIMES "REJECT - 192.0.2.7 198.51.100.9 - OK",
     "aws-vpc tcp " PAIR " denied unknown " SPAN " 471 bytes"},
    /* SYN and ACK together are the answer, whatever the ports say; SYN alone is none. */
    {"5 198.51.100.9 10.0.0.71 50051 40112 " V5_TIMES "ACCEPT 18 198.51.100.9 192.0.2.7 ingress OK",
     "skip reply"},
    {"5 198.51.100.9 10.0.0.71 50051 40112 " V5_TIMES "ACCEPT 19 198.51.100.9 192.0.2.7 egress OK",
     "skip reply"},
    {"5 10.0.0.71 198.51.100.9 1023 40112 " V5_TIMES "ACCEPT 2 192.0.2.7 198.51.100.9 egress OK",
     "aws-vpc tcp 192.0.2.7:1023 > 198.51.100.9:40112 allowed egress start " SPAN " 471 bytes"},
    {"5 10.0.0.71 198.51.100.9 443 40112 " V5_TIMES "ACCEPT 0 192.0.2.7 198.51.100.9 egress OK",
     "skip reply"},
    /* Flags are TCP's. */
    {"5 10.0.0.71 198.51.100.9 40112 443 17 1779444000 1779444060 471 - "
     "ACCEPT 2 192.0.2.7 198.51.100.9 egress OK",
     "aws-vpc udp " PAIR " allowed egress " SPAN " 471 bytes"},
    /* In to another pod is a copy; in to a gateway is on its way out. */
    {"5 10.0.0.71 10.0.0.72 40112 443 " V5_TIMES "ACCEPT 2 10.1.0.7 10.1.0.9 ingress OK",
     "skip ingress"},
    {"5 198.51.100.9 10.0.0.72 40112 443 " V5_TIMES "ACCEPT 2 - - ingress OK", "skip ingress"},
    {"5 198.51.100.9 203.0.113.5 40112 443 " V5_TIMES "ACCEPT 2 - - ingress OK", "skip ingress"},
    {"5 10.0.0.71 10.0.0.220 40112 443 " V5_TIMES "ACCEPT 2 10.1.0.7 203.0.113.5 ingress OK",
     "aws-vpc tcp 10.1.0.7:40112 > 203.0.113.5:443 allowed unknown start " SPAN " 471 bytes"},
};

static void records_in_the_default_format_are_read_skipped_or_refused(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(DEFAULT_LINES) / sizeof(DEFAULT_LINES[0]); i++) {
        const char *line = DEFAULT_LINES[i].line;
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_AWS_VPC, line, strlen(line));
        assert_string_equal(flow_lines_text(record), DEFAULT_LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void assert_v5(struct flow_lines *lines)
{
    for (size_t i = 0; i < sizeof(V5_LINES) / sizeof(V5_LINES[0]); i++) {
        const char *line = V5_LINES[i].line;
        const struct flow_record *record =
            flow_lines_parse(lines, &FORMAT_AWS_VPC, line, strlen(line));
        assert_string_equal(flow_lines_text(record), V5_LINES[i].is);
    }
}

static void the_format_is_what_the_header_says(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    flow_lines_header(&lines, &FORMAT_AWS_VPC, V5);
    assert_v5(&lines);
    flow_lines_parse(&lines, &FORMAT_AWS_VPC, V5_LINES[0].line, strlen(V5_LINES[0].line));
    assert_string_equal(flow_lines_who(&lines.record), "on i-0c50d5961bcb2d47b > -");
    flow_lines_fini(&lines);
}

static void the_format_is_what_columns_says(void **state)
{
    static const struct parser_options OPTIONS[] = {
        {.columns = V5},
        {.columns = "${version} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${start} "
                    "${end} ${bytes} ${instance-id} ${action} ${tcp-flags} ${pkt-srcaddr} "
                    "${pkt-dstaddr} ${flow-direction} ${log-status}"},
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_lines lines;
        flow_lines_init(&lines, &OPTIONS[i], 0);
        assert_v5(&lines);
        lines.parser->arena = &lines.arena;
        struct text line = {V5_LINES[0].line, strlen(V5_LINES[0].line)};
        assert_ptr_equal(format_of_line(lines.parser, line), &FORMAT_AWS_VPC);
        flow_lines_fini(&lines);
    }
}

static void headers_are_told_from_records(void **state)
{
    static const struct {
        const char *line;
        bool is_header;
    } CASES[] = {
        {V5, true},
        {"srcaddr dstaddr start end", true},
        {"${srcaddr} ${dstaddr}", true},
        {"srcaddr start end", false},
        {"Srcaddr dstaddr", false},
        {"srcaddr, dstaddr", false},
        {HEAD "192.0.2.7 198.51.100.9 40112 443 6 " TAIL "ACCEPT OK", false},
        {"eni-1 srcaddr dstaddr 1.2", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct layout_builder builder;
        struct text line = {CASES[i].line, strlen(CASES[i].line)};
        layout_builder_init(&builder, FORMAT_AWS_VPC.columns, NULL, NULL, 0);
        assert_int_equal(FORMAT_AWS_VPC.columns->header(&builder, line), CASES[i].is_header);
        layout_builder_fini(&builder);
    }
}

static void nonsense_in_a_field_is_doubtful_but_given_out(void **state)
{
    static const char *const DOUBTFUL[] = {
        HEAD "192.0.2.256 198.51.100.9 40112 443 6 " TAIL "ACCEPT OK",
        HEAD "192.0.2.7 198.51.100.9 40112 65536 6 " TAIL "ACCEPT OK",
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(DOUBTFUL) / sizeof(DOUBTFUL[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_AWS_VPC, DOUBTFUL[i], strlen(DOUBTFUL[i]));
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_non_null(record->doubtful);
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_in_the_default_format_are_read_skipped_or_refused),
        cmocka_unit_test(the_format_is_what_the_header_says),
        cmocka_unit_test(the_format_is_what_columns_says),
        cmocka_unit_test(headers_are_told_from_records),
        cmocka_unit_test(nonsense_in_a_field_is_doubtful_but_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
