/* tests/unit/join/test_calico.c -- Calico Enterprise flow logs at every aggregation level
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

/* 2026-05-22T10:00:00Z to 10:05:08Z */
#define WINDOW "\"start_time\":1779444000,\"end_time\":1779444308"
#define SPAN "2026-05-22T10:00:00.000000Z to 2026-05-22T10:05:08.000000Z"
#define SOURCE                                                                                     \
    "\"source_ip\":\"192.0.2.7\",\"source_name\":\"cart-7c9d-x2x\",\"source_name_aggr\":"          \
    "\"cart-7c9d-*\",\"source_namespace\":\"shop\",\"source_port\":40112,\"source_type\":\"wep\""
#define WORLD                                                                                      \
    "\"dest_ip\":\"198.51.100.9\",\"dest_name\":\"-\",\"dest_name_aggr\":\"pub\","                 \
    "\"dest_namespace\":\"-\",\"dest_port\":443,\"dest_type\":\"net\""
#define COUNTS(FLOWS, STARTED)                                                                     \
    "\"bytes_in\":388,\"bytes_out\":1113,\"num_flows\":" FLOWS ",\"num_flows_started\":" STARTED
#define LINE(SOURCE_END, DESTINATION_END, PROTO, ACTION, REPORTER, COUNTS_OF)                      \
    "{" WINDOW "," SOURCE_END "," DESTINATION_END ",\"proto\":" PROTO ",\"action\":\"" ACTION      \
    "\",\"reporter\":\"" REPORTER "\"," COUNTS_OF "}"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* Level 0: one connection. */
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "src", COUNTS("1", "1")),
     "calico tcp " PAIR " allowed egress start aggregate " SPAN " 1501 bytes"},
    {LINE(SOURCE, WORLD, "\"tcp\"", "deny", "src", COUNTS("1", "0")),
     "calico tcp " PAIR " denied egress aggregate " SPAN " 1501 bytes"},
    {LINE(SOURCE, WORLD, "\"udp\"", "pass", "src, fwd", COUNTS("3", "2")),
     "calico udp " PAIR " unknown egress aggregate " SPAN " 1501 bytes"},
    /* Numbers may be strings, protocols numbers. */
    {LINE(SOURCE, WORLD, "6", "allow", "src", COUNTS("\"2\"", "\"2\"")),
     "calico tcp " PAIR " allowed egress start aggregate " SPAN " 1501 bytes"},
    {LINE(SOURCE, WORLD, "\"icmp\"", "allow", "src", COUNTS("1", "1")),
     "calico icmp 192.0.2.7 > 198.51.100.9 allowed egress start aggregate " SPAN " 1501 bytes"},
    {LINE("\"source_ip\":\"2001:db8::7\",\"source_name_aggr\":\"a-*\",\"source_port\":1",
          "\"dest_ip\":\"2001:db8::9\",\"dest_name_aggr\":\"pub\",\"dest_port\":2", "\"tcp\"",
          "allow", "src", COUNTS("1", "1")),
     "calico tcp 2001:db8::7:1 > 2001:db8::9:2 allowed egress start aggregate " SPAN " 1501 bytes"},
    /* Level 1: no source port. */
    {LINE("\"source_ip\":\"192.0.2.7\",\"source_name_aggr\":\"a-*\",\"source_port\":null", WORLD,
          "\"tcp\"", "deny", "src", COUNTS("4", "4")),
     "calico tcp 192.0.2.7:? > 198.51.100.9:443 denied egress start aggregate " SPAN " 1501 bytes"},
    {LINE("\"source_ip\":\"192.0.2.7\",\"source_name_aggr\":\"a-*\",\"source_port\":\"-\"", WORLD,
          "\"tcp\"", "deny", "src", COUNTS("0", "0")),
     "calico tcp 192.0.2.7:? > 198.51.100.9:443 denied egress aggregate " SPAN " 1501 bytes"},
    /* Level 2 and 3: no addresses, in all the ways to say so. */
    {LINE("\"source_ip\":null,\"source_name_aggr\":\"a-*\",\"source_port\":null",
          "\"dest_ip\":null,\"dest_name_aggr\":\"pub\",\"dest_port\":443", "\"tcp\"", "allow",
          "src", COUNTS("41", "37")),
     "calico tcp allowed egress aggregate " SPAN " 1501 bytes unjoinable no-address"},
    {LINE("\"source_ip\":\"-\",\"source_name_aggr\":\"a-*\",\"source_port\":null", WORLD, "\"tcp\"",
          "allow", "src", COUNTS("1", "1")),
     "calico tcp allowed egress start aggregate " SPAN " 1501 bytes unjoinable no-address"},
    {LINE(SOURCE, "\"dest_ip\":\"\",\"dest_name_aggr\":\"pub\",\"dest_port\":null", "\"tcp\"",
          "allow", "src", COUNTS("1", "1")),
     "calico tcp allowed egress start aggregate " SPAN " 1501 bytes unjoinable no-address"},
    {LINE(SOURCE, "\"dest_ip\":\"0.0.0.0\",\"dest_name_aggr\":\"pub\",\"dest_port\":443", "\"tcp\"",
          "allow", "src", COUNTS("1", "1")),
     "calico tcp allowed egress start aggregate " SPAN " 1501 bytes unjoinable no-address"},
    {LINE(SOURCE, "\"dest_ip\":\"::\",\"dest_name_aggr\":\"pub\",\"dest_port\":443", "\"tcp\"",
          "allow", "src", COUNTS("1", "1")),
     "calico tcp allowed egress start aggregate " SPAN " 1501 bytes unjoinable no-address"},
    /* Who reported it. */
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "dst", COUNTS("1", "1")), "skip ingress"},
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "dst, fwd", COUNTS("1", "1")), "skip ingress"},
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "src, dst", COUNTS("1", "1")),
     "calico tcp " PAIR " allowed egress start aggregate " SPAN " 1501 bytes"},
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "fwd", COUNTS("1", "1")),
     "calico tcp " PAIR " allowed unknown start aggregate " SPAN " 1501 bytes"},
    /* No counts, no times, and nonsense. */
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "src", "\"bytes_in\":-1"),
     "calico tcp " PAIR " allowed egress aggregate " SPAN},
    {LINE(SOURCE, WORLD, "\"tcp\"", "allow", "src",
          "\"bytes_in\":18446744073709551615,\"bytes_out\":1"),
     "calico tcp " PAIR " allowed egress aggregate " SPAN},
    {"{" SOURCE "," WORLD ",\"reporter\":\"src\"}",
     "calico ? 192.0.2.7 > 198.51.100.9 unknown egress aggregate never unjoinable no-time"},
    {"{\"start_time\":1779444000,\"end_time\":1779443000," SOURCE "," WORLD
     ",\"reporter\":\"src\"}",
     "calico ? 192.0.2.7 > 198.51.100.9 unknown egress aggregate 2026-05-22T10:00:00.000000Z"},
    {"{\"start_time\":99999999999999999999,\"end_time\":0," SOURCE "," WORLD
     ",\"reporter\":\"src\"}",
     "calico ? 192.0.2.7 > 198.51.100.9 unknown egress aggregate never unjoinable no-time"},
    {"{" WINDOW ",\"source_name_aggr\":\"a-*\",\"dest_name_aggr\":\"pub\",\"reporter\":\"src\","
     "\"source_ip\":\"x\",\"dest_ip\":\"192.0.2.1\"}",
     "calico ? unknown egress aggregate " SPAN " unjoinable bad-address"},
    {"{\"source_name_aggr\":\"a-*\",\"reporter\":\"src\"}", "bad: not a calico record"},
    {"{\"source_name_aggr\":", "bad: not valid JSON at byte 21: a value was expected"},
    {"[1]", "bad: not a calico record"},
    {"", "bad: not a calico record"},
};

