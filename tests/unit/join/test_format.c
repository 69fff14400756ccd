/* tests/unit/join/test_format.c -- which format a line is of
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

/* Lines by which a format is known, one at least for each form it has. NULL: none. */
static const struct {
    const struct format *format;
    const char *line;
} SAMPLES[] = {
    {&FORMAT_HUBBLE,
     "{\"flow\":{\"time\":\"2026-05-22T10:00:01Z\",\"verdict\":\"FORWARDED\",\"IP\":{\"source\":"
     "\"192.0.2.7\",\"destination\":\"198.51.100.9\"}},\"node_name\":\"n\"}"},
    {&FORMAT_HUBBLE, "{\"lost_events\":{\"num_events_lost\":\"7\"}}"},
    {&FORMAT_HUBBLE,
     "{\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"198.51.100.9\"},\"Type\":\"L3_L4\","
     "\"time\":\"2026-05-22T10:00:01Z\",\"verdict\":\"DROPPED\"}"},
    {&FORMAT_KERNEL_LOG,
     "May 22 10:00:01 n kernel: calico-packet: IN=cali1 OUT=eth0 MAC= SRC=192.0.2.7 "
     "DST=198.51.100.9 LEN=60 PROTO=TCP SPT=40112 DPT=443 SYN"},
    {&FORMAT_KERNEL_LOG, "[1.2] x: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=1"},
    {&FORMAT_KERNEL_LOG, "2026-05-22T10:00:01Z n systemd[1]: Started a unit."},
    {&FORMAT_CALICO,
     "{\"start_time\":1779444000,\"end_time\":1779444308,\"source_ip\":null,\"source_name\":\"-\","
     "\"source_name_aggr\":\"cart-*\",\"source_namespace\":\"shop\",\"dest_ip\":null,\"dest_name\":"
     "\"-\",\"dest_name_aggr\":\"pub\",\"dest_namespace\":\"-\",\"proto\":\"tcp\",\"action\":"
     "\"allow\",\"reporter\":\"src\"}"},
    {&FORMAT_CALICO_EBPF,
     "curl-5288    [000] ..s2.  3055.982021: bpf_trace_printk: cali1-E: policy ALLOWED proto 6 "
     "src 192.0.2.7:56042 dest 198.51.100.9:80"},
    {&FORMAT_CALICO_EBPF,
     "2026-05-22T10:00:01Z x-7 [000] .. 3055.9: 0: cali1-I: policy DENIED proto 6 "
     "src 192.0.2.7:56042 dest 198.51.100.9:80"},
    {&FORMAT_CALICO_EBPF, "x-7 [000] ..s2. 3055.98: bpf_trace_printk: cali1-E: New packet"},
    {&FORMAT_GOLDMANE,
     "{\"id\":5,\"flow\":{\"Key\":{\"source_name\":\"cart-*\",\"dest_name\":\"pub\",\"reporter\":1,"
     "\"action\":1},\"start_time\":1779444000,\"end_time\":1779444015}}"},
    {&FORMAT_GOLDMANE,
     "data: {\"start_time\":\"2026-05-22T10:00:00Z\",\"end_time\":\"2026-05-22T10:00:15Z\","
     "\"action\":\"Allow\",\"source_name\":\"cart-*\",\"source_namespace\":\"shop\",\"dest_name\":"
     "\"pub\",\"dest_namespace\":\"-\",\"protocol\":\"tcp\",\"reporter\":\"Src\"}"},
    {&FORMAT_GOLDMANE,
     "{\"meta\":{},\"items\":[{\"source_namespace\":\"shop\",\"dest_namespace\":\"-\"}]}"},
    {&FORMAT_ANTREA,
     "1779444001,1779444031,192.0.2.7,198.51.100.9,0,0,ICMP,toolbox,default,node-1,,,,0.0.0.0,0,"
     ",,,,,,,,,,"},
    {&FORMAT_ANTREA,
     "1779444001,1779444031,192.0.2.7,198.51.100.9,40112,443,6,cart,shop,node-1,,,,,,443,,,,,0,,"
     ",,,1,,,,"},
    {&FORMAT_ANTREA_S3,
     "1779444001,1779444031,1779444031,1779444031,3,192.0.2.7,198.51.100.9,40112,443,6,1,2,3,4,5,"
     "6,7,8,cart,shop,node-1,,,,,,443,,,,,0,0,,,,1,1,TIME_WAIT,2,'{\"a\":\"b\"}','{}'"},
    {&FORMAT_AWS_VPC, "version srcaddr dstaddr start end action log-status"},
    {&FORMAT_AWS_VPC,
     "2 123456789012 eni-0a1b2c3d4e5f 192.0.2.7 198.51.100.9 40112 443 6 20 4249 1779444000 "
     "1779444060 ACCEPT OK"},
    {&FORMAT_AWS_VPC,
     "2026-05-22T10:09:00.000Z 2 123456789012 eni-0a1b2c3d4e5f - - - - - - - 1779444000 1779444060 "
     "- NODATA"},
    {&FORMAT_JOURNAL,
     "{\"MESSAGE\":\"x: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9\",\"_HOSTNAME\":\"n\"}"},
    {&FORMAT_SHIPPER, "{\"date\":1779444001.1,\"log\":\"x\"}"},
    {&FORMAT_LOGCLI,
     "{\"labels\":{\"job\":\"j\"},\"line\":\"x\",\"timestamp\":\"2026-05-22T10:00:01Z\"}"},
    {&FORMAT_HUBBLE, "{\"flow\":{\"time\":\"2026-05-22T10:00:01Z\",\"Type\":\"L7\",\"l7\":{"
                     "\"type\":\"RESPONSE\",\"dns\":"
                     "{\"query\":\"example.com.\",\"ips\":[\"198.51.100.9\"]}}},\"time\":\"2026-05-"
                     "22T10:00:01Z\"}"},
    {&FORMAT_DOCKER,
     "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-05-22T10:00:01.123456789Z\"}"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stdout F {\"flow\":{}}"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.123456789Z stderr P x"},
    {&FORMAT_CRI, "2026-05-22T10:00:01.1Z stdout F x: IN=cali1 OUT=e SRC=192.0.2.7 DST=192.0.2.8"},
    {&FORMAT_NETOBSERV,
     "{\"SrcAddr\":\"192.0.2.7\",\"DstAddr\":\"198.51.100.9\",\"SrcPort\":40112,\"DstPort\":443,"
     "\"Proto\":6,\"FlowDirection\":1,\"Bytes\":66,\"TimeFlowStartMs\":1779444001123,"
     "\"TimeFlowEndMs\":1779444001123,\"TimeReceived\":1779444002}"},
    {&FORMAT_NETOBSERV,
     "{\"BiFlowDirection\":0,\"Bytes\":400,\"SrcAddr\":\"192.0.2.7\",\"DstAddr\":\"198.51.100.9\","
     "\"Proto\":6,\"TimeFlowStart\":0,\"TimeReceived\":1779444002,\"Type\":4}"},
    {&FORMAT_SURICATA,
     "{\"timestamp\":\"2026-05-22T10:00:31.5+0000\",\"flow_id\":7,\"event_type\":\"flow\",\"src_"
     "ip\":"
     "\"192.0.2.7\",\"src_port\":40112,\"dest_ip\":\"198.51.100.9\",\"dest_port\":443,\"proto\":"
     "\"TCP\",\"flow\":{\"start\":\"2026-05-22T10:00:01.5+0000\",\"state\":\"closed\"}}"},
    {&FORMAT_SURICATA,
     "{\"timestamp\":\"2026-05-22T10:00:31.5+0000\",\"flow_id\":7,\"event_type\":\"dns\",\"src_"
     "ip\":"
     "\"192.0.2.7\",\"dest_ip\":\"203.0.113.53\",\"proto\":\"UDP\",\"dns\":{\"type\":\"query\"}}"},
    {&FORMAT_SURICATA, "{\"timestamp\":\"2026-05-22T10:00:31.5+0000\",\"event_type\":\"stats\","
                       "\"stats\":{\"uptime\":5}}"},
    {&FORMAT_ZEEK, "#separator \\x09"},
    {&FORMAT_ZEEK, "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto"},
    {&FORMAT_ZEEK,
     "{\"ts\":1779444001.5,\"uid\":\"C1\",\"id.orig_h\":\"192.0.2.7\",\"id.orig_p\":40112,"
     "\"id.resp_h\":\"198.51.100.9\",\"id.resp_p\":443,\"proto\":\"tcp\",\"conn_state\":\"SF\"}"},
    {&FORMAT_ZEEK, "{\"_path\":\"dns\",\"ts\":\"2026-05-22T10:00:01Z\",\"id.orig_h\":\"192.0.2.7\","
                   "\"query\":\"x\"}"},
    {&FORMAT_CONNTRACK,
     "[1779444001.123456]\t    [NEW] tcp      6 120 SYN_SENT src=192.0.2.7 dst=198.51.100.9 "
     "sport=40112 dport=443 [UNREPLIED] src=198.51.100.9 dst=192.0.2.7 sport=443 dport=40112"},
    {&FORMAT_CONNTRACK,
     "tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=198.51.100.9 sport=40112 dport=443 "
     "src=198.51.100.9 dst=192.0.2.7 sport=443 dport=40112 [ASSURED] mark=0 use=1"},
    {&FORMAT_ULOGD,
     "May 22 10:00:01 n ulogd[7]: [NEW] ORIG: SRC=192.0.2.7 DST=198.51.100.9 PROTO=TCP SPT=40112 "
     "DPT=443 PKTS=0 BYTES=0 , REPLY: SRC=198.51.100.9 DST=192.0.2.7 PROTO=TCP SPT=443 DPT=40112"},
    {&FORMAT_ULOGD,
     "{\"timestamp\":\"2026-05-22T10:00:01.5+0000\",\"dvc\":\"Netfilter\",\"src_ip\":\"192.0.2.7\","
     "\"dest_ip\":\"198.51.100.9\",\"orig.ip.protocol\":6,\"orig.l4.sport\":40112,"
     "\"orig.l4.dport\":443,\"ct.event\":1}"},
    {NULL, "{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001}"},
    {NULL, "192.0.2.7,198.51.100.9,1779444001"},
    {NULL, "1779444001,1779444031,192.0.2.7,198.51.100.9,0,0,ICMP"},
    {NULL, "{}"},
    {NULL, "{"},
    {NULL, "[]"},
    {NULL, "x"},
    {NULL, "<html>"},
};

static void a_line_is_claimed_by_its_format_alone(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, INT64_C(1779444001000000));
    lines.parser->arena = &lines.arena;
    for (size_t i = 0; i < sizeof(SAMPLES) / sizeof(SAMPLES[0]); i++) {
        struct text line = {SAMPLES[i].line, strlen(SAMPLES[i].line)};
        assert_ptr_equal(format_of_line(lines.parser, line), SAMPLES[i].format);
        for (size_t f = 0; FORMATS[f] != NULL; f++) {
            unsigned score = FORMATS[f]->score(lines.parser, line);
            /* A line of any system log is a weak claim, and what any shipper may have made. */
            bool weak = (FORMATS[f] == &FORMAT_KERNEL_LOG && score <= 30) ||
                        (FORMATS[f] == &FORMAT_SHIPPER && score <= 60);
            if (FORMATS[f] != SAMPLES[i].format && score > 0 && !weak) {
                fail_msg("%s claims: %s", FORMATS[f]->name, SAMPLES[i].line);
            }
        }
    }
    flow_lines_fini(&lines);
}

/* In a file of one format a line of another is told by the parser, not by the score. */
static void json_of_another_format_is_foreign_to_every_parser(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, INT64_C(1779444001000000));
    for (size_t i = 0; i < sizeof(SAMPLES) / sizeof(SAMPLES[0]); i++) {
        const char *line = SAMPLES[i].line;
        for (size_t f = 0; line[0] == '{' && SAMPLES[i].format != NULL && FORMATS[f] != NULL; f++) {
            char not_one[64];
            snprintf(not_one, sizeof(not_one), "bad: not a %s record", FORMATS[f]->name);
            /* A Loki entry is an array; what is mapped may be anything. */
            if (FORMATS[f] == SAMPLES[i].format || FORMATS[f] == &FORMAT_LOKI ||
                FORMATS[f] == &FORMAT_JSON || FORMATS[f] == &FORMAT_CSV ||
                FORMATS[f] == &FORMAT_SHIPPER) {
                continue;
            }
            const struct flow_record *record =
                flow_lines_parse(&lines, FORMATS[f], line, strlen(line));
            if (strcmp(flow_lines_text(record), not_one) != 0) {
                fail_msg("%s takes as its own: %s", FORMATS[f]->name, line);
            }
        }
    }
    flow_lines_fini(&lines);
}

static void formats_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        assert_ptr_equal(format_by_name(FORMATS[i]->name), FORMATS[i]);
    }
    assert_null(format_by_name("hubbl"));
    assert_null(format_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_claimed_by_its_format_alone),
        cmocka_unit_test(json_of_another_format_is_foreign_to_every_parser),
        cmocka_unit_test(formats_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
