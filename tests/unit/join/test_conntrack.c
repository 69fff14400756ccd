/* tests/unit/join/test_conntrack.c -- events and lists of conntrack
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define AT "2026-05-22T10:00:01.123456Z"
#define STAMP "[1779444001.123456]\t"
#define ORIGINAL "src=192.0.2.7 dst=203.0.113.10 sport=40112 dport=443"
#define REPLY "src=203.0.113.10 dst=192.0.2.7 sport=443 dport=40112"
#define TUPLES ORIGINAL " " REPLY
#define PAIR "192.0.2.7:40112 > 203.0.113.10:443"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* Events. */
    {STAMP "    [NEW] tcp      6 120 SYN_SENT " ORIGINAL " [UNREPLIED] " REPLY,
     "conntrack tcp " PAIR " unknown unknown start " AT},
    {"[1779444001.123456]>    [NEW] tcp      6 120 SYN_SENT " ORIGINAL " [UNREPLIED] " REPLY,
     "conntrack tcp " PAIR " unknown unknown start " AT},
    {STAMP "    [NEW] ipv4     2 udp      17 30 " ORIGINAL " [UNREPLIED] " REPLY " mark=0 zone=5",
     "conntrack udp " PAIR " unknown unknown start " AT},
    {STAMP "    [NEW] icmp     1 30 src=192.0.2.7 dst=203.0.113.10 type=8 code=0 id=5 [UNREPLIED] "
           "src=203.0.113.10 dst=192.0.2.7 type=0 code=0 id=5",
     "conntrack icmp 192.0.2.7 > 203.0.113.10 unknown unknown start " AT},
    {STAMP "    [NEW] icmpv6   58 30 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=1 "
           "[UNREPLIED] src=2001:db8::2 dst=2001:db8::1 type=129 code=0 id=1",
     "conntrack ipv6-icmp 2001:db8::1 > 2001:db8::2 unknown unknown start " AT},
    {STAMP "    [NEW] tcp      6 120 SYN_SENT " TUPLES " [start=Fri May 22 10:00:01 2026]",
     "conntrack tcp " PAIR " unknown unknown start " AT},
    {STAMP " [UPDATE] tcp      6 60 SYN_RECV " TUPLES, "skip repeat"},
    {STAMP "[DESTROY] tcp      6 src=192.0.2.7 dst=203.0.113.10 sport=40112 dport=443 packets=7 "
           "bytes=2006 src=203.0.113.10 dst=192.0.2.7 sport=443 dport=40112 packets=7 bytes=4083 "
           "[ASSURED]",
     "conntrack tcp " PAIR " unknown unknown " AT " 6089 bytes"},
    {STAMP "[DESTROY] tcp      6 " TUPLES " [ASSURED] delta-time=60",
     "conntrack tcp " PAIR " unknown unknown start 2026-05-22T09:59:00.123457Z to " AT},
    {STAMP "[DESTROY] tcp      6 " TUPLES " delta-time=99999999999",
     "conntrack tcp " PAIR " unknown unknown " AT},
    {STAMP "[DESTROY] tcp      6 " TUPLES " [start=Fri May 22 09:50:00 2026] [stop=Fri May 22 "
           "10:00:01 2026]",
     "conntrack tcp " PAIR " unknown unknown start 2026-05-22T09:50:00.000000Z to " AT},
    {STAMP "[DESTROY] tcp      6 " TUPLES " [start=Fri Foo 22 09:50:00 2026]",
     "conntrack tcp " PAIR " unknown unknown " AT},
    {STAMP "[DESTROY] tcp      6 " TUPLES " [start=Fri May 22",
     "conntrack tcp " PAIR " unknown unknown " AT},
    /* Behind the head of a system log. */
    {"2026-05-22T10:00:01.123456Z n conntrack[77]:     [NEW] tcp      6 120 SYN_SENT " TUPLES,
     "conntrack tcp " PAIR " unknown unknown start " AT},

    /* Lists, and events without -o timestamp. */
    {"tcp      6 431999 ESTABLISHED " TUPLES " [ASSURED] mark=0 use=1",
     "conntrack tcp " PAIR " unknown unknown never unjoinable no-time"},
    {"ipv6     10 tcp      6 431999 ESTABLISHED src=2001:db8::1 dst=2001:db8::2 sport=1 dport=2 "
     "src=2001:db8::2 dst=2001:db8::1 sport=2 dport=1 [ASSURED] use=1",
     "conntrack tcp 2001:db8::1:1 > 2001:db8::2:2 unknown unknown never unjoinable no-time"},
    {"tcp      6 431999 ESTABLISHED " TUPLES " [ASSURED] [start=Fri May 22 09:50:00 2026] use=1",
     "conntrack tcp " PAIR " unknown unknown start 2026-05-22T09:50:00.000000Z"},
    {"    [NEW] tcp      6 120 SYN_SENT " TUPLES,
     "conntrack tcp " PAIR " unknown unknown start never unjoinable no-time"},
    {"[99999999999999.1]\t    [NEW] tcp      6 120 SYN_SENT " TUPLES,
     "conntrack tcp " PAIR " unknown unknown start never unjoinable no-time"},

    /* Nonsense. */
    {STAMP "    [NEW] tcp      6 120 src=192.0.2 dst=203.0.113.10 sport=1 dport=2 src=x dst=y",
     "conntrack tcp unknown unknown start " AT " unjoinable bad-address"},
    {STAMP "    [NEW] tcp      6 120 src=192.0.2.7 dst=203.0.113.10 sport=1 dport=99999 " REPLY,
     "conntrack tcp 192.0.2.7 > 203.0.113.10 unknown unknown start " AT},
    {STAMP "    [NEW] tcp      6 120 SYN_SENT " ORIGINAL, "bad: not a conntrack record"},
    {STAMP "    [NEW] tcp      x 120 SYN_SENT " TUPLES, "bad: not a conntrack record"},
    {STAMP "    [OTHER] tcp      6 120 SYN_SENT " TUPLES, "bad: not a conntrack record"},
    {"conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.",
     "bad: not a conntrack record"},
    {"[", "bad: not a conntrack record"},
    {"", "bad: not a conntrack record"},
};

