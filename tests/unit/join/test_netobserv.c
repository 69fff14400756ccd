/* tests/unit/join/test_netobserv.c -- NetObserv records, alone and with the labels of a Loki stream
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

#define SPAN "\"TimeFlowStartMs\":1779444001123,\"TimeFlowEndMs\":1779444004123"
#define TIME SPAN ",\"TimeReceived\":1779444006"
#define AT "aggregate 2026-05-22T10:00:01.123000Z to 2026-05-22T10:00:04.123000Z"
#define ADDRS "\"SrcAddr\":\"192.0.2.7\",\"DstAddr\":\"198.51.100.9\""
#define TCP ADDRS ",\"SrcPort\":40112,\"DstPort\":443,\"Proto\":6"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    {"{" TCP "," TIME
     ",\"FlowDirection\":1,\"Flags\":18,\"Bytes\":4120,\"Packets\":9,\"Etype\":2048}",
     "netobserv tcp " PAIR " unknown egress start " AT " 4120 bytes"},
    /* Numbers as strings; packets of an open connection; the same node. */
    {"{\"SrcAddr\":\"192.0.2.7\",\"DstAddr\":\"198.51.100.9\",\"SrcPort\":\"40112\",\"DstPort\":"
     "\"443\","
     "\"Proto\":\"6\",\"FlowDirection\":\"2\",\"Flags\":\"16\",\"Bytes\":\"7\","
     "\"TimeFlowStartMs\":\"1779444001123\",\"TimeFlowEndMs\":\"1779444004123\"}",
     "netobserv tcp " PAIR " unknown egress " AT " 7 bytes"},
    {"{" ADDRS ",\"SrcPort\":40112,\"DstPort\":53,\"Proto\":17," TIME "}",
     "netobserv udp 192.0.2.7:40112 > 198.51.100.9:53 unknown unknown " AT},
    {"{" ADDRS ",\"IcmpType\":8,\"SrcPort\":0,\"DstPort\":0,\"Proto\":1," TIME "}",
     "netobserv icmp 192.0.2.7 > 198.51.100.9 unknown unknown " AT},
    {"{\"SrcAddr\":\"2001:db8::1\",\"DstAddr\":\"2001:db8::2\",\"Etype\":34525,\"Proto\":58," TIME
     "}",
     "netobserv ipv6-icmp 2001:db8::1 > 2001:db8::2 unknown unknown " AT},

    /* Which clock: the first packet, in older files to the second; else when it was received. */
    {"{" TCP ",\"TimeFlowStartMs\":0,\"TimeFlowStart\":1779444001,\"TimeFlowEnd\":1779444004}",
     "netobserv tcp " PAIR
     " unknown unknown aggregate 2026-05-22T10:00:01.000000Z to 2026-05-22T10:00:04.000000Z"},
    {"{" TCP ",\"Flags\":2,\"TimeFlowStart\":0,\"TimeFlowEnd\":0,\"TimeReceived\":1779444006}",
     "netobserv tcp " PAIR " unknown unknown aggregate 2026-05-22T10:00:06.000000Z"},
    {"{" TCP ",\"TimeFlowStartMs\":1779444001123,\"TimeFlowEndMs\":1779444001000}",
     "netobserv tcp " PAIR " unknown unknown aggregate 2026-05-22T10:00:01.123000Z"},
    {"{" TCP ",\"TimeReceived\":0}",
     "netobserv tcp " PAIR " unknown unknown aggregate never unjoinable no-time"},
    {"{" TCP ",\"TimeFlowStartMs\":18446744073709551615}",
     "netobserv tcp " PAIR " unknown unknown aggregate never unjoinable no-time"},

    /* Replies: the SYN that is an ACK, else from where servers listen to where clients call from.
     */
    {"{\"SrcAddr\":\"198.51.100.9\",\"DstAddr\":\"192.0.2.7\",\"SrcPort\":443,\"DstPort\":40112,"
     "\"Proto\":6,\"Flags\":272," TIME "}",
     "skip reply"},
    {"{" TCP ",\"Flags\":256," TIME "}", "skip reply"},
    {"{" ADDRS ",\"SrcPort\":9090,\"DstPort\":40112,\"Proto\":6,\"Flags\":16," TIME "}",
     "skip reply"},
    {"{" ADDRS ",\"SrcPort\":9090,\"DstPort\":40112,\"Proto\":6,\"Flags\":18," TIME "}",
     "netobserv tcp 192.0.2.7:9090 > 198.51.100.9:40112 unknown unknown start " AT},
    {"{" ADDRS ",\"SrcPort\":9094,\"DstPort\":9094,\"Proto\":17," TIME "}",
     "netobserv udp 192.0.2.7:9094 > 198.51.100.9:9094 unknown unknown " AT},

    /* Copies. */
    {"{" TCP ",\"FlowDirection\":0," TIME "}", "skip ingress"},
    {"{" TCP ",\"FlowDirection\":\"0\"," TIME "}", "skip ingress"},
    {"{" TCP ",\"FlowDirection\":1,\"Duplicate\":true," TIME "}", "skip repeat"},
    {"{" TCP ",\"FlowDirection\":1,\"Duplicate\":false," TIME "}",
     "netobserv tcp " PAIR " unknown egress " AT},
    {"{\"DstMac\":\"ff:ff:ff:ff:ff:ff\",\"Etype\":2054," TIME "}", "skip not-a-flow"},
    /* The exporter of the first versions had no such view. */
    {"{" TCP ",\"FlowDirection\":0,\"SamplerAddress\":\"wAACAQ==\"," TIME "}",
     "netobserv tcp " PAIR " unknown unknown " AT},
    /* Records of whole connections: the first of each. */
    {"{" TCP ",\"_RecordType\":\"newConnection\",\"_IsFirst\":true,\"Flags\":274," TIME "}",
     "netobserv tcp " PAIR " unknown unknown start " AT},
    {"{" TCP ",\"_RecordType\":\"endConnection\",\"_IsFirst\":true," TIME "}",
     "netobserv tcp " PAIR " unknown unknown " AT},
    {"{" TCP ",\"_RecordType\":\"endConnection\",\"_IsFirst\":false," TIME "}", "skip repeat"},
    {"{" TCP ",\"_RecordType\":\"heartbeat\"," TIME "}", "skip repeat"},

    /* Verdicts. */
    {"{" TCP ",\"Packets\":2,\"PktDropPackets\":1," TIME "}",
     "netobserv tcp " PAIR " unknown unknown " AT},
    {"{" TCP ",\"Packets\":2,\"PktDropPackets\":2," TIME "}",
     "netobserv tcp " PAIR " denied unknown " AT},
    {"{" TCP ",\"PktDropPackets\":1," TIME "}", "netobserv tcp " PAIR " denied unknown " AT},
    {"{" TCP ",\"NetworkEvents\":[{\"Feature\":\"acl\",\"Action\":\"allow\"}]," TIME "}",
     "netobserv tcp " PAIR " allowed unknown " AT},
    {"{" TCP ",\"NetworkEvents\":[{\"Action\":\"allow\"},{\"Action\":\"drop\"}]," TIME "}",
     "netobserv tcp " PAIR " denied unknown " AT},
    {"{" TCP ",\"NetworkEvents\":[\"allow\",7,{},{\"Action\":[]}]," TIME "}",
     "netobserv tcp " PAIR " unknown unknown " AT},

    /* Nothing can be asked. */
    {"{\"SrcAddr\":\"\",\"DstAddr\":\"198.51.100.9\"," TIME "}",
     "netobserv ? unknown unknown " AT " unjoinable no-address"},
    {"{\"SrcAddr\":\"192.0.2\",\"DstAddr\":\"198.51.100.9\"," TIME "}",
     "netobserv ? unknown unknown " AT " unjoinable bad-address"},

    /* Bad. */
    {"{" TCP "}", "bad: not a netobserv record"},
    {"{" TIME "}", "bad: not a netobserv record"},
    {"{" TCP "," TIME, "bad: not valid JSON at byte 176: ',' or '}' was expected"},
    {"[]", "bad: not a netobserv record"},
};

