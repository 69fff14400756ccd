/* tests/unit/join/test_ulogd.c -- ulogd2's connections as JSON and as printed lines
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define ENDS                                                                                       \
    "\"src_ip\":\"192.0.2.7\",\"dest_ip\":\"203.0.113.10\",\"orig.l4.sport\":40112,"               \
    "\"orig.l4.dport\":443,\"orig.ip.protocol\":6"
#define PAIR "192.0.2.7:40112 > 203.0.113.10:443"
#define START "\"flow.start.sec\":1779444001,\"flow.start.usec\":123456"
#define STOP "\"flow.end.sec\":1779444061,\"flow.end.usec\":5"
#define AT "2026-05-22T10:00:01.123456Z"
#define TO " to 2026-05-22T10:01:01.000005Z"
#define WRITTEN "\"timestamp\":\"2026-05-22T12:02:00.000001+0200\",\"dvc\":\"Netfilter\""
#define PRINTED_ORIGINAL "ORIG: SRC=192.0.2.7 DST=203.0.113.10 PROTO=TCP SPT=40112 DPT=443"
#define PRINTED_REPLY ", REPLY: SRC=198.51.100.9 DST=192.0.2.7 PROTO=TCP SPT=8443 DPT=40112"
#define LOG "2026-05-22T10:00:01.123456Z n ulogd[7]: "

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* JSON: the flow's own times, else when it was written. */
    {"{" WRITTEN "," ENDS "," START "," STOP ",\"ct.event\":4,\"orig.raw.pktlen\":2006,"
     "\"reply.raw.pktlen\":4083}",
     "ulogd tcp " PAIR " unknown unknown start " AT TO " 6089 bytes"},
    {"{" WRITTEN "," ENDS "," START ",\"ct.event\":1}",
     "ulogd tcp " PAIR " unknown unknown start " AT},
    {"{" WRITTEN "," ENDS ",\"ct.event\":1}",
     "ulogd tcp " PAIR " unknown unknown start 2026-05-22T10:02:00.000001Z"},
    {"{" WRITTEN "," ENDS "," STOP ",\"ct.event\":4}",
     "ulogd tcp " PAIR " unknown unknown 2026-05-22T10:01:01.000005Z"},
    {"{\"@timestamp\":\"2026-05-22T10:00:01.123456+0000\",\"@version\":1," ENDS ",\"ct.event\":4}",
     "ulogd tcp " PAIR " unknown unknown " AT},
    {"{" ENDS ",\"ct.event\":4}", "ulogd tcp " PAIR " unknown unknown never unjoinable no-time"},
    {"{" ENDS ",\"flow.start.sec\":5,\"flow.start.usec\":99999999999}",
     "ulogd tcp " PAIR " unknown unknown never unjoinable no-time"},
    {"{" WRITTEN "," ENDS ",\"ct.event\":2}", "skip repeat"},
    {"{" WRITTEN "," START ",\"orig.ip.saddr.str\":\"2001:db8::1\",\"orig.ip.daddr.str\":"
     "\"2001:db8::2\",\"orig.ip.protocol\":\"58\"}",
     "ulogd ipv6-icmp 2001:db8::1 > 2001:db8::2 unknown unknown start " AT},
    /* Without IP2STR addresses are numbers. */
    {"{" WRITTEN "," START ",\"orig.ip.saddr\":117571776,\"orig.ip.protocol\":6}",
     "ulogd tcp unknown unknown start " AT " unjoinable no-address"},
    /* A packet. */
    {"{" WRITTEN ",\"raw.pktlen\":60,\"oob.prefix\":\"x\",\"src_ip\":\"192.0.2.7\",\"dest_ip\":"
     "\"203.0.113.10\"}",
     "skip not-a-flow"},

    /* Printed. */
    {LOG "[NEW] " PRINTED_ORIGINAL " PKTS=0 BYTES=0 " PRINTED_REPLY " PKTS=0 BYTES=0",
     "ulogd tcp " PAIR " unknown unknown start " AT " 0 bytes"},
    {LOG "[DESTROY] " PRINTED_ORIGINAL " PKTS=7 BYTES=2006 " PRINTED_REPLY " PKTS=7 BYTES=4083",
     "ulogd tcp " PAIR " unknown unknown " AT " 6089 bytes"},
    {LOG "[UPDATE] " PRINTED_ORIGINAL " " PRINTED_REPLY, "skip repeat"},
    {"[NEW] " PRINTED_ORIGINAL " " PRINTED_REPLY,
     "ulogd tcp " PAIR " unknown unknown start never unjoinable no-time"},
    {LOG "[NEW] ORIG: SRC=192.0.2.7 DST=203.0.113.10 PROTO=ICMP TYPE=0 CODE=8 PKTS=1 BYTES=84 , "
         "REPLY: SRC=203.0.113.10 DST=192.0.2.7 PROTO=ICMP TYPE=0 CODE=0 PKTS=0 BYTES=0",
     "ulogd icmp 192.0.2.7 > 203.0.113.10 unknown unknown start " AT " 84 bytes"},
    {LOG "[NEW] ORIG: SRC= DST=203.0.113.10 PROTO=TCP , REPLY: SRC= DST=",
     "ulogd tcp unknown unknown start " AT " unjoinable no-address"},

    /* Bad. */
    {LOG "[NEW] " PRINTED_ORIGINAL, "bad: not a ulogd record"},
    {LOG "NEW] " PRINTED_ORIGINAL " " PRINTED_REPLY, "bad: not a ulogd record"},
    {"{\"src_ip\":\"192.0.2.7\",\"dest_ip\":\"203.0.113.10\"}", "bad: not a ulogd record"},
    {"{" WRITTEN ",", "bad: not valid JSON at byte 66: a key was expected"},
    {"", "bad: not a ulogd record"},
};

static void lines_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_ULOGD, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void the_replys_source_is_the_other_address_of_the_destination(void **state)
{
    static const struct {
        const char *line;
        const char *alternate;
    } RECORDS[] = {
        {LOG "[NEW] " PRINTED_ORIGINAL " " PRINTED_REPLY, "198.51.100.9"},
        {"{" WRITTEN "," ENDS ",\"reply.ip.saddr.str\":\"198.51.100.9\"}", "198.51.100.9"},
        {"{" WRITTEN "," ENDS ",\"reply.ip.saddr.str\":\"203.0.113.10\"}", NULL},
        {"{" WRITTEN "," ENDS ",\"reply.ip.saddr.str\":\"0.0.0.0\"}", NULL},
        {"{" WRITTEN "," ENDS ",\"reply.ip.saddr.str\":7}", NULL},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++) {
        char text[ADDR_TEXT_MAX];
        const struct flow *flow =
            &flow_lines_parse(&lines, &FORMAT_ULOGD, RECORDS[i].line, strlen(RECORDS[i].line))
                 ->flow;
        assert_true(flow->has_pair);
        assert_int_equal(flow->has_alternate, RECORDS[i].alternate != NULL);
        if (flow->has_alternate) {
            addr_print(&flow->alternate, text);
            assert_string_equal(text, RECORDS[i].alternate);
        }
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(the_replys_source_is_the_other_address_of_the_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