static void lines_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_CONNTRACK, LINES[i].line, strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void the_replys_source_is_the_other_address_of_the_destination(void **state)
{
    static const struct {
        const char *reply;
        const char *alternate;
    } REPLIES[] = {
        /* A service's address, and the backend. */
        {"src=198.51.100.9 dst=192.0.2.7 sport=8443 dport=40112", "198.51.100.9"},
        /* Masquerading changes only where replies go to. */
        {"src=203.0.113.10 dst=192.0.2.254 sport=443 dport=61284", NULL},
        {"src=x dst=192.0.2.7 sport=443 dport=40112", NULL},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(REPLIES) / sizeof(REPLIES[0]); i++) {
        char line[512] = STAMP "    [NEW] tcp      6 120 SYN_SENT " ORIGINAL " [UNREPLIED] ";
        char text[ADDR_TEXT_MAX];
        strcat(line, REPLIES[i].reply);
        const struct flow *flow =
            &flow_lines_parse(&lines, &FORMAT_CONNTRACK, line, strlen(line))->flow;
        assert_true(flow->has_pair);
        assert_int_equal(flow->has_alternate, REPLIES[i].alternate != NULL);
        if (flow->has_alternate) {
            addr_print(&flow->alternate, text);
            assert_string_equal(text, REPLIES[i].alternate);
        }
    }
    flow_lines_fini(&lines);
}

static void a_wrappers_time_is_that_of_the_event(void **state)
{
    static const char LINE[] =
        "{\"MESSAGE\":\"    [NEW] tcp      6 120 SYN_SENT " TUPLES "\",\"_HOSTNAME\":\"n\","
        "\"__REALTIME_TIMESTAMP\":\"1779444001123456\"}";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_JOURNAL, LINE, sizeof(LINE) - 1);
    assert_string_equal(flow_lines_text(record),
                        "conntrack tcp " PAIR " unknown unknown start " AT);
    assert_string_equal(flow_lines_who(record), "on n > -");
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(the_replys_source_is_the_other_address_of_the_destination),
        cmocka_unit_test(a_wrappers_time_is_that_of_the_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
