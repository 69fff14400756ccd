/* tests/unit/join/test_suricata.c -- Suricata's EVE events
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

/* Written half a minute after the flow began, in another zone. */
#define HEAD(EVENT)                                                                                \
    "\"timestamp\":\"2026-05-22T06:00:31.5-0400\",\"flow_id\":1828507008887644,"                   \
    "\"event_type\":\"" EVENT "\""
#define WRITTEN "2026-05-22T10:00:31.500000Z"
#define ENDS                                                                                       \
    "\"src_ip\":\"192.0.2.7\",\"src_port\":40112,\"dest_ip\":\"198.51.100.9\",\"dest_port\":443,"  \
    "\"proto\":\"TCP\""
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"
#define TIMES                                                                                      \
    "\"start\":\"2026-05-22T06:00:01.123456-0400\",\"end\":\"2026-05-22T06:00:04.123456-0400\""
#define AT "2026-05-22T10:00:01.123456Z to 2026-05-22T10:00:04.123456Z"
#define START "2026-05-22T10:00:01.123456Z"

/* A DNS event about the packet from the server, and one about the flow to it. */
#define FROM_SERVER                                                                                \
    HEAD("dns")                                                                                    \
    ",\"host\":\"s1\",\"src_ip\":\"203.0.113.53\",\"src_port\":53,\"dest_ip\":\"192.0.2.7\","      \
    "\"dest_port\":40112,\"proto\":\"UDP\""
#define TO_SERVER                                                                                  \
    HEAD("dns")                                                                                    \
    ",\"src_ip\":\"192.0.2.7\",\"src_port\":40112,\"dest_ip\":\"203.0.113.53\",\"dest_port\":53,"  \
    "\"proto\":\"UDP\""
