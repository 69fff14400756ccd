/* tests/unit/join/test_antrea.c -- CSV of Antrea's Flow Aggregator, of several releases
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

/* 2026-05-22T10:00:01Z and half a minute later */
#define TIMES "1779444001,1779444031,"
#define SPAN "2026-05-22T10:00:01.000000Z to 2026-05-22T10:00:31.000000Z"
#define ENDS "192.0.2.7,198.51.100.9,40112,443,TCP,"
#define PODS "cart-x2x,shop,node-1,web-1,front,node-2,"
#define NO_PODS "cart-x2x,shop,node-1,,,,"
/* name, namespace, rule, action, type; twice */
#define RULES(INGRESS, EGRESS)                                                                     \
    "in-name,in-ns,in-rule," INGRESS ",K8sNetworkPolicy,out-name,out-ns,out-rule," EGRESS          \
    ",K8sNetworkPolicy"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

static const struct {
    const char *line;
    const char *is;
    const char *who;
    const char *alternate;
} LINES[] = {
    /* 26 columns: the first release. */
    {TIMES ENDS PODS "10.96.0.10,443,front/web:https," RULES("Allow", "Allow"),
     "antrea tcp " PAIR " allowed egress start " SPAN,
     "pod shop/cart-x2x on node-1 > pod front/web-1 on node-2 service web", "10.96.0.10"},
    {TIMES "192.0.2.7,198.51.100.9,0,0,ICMP," NO_PODS "0.0.0.0,0,,,,,,,,,,,",
     "antrea icmp 192.0.2.7 > 198.51.100.9 allowed egress start " SPAN,
     "pod shop/cart-x2x on node-1 > -", NULL},
    /* 31 and more: with the name of the egress gateway, and HTTP with commas. */
    {TIMES ENDS PODS "10.96.0.10,443,front/web:https," RULES(
         "", "Drop") ",egress,203.0.113.1,http,{\"0\":{\"hostname\":\"a\",\"url\":\"/\"}},node-3",
     "antrea tcp " PAIR " denied egress start " SPAN, NULL, "10.96.0.10"},
    /* 30: with a column for the service's address, which may be empty. */
    {TIMES ENDS PODS "10.96.0.10,10.96.0.11,443,front/web:https," RULES(
         "Reject", "Allow") ",egress,203.0.113.1,node-3",
     "antrea tcp " PAIR " denied egress start " SPAN,
     "pod shop/cart-x2x on node-1 > pod front/web-1 on node-2 service web", "10.96.0.11"},
    {TIMES ENDS NO_PODS ",,0,," RULES("", "Allow") ",,,",
     "antrea tcp " PAIR " allowed egress start " SPAN, "pod shop/cart-x2x on node-1 > -", NULL},
    {TIMES ENDS NO_PODS "10.96.0.10,,443,db/pg:," RULES("", "") ",,,",
     "antrea tcp " PAIR " allowed egress start " SPAN,
     "pod shop/cart-x2x on node-1 > db/service pg", "10.96.0.10"},
    /* The service's own address is no other one. */
    {TIMES ENDS NO_PODS "198.51.100.9,,443,pg," RULES("", "") ",,,",
     "antrea tcp " PAIR " allowed egress start " SPAN, "pod shop/cart-x2x on node-1 > service pg",
     NULL},
    /* Numbers for words. */
    {TIMES "192.0.2.7,198.51.100.9,40112,443,6," PODS "0.0.0.0,0,,in,,r,2,1,out,,r,1,1",
     "antrea tcp " PAIR " denied egress start " SPAN, NULL, NULL},
    {TIMES "2001:db8::7,2001:db8::9,1,2,17," PODS ",::,0,,in,,r,0,1,out,,r,3,1,,,",
     "antrea udp 2001:db8::7:1 > 2001:db8::9:2 denied egress start " SPAN, NULL, NULL},
    /* From elsewhere, without addresses, with an end before the start. */
    {TIMES ENDS ",,,web-1,front,node-2,,0,,,,,,,,,,,",
     "antrea tcp " PAIR " allowed unknown start " SPAN, "- > pod front/web-1 on node-2", NULL},
    {TIMES ",,0,0,TCP," PODS ",0,,,,,,,,,,,",
     "antrea tcp allowed egress start " SPAN " unjoinable no-address", NULL, NULL},
    {"1779444001,1779443001," ENDS PODS ",0,,,,,,,,,,,",
     "antrea tcp " PAIR " allowed egress start 2026-05-22T10:00:01.000000Z", NULL, NULL},
    /* None. */
    {TIMES ENDS PODS ",0,,,,,,,,,,", "bad: not a antrea record", NULL, NULL},
    {"177944400,1779444031," ENDS PODS ",0,,,,,,,,,,,", "bad: not a antrea record", NULL, NULL},
    {"2026-05-22,1779444031," ENDS PODS ",0,,,,,,,,,,,", "bad: not a antrea record", NULL, NULL},
    {TIMES "a,b,1,2,TCP," PODS ",0,,,,,,,,,,,", "bad: not a antrea record", NULL, NULL},
    {"", "bad: not a antrea record", NULL, NULL},
    {"{}", "bad: not a antrea record", NULL, NULL},
};

