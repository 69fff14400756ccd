/* tests/unit/join/test_zeek.c -- Zeek's conn.log and dns.log
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define START "2026-05-22T10:00:01.123456Z"
#define SPAN START " to 2026-05-22T10:00:01.243456Z"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

#define MARKS "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
#define CONN                                                                                       \
    MARKS "#path\tconn\n#open\t2026-05-22-10-00-00\n"                                              \
          "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\t"        \
          "orig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\thistory\n"                  \
          "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\tcount\tcount\tstring\t"   \
          "bool\tbool\tstring"
/* Another order, and only what is needed. */
#define CONN_FEW MARKS "#fields\tid.resp_h\tid.orig_h\tconn_state\tproto\tts\tid.resp_p\tid.orig_p"
#define DNS                                                                                        \
    MARKS "#path\tdns\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\trtt\t"      \
          "query\tqtype\trcode\tTC\tanswers\tTTLs\trejected"
#define SSL MARKS "#path\tssl\n#fields\tts\tid.orig_h\tid.resp_h\tserver_name"

#define TS "1779444001.123456\t"
#define ENDS "192.0.2.7\t40112\t198.51.100.9\t443\t"
#define ASKED "192.0.2.7\t40112\t203.0.113.53\t53\tudp\t0.002\t"
#define ANSWERED "2026-05-22T10:00:01.125456Z"

struct line {
    const char *header;
    const char *line;
    const char *is;
};

static const struct line TSV[] = {
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t534\t412\tSF\tT\tF\tShADad",
     "zeek tcp " PAIR " unknown egress start " SPAN " 946 bytes"},
    {CONN, TS "C1\t" ENDS "tcp\t-\t-\t-\tS0\tF\tF\tS",
     "zeek tcp " PAIR " unknown unknown start " START},
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t5\t-\tREJ\tF\tT\tSr",
     "zeek tcp " PAIR " unknown ingress start " SPAN " 5 bytes"},
    /* Taken up in the middle. */
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t0\t0\tOTH\tT\tT\tC",
     "zeek tcp " PAIR " unknown egress " SPAN " 0 bytes"},
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t0\t0\tSF\tT\tT\t^hADad",
     "zeek tcp " PAIR " unknown egress " SPAN " 0 bytes"},
    {CONN, TS "C1\t" ENDS "udp\t0.12\t38\t89\tSF\t-\t-\tDd",
     "zeek udp " PAIR " unknown unknown start " SPAN " 127 bytes"},
    {CONN, TS "C1\t" ENDS "udp\t0.12\t38\t89\tSHR\t-\t-\td",
     "zeek udp " PAIR " unknown unknown " SPAN " 127 bytes"},
    /* The ports of ICMP are type and code. */
    {CONN, TS "C1\t192.0.2.7\t8\t198.51.100.9\t0\ticmp\t-\t-\t-\tOTH\t-\t-\t-",
     "zeek icmp 192.0.2.7 > 198.51.100.9 unknown unknown " START},
    {CONN, TS "C1\t2001:db8::1\t133\t2001:db8::2\t134\ticmp\t-\t-\t-\tOTH\t-\t-\t-",
     "zeek ipv6-icmp 2001:db8::1 > 2001:db8::2 unknown unknown " START},
    {CONN_FEW, "198.51.100.9\t192.0.2.7\tS1\ttcp\t1779444001.123456\t443\t40112",
     "zeek tcp " PAIR " unknown unknown start " START},
    {CONN_FEW, "198.51.100.9\t192.0.2.7\tOTH\ttcp\t1779444001.123456\t443\t40112",
     "zeek tcp " PAIR " unknown unknown " START},
    /* Nothing can be asked. */
    {CONN, "XXXXXXXXXX.XXXXXX\tC1\t" ENDS "tcp\t0.12\t-\t-\tS0\tF\tF\tS",
     "zeek tcp " PAIR " unknown unknown start never unjoinable no-time"},
    {CONN, "-\tC1\t" ENDS "tcp\t0.12\t-\t-\tS0\tF\tF\tS",
     "zeek tcp " PAIR " unknown unknown start never unjoinable no-time"},
    {CONN, TS "C1\t-\t40112\t198.51.100.9\t443\ttcp\t-\t-\t-\tS0\tF\tF\tS",
     "zeek tcp unknown unknown start " START " unjoinable no-address"},
    /* Bad. */
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t5", "bad: 9 columns, where #fields names 14"},
    {CONN, TS "C1\t" ENDS "tcp\t0.12\t5\t6\tSF\tT\tF\tS\tx",
     "bad: 15 columns, where #fields names 14"},
    {NULL, TS "C1\t" ENDS "tcp", "bad: no #fields line before it; name the columns (--columns)"},
    {NULL, "hello", "bad: not a zeek record"},
    /* Other logs. */
    {SSL, TS "192.0.2.7\t198.51.100.9\twww.example.com", "skip not-a-flow"},
    {CONN, "#close\t2026-05-22-11-00-00", "skip not-a-flow"},

    {DNS,
     TS ASKED "WWW.example.com\t1\t0\tF\tcdn.example.net,198.51.100.9,198.51.100.8\t300.000000,20."
              "500000,60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED
     " rcode 0 ttl 20: www.example.com > cdn.example.net = 198.51.100.8 198.51.100.9"},
    {DNS, TS ASKED "www.example.com\t28\t0\tF\t2001:db8::9\t60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0 ttl 60: www.example.com = 2001:db8::9"},
    {DNS,
     TS ASKED "www.example.com\t1\t0\tF\tRRSIG 13 example.com,198.51.100.9\t1.000000,60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0 ttl 60: www.example.com = 198.51.100.9"},
    {DNS, TS ASKED "a\\x2cb.example.com\t1\t0\tF\tc\\x2cd.example.com,198.51.100.9\t-\tF",
     "dns zeek 192.0.2.7 " ANSWERED
     " rcode 0 ttl 30: a,b.example.com > c,d.example.com = 198.51.100.9"},
    {DNS, TS ASKED "www.example.com\t1\t3\tF\t-\t-\tF", "dns zeek 192.0.2.7 " ANSWERED " rcode 3"},
    {DNS, TS ASKED "www.example.com\t1\t0\tF\t(empty)\t(empty)\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0"},
    {DNS, TS ASKED "www.example.com\t1\t0\tF\t-\t-\tT", "dns zeek 192.0.2.7 " ANSWERED " rcode 5"},
    {DNS, TS ASKED "(empty)\t2\t0\tF\ta.example.net\t60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0"},
    {DNS, TS ASKED "example.com\t15\t0\tF\tmx.example.com\t60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0"},
    {DNS, TS ASKED "example.com\t16\t0\tF\t198.51.100.9\t60.000000\tF",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0"},
    /* No answer came; nobody's resolver; nonsense. */
    {DNS, TS ASKED "www.example.com\t1\t-\tF\t-\t-\tF", "skip l7"},
    {DNS, TS "192.0.2.7\t5353\t224.0.0.251\t5353\tudp\t-\tx.local\t1\t0\tF\t192.0.2.9\t60.0\tF",
     "skip l7"},
    {DNS, TS ASKED "a..example.com\t1\t0\tF\t-\t-\tF",
     "bad: a DNS response: the asked name is no domain name"},
    {DNS, "XXXXXXXXXX.XXXXXX\t" ASKED "www.example.com\t1\t0\tF\t-\t-\tF",
     "bad: a DNS response: ts is no time"},
    {DNS, TS "x\t40112\t203.0.113.53\t53\tudp\t-\twww.example.com\t1\t0\tF\t-\t-\tF",
     "bad: a DNS response: id.orig_h is no IP address"},
};