static void records_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_NETOBSERV, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

/* What is said of the source; the destination has the same names with Dst. */
static const struct {
    const char *members;
    const char *is;
} ENDS[] = {
    {"\"SrcK8S_Name\":\"cart-1\",\"SrcK8S_Namespace\":\"shop\",\"SrcK8S_Type\":\"Pod\","
     "\"SrcK8S_OwnerName\":\"cart\",\"SrcK8S_OwnerType\":\"Deployment\","
     "\"SrcK8S_HostName\":\"node-3\",\"K8S_ClusterName\":\"prod-1\"",
     "pod in prod-1 shop/cart-1 (cart) on node-3 > -"},
    {"\"SrcK8S_Name\":\"node-3\",\"SrcK8S_Type\":\"Node\",\"SrcK8S_OwnerName\":\"node-3\"",
     "node on node-3 > -"},
    {"\"SrcK8S_Name\":\"cart-1\",\"SrcK8S_OwnerType\":\"StatefulSet\"", "pod cart-1 > -"},
    {"\"SrcK8S_Name\":\"node-3\",\"SrcK8S_OwnerType\":\"Node\"", "node on node-3 > -"},
    {"\"SrcPod\":\"cart-1\",\"SrcNamespace\":\"shop\",\"SrcWorkload\":\"cart\"",
     "pod shop/cart-1 (cart) > -"},
    {"\"DstK8S_Name\":\"dns\",\"DstK8S_Namespace\":\"kube-system\",\"DstK8S_Type\":\"Service\","
     "\"K8S_ClusterName\":\"prod-1\"",
     "- > service in prod-1 kube-system/service dns"},
    {"\"SrcK8S_Name\":\"\",\"DstK8S_Name\":7", "- > -"},
};