#define DNS "dns suricata 192.0.2.7 " WRITTEN " rcode "

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* Flows. */
    {"{" HEAD("flow") "," ENDS ",\"flow\":{\"bytes_toserver\":1000,\"bytes_toclient\":120," TIMES
                      ",\"state\":\"closed\"},\"tcp\":{\"tcp_flags\":\"1b\",\"tcp_flags_ts\":"
                      "\"1b\",\"syn\":true}}",
     "suricata tcp " PAIR " unknown unknown start " AT " 1120 bytes"},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES "},\"tcp\":{\"syn\":true}}",
     "suricata tcp " PAIR " unknown unknown start " AT},
    /* Taken up in the middle: only the server's SYN, or none. */
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES
                      "},\"tcp\":{\"syn\":true,\"tcp_flags_ts\":\"18\"}}",
     "suricata tcp " PAIR " unknown unknown " AT},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES
                      "},\"tcp\":{\"syn\":true,\"tcp_flags_ts\":\"14\"}}",
     "suricata tcp " PAIR " unknown unknown " AT},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES "}}",
     "suricata tcp " PAIR " unknown unknown " AT},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES ",\"action\":\"drop\"}}",
     "suricata tcp " PAIR " denied unknown " AT},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{" TIMES ",\"action\":\"pass\"}}",
     "suricata tcp " PAIR " allowed unknown " AT},
    {"{" HEAD("flow") ",\"src_ip\":\"2001:0db8:0000:0000:0000:0000:0000:0001\",\"src_port\":546,"
                      "\"dest_ip\":\"2001:0db8:0000:0000:0000:0000:0001:0002\",\"dest_port\":547,"
                      "\"proto\":\"UDP\",\"flow\":{\"start\":\"2026-05-22T10:00:01.123456+0000\"}}",
     "suricata udp 2001:db8::1:546 > 2001:db8::1:2:547 unknown unknown start " START},
    {"{" HEAD("flow") ",\"src_ip\":\"192.0.2.7\",\"dest_ip\":\"198.51.100.9\",\"proto\":"
                      "\"IPv6-ICMP\",\"icmp_type\":8,\"flow\":{" TIMES "}}",
     "suricata ipv6-icmp 192.0.2.7 > 198.51.100.9 unknown unknown start " AT},
    {"{" HEAD("flow") "," ENDS "}",
     "suricata tcp " PAIR " unknown unknown never unjoinable no-time"},
    {"{" HEAD("flow") "," ENDS ",\"flow\":{\"start\":\"yesterday\"}}",
     "suricata tcp " PAIR " unknown unknown never unjoinable no-time"},
    {"{" HEAD("flow") ",\"flow\":{" TIMES "}}",
     "suricata ? unknown unknown start " AT " unjoinable no-address"},

    /* One direction of a flow. */
    {"{" HEAD("netflow") "," ENDS ",\"netflow\":{\"pkts\":1,\"bytes\":60," TIMES
                         "},\"tcp\":{\"syn\":true}}",
     "suricata tcp " PAIR " unknown unknown start " AT " 60 bytes"},
    {"{" HEAD("netflow") "," ENDS ",\"netflow\":{" TIMES "},\"tcp\":{\"syn\":true,\"ack\":true}}",
     "suricata tcp " PAIR " unknown unknown " AT},
    {"{" HEAD("netflow") ",\"src_ip\":\"198.51.100.9\",\"src_port\":443,\"dest_ip\":\"192.0.2.7\","
                         "\"dest_port\":40112,\"proto\":\"TCP\",\"netflow\":{" TIMES "}}",
     "skip reply"},

    /* Other events. */
    {"{" HEAD("tls") "," ENDS ",\"tls\":{\"sni\":\"www.example.com\"}}", "skip not-a-flow"},
    {"{" HEAD("alert") "," ENDS ",\"flow\":{" TIMES "}}", "skip not-a-flow"},
    {"{\"timestamp\":\"2026-05-22T10:00:01Z\",\"event_type\":\"stats\",\"stats\":{\"uptime\":8}}",
     "skip not-a-flow"},
    {"{" TO_SERVER ",\"dns\":{\"type\":\"query\",\"rrname\":\"www.example.com\",\"rrtype\":\"A\"}}",
     "skip l7"},
    {"{" TO_SERVER ",\"dns\":{\"version\":3,\"type\":\"request\",\"queries\":[{\"rrname\":"
     "\"www.example.com\"}]}}",
     "skip l7"},

    /* Version 1: an event for each record. */
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"id\":1,\"rcode\":\"NOERROR\",\"rrname\":"
     "\"WWW.example.com\",\"rrtype\":\"A\",\"ttl\":299,\"rdata\":\"198.51.100.9\"}}",
     DNS "0 ttl 299: www.example.com = 198.51.100.9"},
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rcode\":\"NOERROR\",\"rrname\":"
     "\"www.example.com\",\"rrtype\":\"CNAME\",\"ttl\":9,\"rdata\":\"cdn.example.net\"}}",
     DNS "0"},
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rcode\":\"NXDOMAIN\",\"rrname\":"
     "\"www.example.com\"}}",
     DNS "3"},
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rcode\":\"BADVERS\",\"rrname\":"
     "\"www.example.com\",\"rrtype\":\"A\",\"rdata\":\"198.51.100.9\"}}",
     DNS "11"},
    /* No end at port 53: the ends of the packet. */
    {"{" HEAD("dns") ",\"src_ip\":\"203.0.113.53\",\"src_port\":5300,\"dest_ip\":\"192.0.2.7\","
                     "\"dest_port\":40112,\"proto\":\"UDP\",\"dns\":{\"type\":\"answer\","
                     "\"rrname\":\"example.com\",\"rrtype\":\"A\",\"ttl\":1,\"rdata\":"
                     "\"198.51.100.9\"}}",
     DNS "0 ttl 1: example.com = 198.51.100.9"},

    /* Version 2: all of them, and the ends of the flow. */
    {"{" TO_SERVER ",\"dns\":{\"version\":2,\"type\":\"answer\",\"flags\":\"8180\",\"rrname\":"
     "\"www.example.com\",\"rrtype\":\"A\",\"rcode\":\"NOERROR\",\"answers\":[{\"rrname\":"
     "\"www.example.com\",\"rrtype\":\"CNAME\",\"ttl\":300,\"rdata\":\"cdn.example.net\"},"
     "{\"rrname\":\"cdn.example.net\",\"rrtype\":\"A\",\"ttl\":10,\"rdata\":\"198.51.100.9\"},"
     "{\"rrname\":\"cdn.example.net\",\"rrtype\":\"AAAA\",\"ttl\":20,\"rdata\":\"2001:0db8:0000:"
     "0000:0000:0000:0000:0009\"},{\"rrname\":\"x\",\"rrtype\":\"SOA\",\"ttl\":1,\"soa\":{}},7],"
     "\"grouped\":{\"A\":[\"203.0.113.1\"]}}}",
     DNS "0 ttl 10: www.example.com > cdn.example.net = 198.51.100.9 2001:db8::9"},
    {"{" FROM_SERVER ",\"dns\":{\"version\":2,\"type\":\"answer\",\"rrname\":\"www.example.com\","
     "\"rcode\":\"NOERROR\",\"grouped\":{\"CNAME\":[\"cdn.example.net\"],\"A\":[\"198.51.100.9\","
     "\"198.51.100.8\"],\"AAAA\":[\"2001:db8::9\"]}}}",
     DNS "0 ttl 30: www.example.com > cdn.example.net = 198.51.100.8 198.51.100.9 2001:db8::9"},
    {"{" TO_SERVER ",\"dns\":{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\",\"answers\":["
     "{\"rrname\":\"www.example.com\",\"rrtype\":\"A\",\"ttl\":5,\"rdata\":\"198.51.100.9\"}]}}",
     DNS "0 ttl 5: www.example.com = 198.51.100.9"},
    {"{" TO_SERVER ",\"dns\":{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\"}}",
     "skip l7"},

    /* No end at port 53: the client began the flow. */
    {"{" HEAD(
         "dns") ",\"src_ip\":\"192.0.2.7\",\"src_port\":40112,\"dest_ip\":\"203.0.113.53\","
                "\"dest_port\":5300,\"proto\":\"UDP\",\"dns\":{\"version\":2,\"type\":"
                "\"answer\",\"rrname\":\"example.com\",\"grouped\":{\"A\":[\"198.51.100.9\"]}}}",
     DNS "0 ttl 30: example.com = 198.51.100.9"},

    /* Version 3. */
    {"{" TO_SERVER
     ",\"dns\":{\"version\":3,\"type\":\"response\",\"rcode\":\"NOERROR\",\"queries\":"
     "[{\"rrname\":\"www.example.com\",\"rrtype\":\"A\"}],\"answers\":[{\"rrname\":"
     "\"www.example.com\",\"rrtype\":\"A\",\"ttl\":5,\"rdata\":\"198.51.100.9\"}]}}",
     DNS "0 ttl 5: www.example.com = 198.51.100.9"},
    {"{" TO_SERVER
     ",\"dns\":{\"version\":3,\"type\":\"response\",\"rcode\":\"NXDOMAIN\",\"queries\":"
     "[{\"rrname\":\"www.example.com\",\"rrtype\":\"A\"}]}}",
     DNS "3"},
    /* No end at port 53: the ends of the packet. */
    {"{" HEAD("dns") ",\"src_ip\":\"203.0.113.53\",\"src_port\":5300,\"dest_ip\":\"192.0.2.7\","
                     "\"dest_port\":40112,\"proto\":\"UDP\",\"dns\":{\"version\":3,\"type\":"
                     "\"response\",\"queries\":[{\"rrname\":\"example.com\"}]}}",
     DNS "0"},

    /* Bad. */
    {"{" HEAD("dns") ",\"src_ip\":\"x\",\"dest_ip\":\"192.0.2.7\",\"dns\":{\"type\":\"answer\","
                     "\"rrname\":\"example.com\"}}",
     "bad: a DNS response: the source is no IP address"},
    {"{\"timestamp\":\"noon\",\"event_type\":\"dns\",\"src_ip\":\"203.0.113.53\",\"dest_ip\":"
     "\"192.0.2.7\",\"dns\":{\"type\":\"answer\",\"rrname\":\"example.com\"}}",
     "bad: a DNS response: a time is no RFC 3339 time"},
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rrname\":\"a..b\",\"rrtype\":\"A\"}}",
     "bad: a DNS response: the asked name is no domain name"},
    {"{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rrname\":\"example.com\",\"rrtype\":\"A\","
     "\"rdata\":\"x\"}}",
     "bad: a DNS response: an answered address is no IP address"},
    {"{\"event_type\":\"flow\"," ENDS "}", "bad: not a suricata record"},
    {"{" HEAD("flow") ",", "bad: not valid JSON at byte 90: a key was expected"},
    {"[]", "bad: not a suricata record"},
};

static void records_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_SURICATA, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void a_dns_response_names_the_sensor(void **state)
{
    static const char LINE[] = "{" FROM_SERVER ",\"dns\":{\"type\":\"answer\",\"rrname\":\"a.b\"}}";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_SURICATA, LINE, sizeof(LINE) - 1);
    assert_int_equal(record->parsed, PARSED_DNS);
    assert_int_equal(record->dns.sender.len, 2);
    assert_memory_equal(record->dns.sender.data, "s1", 2);
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(a_dns_response_names_the_sensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