#define S3_HEAD                                                                                    \
    TIMES "1779444031,1779444032,3,192.0.2.7,198.51.100.9,40112,443,6,"                            \
          "10,4000,1,400,9,120,1,12," PODS
#define S3_TAIL                                                                                    \
    ",TIME_WAIT,2,'{\"app\":\"cart\",\"tier\":\"1\"}','{}',15902813472,1,2,3,4,5,uuid,now,,,"

static const struct {
    const char *line;
    const char *is;
    const char *who;
    const char *alternate;
} S3_LINES[] = {
    {S3_HEAD "10.96.0.10,10.96.0.11,443,front/web:https," RULES("1", "1") S3_TAIL,
     "antrea-s3 tcp " PAIR " allowed egress start " SPAN " 4120 bytes",
     "pod shop/cart-x2x on node-1 > pod front/web-1 on node-2 service web", "10.96.0.11"},
    {S3_HEAD "10.96.0.10,443,front/web:https," RULES("2", "1") S3_TAIL,
     "antrea-s3 tcp " PAIR " denied egress start " SPAN " 4120 bytes",
     "pod shop/cart-x2x on node-1 > pod front/web-1 on node-2 service web", "10.96.0.10"},
    {S3_HEAD "10.96.0.10,443,x," RULES("0", "3"),
     "antrea-s3 tcp " PAIR " denied egress start " SPAN " 4120 bytes", NULL, "10.96.0.10"},
    {TIMES ENDS PODS "10.96.0.10,443,front/web:https," RULES("Allow", "Allow"),
     "bad: not a antrea-s3 record", NULL, NULL},
    {S3_HEAD "10.96.0.10,443,x,,,,,,,,,", "bad: not a antrea-s3 record", NULL, NULL},
};

static void check(const struct format *format, const char *line, const char *is, const char *who,
                  const char *alternate)
{
    struct flow_lines lines;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record = flow_lines_parse(&lines, format, line, strlen(line));
    assert_string_equal(flow_lines_text(record), is);
    if (who != NULL) {
        assert_string_equal(flow_lines_who(record), who);
    }
    if (record->parsed == PARSED_FLOW) {
        char text[ADDR_TEXT_MAX] = "";
        if (record->flow.has_alternate) {
            addr_print(&record->flow.alternate, text);
        }
        assert_string_equal(text, alternate != NULL ? alternate : "");
        assert_false(record->flow.aggregated);
        assert_int_equal(record->flow.precision_us, 999999);
    }
    flow_lines_fini(&lines);
}

static void lines_of_all_releases_are_told_apart_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        check(&FORMAT_ANTREA, LINES[i].line, LINES[i].is, LINES[i].who, LINES[i].alternate);
    }
}

static void objects_in_s3_have_other_columns_and_quoted_labels(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(S3_LINES) / sizeof(S3_LINES[0]); i++) {
        check(&FORMAT_ANTREA_S3, S3_LINES[i].line, S3_LINES[i].is, S3_LINES[i].who,
              S3_LINES[i].alternate);
    }
}

static void nonsense_in_a_field_is_doubtful_but_given_out(void **state)
{
    static const char LINE[] = TIMES "192.0.2.7,198.51.100.9,40112,65536,TCP," PODS ",0,,,,,,,,,,,";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_ANTREA, LINE, sizeof(LINE) - 1);
    assert_int_equal(record->parsed, PARSED_FLOW);
    assert_non_null(record->doubtful);
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_all_releases_are_told_apart_by_content),
        cmocka_unit_test(objects_in_s3_have_other_columns_and_quoted_labels),
        cmocka_unit_test(nonsense_in_a_field_is_doubtful_but_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