static void the_identity_of_both_ends_is_kept(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++) {
        char line[1024];
        int len = snprintf(line, sizeof(line), "{" TCP "," TIME ",%s}", ENDS[i].members);
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_NETOBSERV, line, (size_t)len);
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_string_equal(flow_lines_who(record), ENDS[i].is);
    }
    flow_lines_fini(&lines);
}

static void labels_count_where_the_record_lacks_the_member(void **state)
{
    static const struct {
        const char *labels;
        const char *is;
        const char *who;
    } STREAMS[] = {
        {"{\"FlowDirection\":\"1\",\"SrcK8S_Namespace\":\"shop\",\"SrcK8S_Type\":\"Pod\","
         "\"SrcK8S_OwnerName\":\"cart\",\"K8S_ClusterName\":\"prod-1\",\"app\":\"netobserv\"}",
         "netobserv tcp " PAIR " unknown egress " AT, "pod in prod-1 shop/cart-1 (cart) > -"},
        {"{\"FlowDirection\":\"0\"}", "skip ingress", NULL},
        {"{\"SrcK8S_Name\":\"other\"}", "netobserv tcp " PAIR " unknown unknown " AT,
         "pod cart-1 > -"},
        {"{}", "netobserv tcp " PAIR " unknown unknown " AT, "pod cart-1 > -"},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(STREAMS) / sizeof(STREAMS[0]); i++) {
        char line[1024];
        int len = snprintf(
            line, sizeof(line),
            "{\"labels\":%s,\"line\":\"{\\\"SrcAddr\\\":\\\"192.0.2.7\\\",\\\"DstAddr\\\":"
            "\\\"198.51.100.9\\\",\\\"SrcPort\\\":40112,\\\"DstPort\\\":443,\\\"Proto\\\":6,"
            "\\\"SrcK8S_Name\\\":\\\"cart-1\\\",\\\"TimeFlowStartMs\\\":1779444001123,"
            "\\\"TimeFlowEndMs\\\":1779444004123}\","
            "\"timestamp\":\"2026-05-22T10:00:09Z\"}",
            STREAMS[i].labels);
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_LOGCLI, line, (size_t)len);
        assert_string_equal(flow_lines_text(record), STREAMS[i].is);
        if (STREAMS[i].who != NULL) {
            assert_string_equal(flow_lines_who(record), STREAMS[i].who);
        }
    }
    flow_lines_fini(&lines);
}

static void a_translated_destination_is_its_other_address(void **state)
{
    static const struct {
        const char *members;
        const char *alternate;
    } TRANSLATED[] = {
        {"\"XlatSrcAddr\":\"192.0.2.7\",\"XlatDstAddr\":\"203.0.113.8\"", "203.0.113.8"},
        {"\"XlatDstAddr\":\"198.51.100.9\"", NULL},
        {"\"XlatDstAddr\":\"\"", NULL},
        {"\"XlatDstAddr\":\"0.0.0.0\"", NULL},
        {"\"XlatDstAddr\":\"x\"", NULL},
        {"\"XlatDstAddr\":null", NULL},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(TRANSLATED) / sizeof(TRANSLATED[0]); i++) {
        char line[1024];
        char text[ADDR_TEXT_MAX];
        int len = snprintf(line, sizeof(line), "{" TCP "," TIME ",%s}", TRANSLATED[i].members);
        const struct flow *flow =
            &flow_lines_parse(&lines, &FORMAT_NETOBSERV, line, (size_t)len)->flow;
        assert_int_equal(flow->has_alternate, TRANSLATED[i].alternate != NULL);
        if (flow->has_alternate) {
            addr_print(&flow->alternate, text);
            assert_string_equal(text, TRANSLATED[i].alternate);
        }
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(the_identity_of_both_ends_is_kept),
        cmocka_unit_test(labels_count_where_the_record_lacks_the_member),
        cmocka_unit_test(a_translated_destination_is_its_other_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