#define JSON_ENDS                                                                                  \
    "\"id.orig_h\":\"192.0.2.7\",\"id.orig_p\":40112,\"id.resp_h\":\"198.51.100.9\","              \
    "\"id.resp_p\":443"
#define JSON_ASKED                                                                                 \
    "\"ts\":1779444001.123456,\"id.orig_h\":\"192.0.2.7\",\"id.orig_p\":40112,\"id.resp_h\":"      \
    "\"203.0.113.53\",\"id.resp_p\":53,\"proto\":\"udp\",\"rtt\":2e-3"

static const struct line JSON[] = {
    {NULL,
     "{\"ts\":1779444001.123456,\"uid\":\"C1\"," JSON_ENDS ",\"proto\":\"tcp\",\"duration\":0.12,"
     "\"orig_bytes\":534,\"resp_bytes\":412,\"conn_state\":\"SF\",\"local_orig\":true,"
     "\"local_resp\":false,\"history\":\"ShADad\",\"tunnel_parents\":[]}",
     "zeek tcp " PAIR " unknown egress start " SPAN " 946 bytes"},
    {NULL,
     "{\"ts\":\"2026-05-22T10:00:01.123456Z\"," JSON_ENDS
     ",\"proto\":\"tcp\",\"conn_state\":\"OTH\",\"history\":\"C\"}",
     "zeek tcp " PAIR " unknown unknown " START},
    {NULL,
     "{\"ts\":1779444001123," JSON_ENDS ",\"proto\":\"tcp\",\"_path\":\"conn\",\"duration\":12e-2}",
     "zeek tcp " PAIR
     " unknown unknown 2026-05-22T10:00:01.123000Z to 2026-05-22T10:00:01.243000Z"},
    {NULL, "{\"ts\":1e300," JSON_ENDS ",\"conn_state\":\"S0\",\"duration\":1e300}",
     "zeek ? 192.0.2.7 > 198.51.100.9 unknown unknown start never unjoinable no-time"},
    {NULL, "{\"ts\":1779444001.5," JSON_ENDS ",\"conn_state\":\"S0\",\"duration\":1e300}",
     "zeek ? 192.0.2.7 > 198.51.100.9 unknown unknown start 2026-05-22T10:00:01.500000Z"},
    {NULL, "{\"ts\":1779444001.5," JSON_ENDS ",\"version\":\"TLSv12\",\"server_name\":\"x\"}",
     "skip not-a-flow"},
    {NULL, "{\"ts\":1779444001.5,\"_path\":\"stats\",\"mem\":5}", "skip not-a-flow"},
    {NULL,
     "{" JSON_ASKED ",\"query\":\"www.example.com\",\"qtype\":1,\"rcode\":0,\"rejected\":false,"
     "\"answers\":[\"cdn.example.net\",\"198.51.100.9\"],\"TTLs\":[300.0,20.0]}",
     "dns zeek 192.0.2.7 " ANSWERED
     " rcode 0 ttl 20: www.example.com > cdn.example.net = 198.51.100.9"},
    {NULL,
     "{" JSON_ASKED ",\"query\":\"www.example.com\",\"qtype\":28,\"rcode\":3,\"rejected\":false}",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 3"},
    {NULL, "{" JSON_ASKED ",\"query\":\"www.example.com\",\"qtype\":1,\"rejected\":false}",
     "skip l7"},
    {NULL,
     "{" JSON_ASKED ",\"query\":\"www.example.com\",\"rcode\":0,\"answers\":[7],\"TTLs\":\"x\"}",
     "dns zeek 192.0.2.7 " ANSWERED " rcode 0"},
    {NULL, "{\"ts\":1779444001.5}", "bad: not a zeek record"},
    {NULL, "{\"id.orig_h\":\"192.0.2.7\"}", "bad: not a zeek record"},
    {NULL, "{\"ts\":1779444001.5,", "bad: not valid JSON at byte 20: a key was expected"},
};

static void read_lines(const struct line *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct flow_lines lines;
        flow_lines_init(&lines, NULL, 0);
        if (table[i].header != NULL) {
            flow_lines_header(&lines, &FORMAT_ZEEK, table[i].header);
        }
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_ZEEK, table[i].line, strlen(table[i].line));
        assert_string_equal(flow_lines_text(record), table[i].is);
        flow_lines_fini(&lines);
    }
}