static void records_of_all_levels_are_read_skipped_or_refused(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_CALICO, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void both_ends_are_named(void **state)
{
    static const struct {
        const char *line;
        const char *who;
    } CASES[] = {
        {LINE(SOURCE, WORLD ",\"host\":\"node-1\"", "\"tcp\"", "allow", "src", COUNTS("1", "1")),
         "pod shop/cart-7c9d-x2x (cart-7c9d) on node-1 > network"},
        {LINE("\"source_name\":\"-\",\"source_name_aggr\":\"cart-*\",\"source_namespace\":\"shop\","
              "\"source_type\":\"wep\"",
              "\"dest_name\":\"-\",\"dest_name_aggr\":\"coredns-576-*\",\"dest_namespace\":"
              "\"kube-system\",\"dest_type\":\"wep\",\"dest_service_name\":\"kube-dns\","
              "\"dest_service_namespace\":\"kube-system\"",
              "\"udp\"", "allow", "src", COUNTS("1", "1")),
         "pod shop/(cart) > pod kube-system/(coredns-576) service kube-dns"},
        {LINE("\"source_name\":\"node-2\",\"source_name_aggr\":\"node-*\",\"source_namespace\":"
              "\"-\",\"source_type\":\"hep\"",
              "\"dest_name\":\"-\",\"dest_name_aggr\":\"pvt\",\"dest_namespace\":\"-\","
              "\"dest_type\":\"ns\",\"dest_service_name\":\"-\",\"dest_service_namespace\":\"db\"",
              "\"udp\"", "allow", "src", COUNTS("1", "1")),
         "node on node-2 > network db/"},
        {"{\"source_name_aggr\":1,\"dest_name_aggr\":null,\"reporter\":\"src\"}", "- > -"},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_CALICO, CASES[i].line, strlen(CASES[i].line));
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_string_equal(flow_lines_who(record), CASES[i].who);
        assert_int_equal(record->flow.precision_us, 999999);
    }
    flow_lines_fini(&lines);
}

static void nonsense_in_a_field_is_doubtful_but_given_out(void **state)
{
    static const char *const DOUBTFUL[] = {
        LINE(SOURCE, "\"dest_name_aggr\":\"pub\",\"dest_ip\":\"192.0.2.1\",\"dest_port\":65536",
             "\"tcp\"", "allow", "src", COUNTS("1", "1")),
        LINE(SOURCE, "\"dest_name_aggr\":\"pub\",\"dest_ip\":\"192.0.2\"", "\"tcp\"", "allow",
             "src", COUNTS("1", "1")),
        "{\"start_time\":\"now\",\"end_time\":1779444000," SOURCE "," WORLD
        ",\"reporter\":\"src\"}",
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(DOUBTFUL) / sizeof(DOUBTFUL[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_CALICO, DOUBTFUL[i], strlen(DOUBTFUL[i]));
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_non_null(record->doubtful);
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_all_levels_are_read_skipped_or_refused),
        cmocka_unit_test(both_ends_are_named),
        cmocka_unit_test(nonsense_in_a_field_is_doubtful_but_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
