/* tests/unit/join/test_kernel_log.c -- netfilter LOG lines
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/flow_lines.h"

#define MAC "MAC=ee:ee:ee:ee:ee:ee:1e:0a:36:33:f5:09:08:00"
#define PACKET                                                                                     \
    MAC " SRC=192.0.2.7 DST=198.51.100.9 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=58406 DF "            \
        "PROTO=TCP SPT=45588 DPT=443 WINDOW=64860 RES=0x00 SYN URGP=0"
#define PAIR "192.0.2.7:45588 > 198.51.100.9:443"
#define AT "2026-05-22T10:00:01Z"
#define TIME "2026-05-22T10:00:01.000000Z"
#define EGRESS "kernel-log tcp " PAIR " unknown egress start " TIME

#define JSON                                                                                       \
    "{\"start_time\":1779444000,\"end_time\":1779444000,\"source_ip\":\"192.0.2.7\",\"dest_ip\":"  \
    "\"198.51.100.9\",\"source_name_aggr\":\"a-*\",\"dest_name_aggr\":\"pub\",\"reporter\":"       \
    "\"src\"}"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* Prefixes: anything, touching IN= or holding what looks like fields. */
    {AT " host kernel: calico-packet: IN=cali527b0801ecb OUT=eth0 " PACKET, EGRESS},
    {AT " host kernel: IN=cali1 OUT=eth0 " PACKET " ", EGRESS},
    {AT " host kernel: [wan-lan-default-D]IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {AT " host kernel: [10821.860593] calico-packet: IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {AT " host kernel: [ 3161.662745] a b/c: d IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {AT " host kernel: x IN=eth9 IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {AT " host kernel: DST=203.0.113.1 PROTO=UDP: IN=cali1 OUT=eth0 " PACKET, EGRESS},

    /* Directions, by the kind of interface. */
    {AT " h kernel: p: IN=veth12 OUT=eth0 " PACKET, EGRESS},
    {AT " h kernel: p: IN=lxc12 OUT=eth0 " PACKET, EGRESS},
    {AT " h kernel: p: IN=eni12 OUT=eth0 " PACKET, EGRESS},
    {AT " h kernel: p: IN=cali1 OUT=cali2 " PACKET, EGRESS},
    {AT " h kernel: p: IN= OUT=eth0 " PACKET, EGRESS},
    {AT " h kernel: p: IN=br0 OUT=eth0 PHYSIN=veth1 " PACKET, EGRESS},
    {AT " h kernel: p: IN=eth0 OUT=cali1 " PACKET, "skip ingress"},
    {AT " h kernel: p: IN=vxlan.calico OUT=cali854fbe58c09 " PACKET, "skip ingress"},
    {AT " h kernel: p: IN=eth0 OUT= " PACKET,
     "kernel-log tcp " PAIR " unknown unknown start " TIME},
    {AT " h kernel: p: IN=eth0 OUT=eth1 " PACKET,
     "kernel-log tcp " PAIR " unknown unknown start " TIME},

    /* Packets. */
    {AT " h kernel: p: IN=cali1 OUT=eth0 " MAC " SRC=192.0.2.7 DST=198.51.100.9 LEN=52 PROTO=TCP "
        "SPT=1 DPT=2 WINDOW=1 RES=0x00 ACK SYN URGP=0",
     "kernel-log tcp 192.0.2.7:1 > 198.51.100.9:2 unknown egress " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 MAC= SRC=192.0.2.7 DST=198.51.100.9 LEN=96 TOS=0x00 "
        "PREC=0x00 TTL=63 ID=19241 DF PROTO=UDP SPT=42896 DPT=53 LEN=76",
     "kernel-log udp 192.0.2.7:42896 > 198.51.100.9:53 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 LEN=84 ID=48210 DF "
        "PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1",
     "kernel-log icmp 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 LEN=88 ID=1 PROTO=ICMP "
        "TYPE=3 CODE=3 [SRC=203.0.113.1 DST=203.0.113.2 LEN=60 PROTO=UDP SPT=1 DPT=2 LEN=40 ]",
     "kernel-log icmp 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 "
        "SRC=2001:0db8:0000:0000:0084:88ff:feae:790a DST=2001:0db8:0000:0000:0000:0000:0000:0016 "
        "LEN=96 TC=0 HOPLIMIT=1 FLOWLBL=0 PROTO=ICMPv6 TYPE=128 CODE=0 MARK=0xd4",
     "kernel-log ipv6-icmp 2001:db8::84:88ff:feae:790a > 2001:db8::16 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 LEN=120 PROTO=ESP "
        "SPI=0xcb886522",
     "kernel-log esp 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 LEN=120 PROTO=132 ",
     "kernel-log sctp 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 LEN=120 PROTO=253 ",
     "kernel-log 253 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},

    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=Ospf-3 ",
     "kernel-log ospf-3 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=\"x\" ",
     "kernel-log ? 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=0123456789abcdef ",
     "kernel-log ? 192.0.2.7 > 198.51.100.9 unknown egress start " TIME},

    /* Verdicts by prefix: calico-drop of itself, the others by the options of the test. */
    {AT " h kernel: calico-drop: IN=cali1 OUT=eth0 " PACKET,
     "kernel-log tcp " PAIR " denied egress start " TIME},
    {AT " h kernel: deny-x: IN=cali1 OUT=eth0 " PACKET,
     "kernel-log tcp " PAIR " denied egress start " TIME},
    {AT " h kernel: deny-audit-x: IN=cali1 OUT=eth0 " PACKET,
     "kernel-log tcp " PAIR " logged egress start " TIME},

    /* Times. */
    {"May 22 10:00:01 host kernel: calico-packet: IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {"<4>May 22 10:00:01 host kernel: calico-packet: IN=cali1 OUT=eth0 " PACKET, EGRESS},
    {"calico-packet: IN=cali1 OUT=eth0 " PACKET,
     "kernel-log tcp " PAIR " unknown egress start never unjoinable no-time"},

    /* Addresses that are none. */
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC= DST=198.51.100.9 PROTO=TCP SPT=1 DPT=2",
     "kernel-log tcp unknown egress " TIME " unjoinable no-address"},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 LEN=5",
     "kernel-log ? unknown egress start " TIME " unjoinable no-address"},
    {AT " h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.999 PROTO=TCP",
     "kernel-log tcp unknown egress " TIME " unjoinable bad-address"},

    /* Other lines of the same log. */
    {AT " host kernel: eth0: link up", "skip not-a-flow"},
    {AT " host sshd[77]: SRC=192.0.2.7 DST=198.51.100.9", "skip not-a-flow"},
    {AT " host app: {\"level\":\"info\"}", "skip not-a-flow"},
    {AT " host app: {\"flow\":{} more", "skip not-a-flow"},
    {AT " host app: }", "skip not-a-flow"},

    /* Records that a log forwarder put behind its tag. */
    {"<14>" AT " host flows: " JSON, "calico ? 192.0.2.7 > 198.51.100.9 unknown egress aggregate "
                                     "2026-05-22T10:00:00.000000Z"},
    {"<14>1 " AT " host app 1 - - {\"flow\":{\"IP\":{\"source\":\"192.0.2.7\",\"destination\":"
     "\"198.51.100.9\"}}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown " TIME},
    {"app: " JSON, "skip not-a-flow"},
    {"IN=cali1 SRC=192.0.2.7 DST=198.51.100.9", "skip not-a-flow"},
    {"x OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9", "skip not-a-flow"},
    {"", "skip not-a-flow"},
    {"{\"flow\":{}}", "bad: not a kernel-log record"},
};