static void lines_are_read_by_the_names_of_their_columns(void **state)
{
    (void)state;
    read_lines(TSV, sizeof(TSV) / sizeof(TSV[0]));
}

static void json_is_read_by_the_same_names(void **state)
{
    (void)state;
    read_lines(JSON, sizeof(JSON) / sizeof(JSON[0]));
}

static void header_lines_say_how_the_log_is_written(void **state)
{
    static const char HEADER[] = "#separator \\x7c\n#set_separator|;\n#empty_field|EMPTY\n"
                                 "#unset_field|NONE\n#fields|ts|id.orig_h|query|rcode|answers|TTLs";
    static const char *const ANSWERS[][2] = {
        {"1779444001.5|192.0.2.7|example.com|0|198.51.100.9;198.51.100.8|5.0;6.0",
         "dns zeek 192.0.2.7 2026-05-22T10:00:01.500000Z rcode 0 ttl 5: example.com = 198.51.100.8 "
         "198.51.100.9"},
        {"1779444001.5|192.0.2.7|example.com|NONE|EMPTY|EMPTY", "skip l7"},
        {"1779444001.5|192.0.2.7|example.com|0|EMPTY|EMPTY",
         "dns zeek 192.0.2.7 2026-05-22T10:00:01.500000Z rcode 0"},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    flow_lines_header(&lines, &FORMAT_ZEEK, HEADER);
    for (size_t i = 0; i < 3; i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_ZEEK, ANSWERS[i][0], strlen(ANSWERS[i][0]));
        assert_string_equal(flow_lines_text(record), ANSWERS[i][1]);
    }
    flow_lines_fini(&lines);
}

static void columns_can_be_named_where_no_header_does(void **state)
{
    static const struct parser_options OPTIONS = {
        .columns = "ts id.orig_h id.orig_p id.resp_h id.resp_p proto conn_state duration"};
    static const char LINE[] = TS ENDS "tcp\tS0\t-";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, &OPTIONS, 0);
    assert_string_equal(
        flow_lines_text(flow_lines_parse(&lines, &FORMAT_ZEEK, LINE, sizeof(LINE) - 1)),
        "zeek tcp " PAIR " unknown unknown start " START);
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_by_the_names_of_their_columns),
        cmocka_unit_test(json_is_read_by_the_same_names),
        cmocka_unit_test(header_lines_say_how_the_log_is_written),
        cmocka_unit_test(columns_can_be_named_where_no_header_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
