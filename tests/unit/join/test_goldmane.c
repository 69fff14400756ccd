/* tests/unit/join/test_goldmane.c -- flows without addresses, of Goldmane and Whisker
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define KEY(ACTION, REPORTER)                                                                      \
    "\"Key\":{\"source_name\":\"cart-7c9d-*\",\"source_namespace\":\"shop\",\"source_type\":1,"    \
    "\"dest_name\":\"pub\",\"dest_namespace\":\"-\",\"dest_type\":4,\"dest_port\":443,\"proto\":"  \
    "\"tcp\",\"reporter\":" REPORTER ",\"action\":" ACTION "}"
#define RESULT(ACTION, REPORTER)                                                                   \
    "{\"id\":5,\"flow\":{" KEY(ACTION, REPORTER) ",\"start_time\":1779444000,\"end_time\":"        \
                                                 "1779444015,\"bytes_in\":7,\"bytes_out\":8}}"
#define ITEM(ACTION, REPORTER)                                                                     \
    "{\"start_time\":\"2026-05-22T10:00:00Z\",\"end_time\":\"2026-05-22T10:00:15Z\",\"action\":"   \
    "\"" ACTION "\",\"source_name\":\"cart-*\",\"source_namespace\":\"shop\",\"source_labels\":"   \
    "\"a=b | c=d\",\"dest_name\":\"PRIVATE NETWORK\",\"dest_namespace\":\"Global\","               \
    "\"protocol\":\"udp\",\"dest_port\":\"53\",\"reporter\":\"" REPORTER                           \
    "\",\"bytes_in\":\"7\",\"bytes_out\":\"8\"}"
#define SPAN                                                                                       \
    "aggregate 2026-05-22T10:00:00.000000Z to 2026-05-22T10:00:15.000000Z 15 bytes "               \
    "unjoinable no-address"
#define PAGE_FAULT                                                                                 \
    "bad: a page of Whisker; give its items line by line, as `jq -c '.items[]'` does (and they "   \
    "have no addresses)"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    {RESULT("1", "1"), "goldmane tcp allowed egress " SPAN},
    {RESULT("2", "1"), "goldmane tcp denied egress " SPAN},
    {RESULT("3", "1"), "goldmane tcp unknown egress " SPAN},
    {RESULT("1", "2"), "skip ingress"},
    {ITEM("Allow", "Src"), "goldmane udp allowed egress " SPAN},
    {ITEM("Deny", "Src"), "goldmane udp denied egress " SPAN},
    {ITEM("Pass", "Src"), "goldmane udp unknown egress " SPAN},
    {ITEM("Allow", "Dst"), "skip ingress"},
    {"data: " ITEM("Allow", "Src"), "goldmane udp allowed egress " SPAN},
    {"data:" ITEM("Allow", "Src"), "goldmane udp allowed egress " SPAN},
    {"event: flow", "skip not-a-flow"},
    {"id: 7", "skip not-a-flow"},
    {"retry: 7", "skip not-a-flow"},
    {": keep-alive", "skip not-a-flow"},
    {"{\"meta\":{\"totalPages\":1},\"items\":[" ITEM("Allow", "Src") "]}", PAGE_FAULT},
    {"{\"flow\":{\"Key\":{}}}", "goldmane ? unknown egress aggregate never unjoinable no-address"},
    {"{\"flow\":{\"Key\":[]}}", "bad: not a goldmane record"},
    {"{\"items\":[]}", "bad: not a goldmane record"},
    {"{\"flow\":{}}", "bad: not a goldmane record"},
    {"data: {", "bad: not valid JSON at byte 2: a key was expected"},
    {"data: x", "bad: not a goldmane record"},
    {"data:", "bad: not a goldmane record"},
};

static void all_forms_are_read_and_none_can_be_joined(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_GOLDMANE, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
        if (record->parsed == PARSED_FLOW) {
            assert_string_equal(record->flow.unjoinable, "no-address");
            assert_non_null(strstr(record->remark, "`Log` action"));
        }
    }
    flow_lines_fini(&lines);
}

static void the_names_of_both_ends_are_kept(void **state)
{
    static const struct {
        const char *line;
        const char *who;
    } CASES[] = {
        {RESULT("1", "1"), "pod shop/(cart-7c9d) > network"},
        {ITEM("Allow", "Src"), "shop/(cart) > network"},
        {"{\"flow\":{\"Key\":{\"source_name\":\"node-1\",\"source_type\":2,\"source_namespace\":"
         "\"\",\"dest_name\":\"db-*\",\"dest_namespace\":\"-\",\"dest_type\":1,"
         "\"dest_service_name\":\"db\",\"dest_service_namespace\":\"data\"}}}",
         "node on node-1 > pod data/(db) service db"},
        {"{\"flow\":{\"Key\":{\"source_name\":\"set\",\"source_type\":3,\"dest_type\":99}}}",
         "network > -"},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_GOLDMANE, CASES[i].line, strlen(CASES[i].line));
        assert_string_equal(flow_lines_who(record), CASES[i].who);
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_are_read_and_none_can_be_joined),
        cmocka_unit_test(the_names_of_both_ends_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