static const struct prefix_rule RULES[] = {
    {"deny", FLOW_DENIED},
    {"deny-audit", FLOW_LOGGED},
    {"deny-a", FLOW_ALLOWED}, /* neither the first nor the last that fits counts, but the longest */
};

static int64_t near_us(void)
{
    int64_t time_us;
    assert_true(time_parse(&time_us, "2026-06-01T00:00:00Z", 20, 0));
    return time_us;
}

static void lines_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    const struct parser_options options = {.prefixes = RULES,
                                           .prefix_count = sizeof(RULES) / sizeof(RULES[0])};
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, &options, near_us());
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_KERNEL_LOG, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void the_interface_and_the_node_are_kept(void **state)
{
    static const char LINE[] = AT " node-7 kernel: p: IN=br0 OUT=e PHYSIN=veth1 " PACKET;
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, near_us());
    const struct flow *flow =
        &flow_lines_parse(&lines, &FORMAT_KERNEL_LOG, LINE, sizeof(LINE) - 1)->flow;
    assert_int_equal(flow->interface.len, 5);
    assert_memory_equal(flow->interface.data, "veth1", 5);
    assert_int_equal(flow->source_id.node.len, 6);
    assert_memory_equal(flow->source_id.node.data, "node-7", 6);
    flow_lines_fini(&lines);
}

static void a_line_cut_anywhere_is_never_another_flow(void **state)
{
    static const char LINE[] = AT " host kernel: calico-packet: IN=cali1 OUT=eth0 " PACKET;
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, near_us());
    for (size_t len = 0; len < sizeof(LINE) - 1; len++) {
        const struct flow_record *record = flow_lines_parse(&lines, &FORMAT_KERNEL_LOG, LINE, len);
        assert_true(record->parsed == PARSED_SKIPPED || record->parsed == PARSED_FLOW);
        if (record->parsed == PARSED_FLOW && record->flow.has_pair) {
            /* The destination may be cut: what is left must be a piece of it. */
            assert_true(record->flow.source.b[15] == 7);
        }
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(the_interface_and_the_node_are_kept),
        cmocka_unit_test(a_line_cut_anywhere_is_never_another_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
