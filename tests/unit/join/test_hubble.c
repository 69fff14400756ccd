/* tests/unit/join/test_hubble.c -- Cilium Hubble records
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

#define TIME "\"time\":\"2026-05-22T10:00:01.123456789Z\""
#define AT "2026-05-22T10:00:01.123456Z"
#define IP                                                                                         \
    "\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"198.51.100.9\",\"ipVersion\":\"IPv4\"}"
#define SYN                                                                                        \
    "\"l4\":{\"TCP\":{\"source_port\":40112,\"destination_port\":443,\"flags\":{\"SYN\":true}}}"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"

/* A DNS response: the server is the source. */
#define SERVER_IP "\"IP\":{\"source\":\"203.0.113.53\",\"destination\":\"192.0.2.7\"}"
#define SERVER_L4 "\"l4\":{\"UDP\":{\"source_port\":53,\"destination_port\":40112}}"
#define RESPONSE(DNS)                                                                              \
    "{\"flow\":{" TIME "," SERVER_IP "," SERVER_L4                                                 \
    ",\"Type\":\"L7\",\"node_name\":\"n\",\"l7\":{\"type\":\"RESPONSE\",\"latency_ns\":\"123\","   \
    "\"dns\":{" DNS "}},\"is_reply\":true,\"traffic_direction\":\"INGRESS\"}}"
#define PROXY "\"observation_source\":\"proxy\""

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    /* The forms a flow comes in. */
    {"{\"flow\":{" TIME ",\"verdict\":\"FORWARDED\"," IP "," SYN
     ",\"traffic_direction\":\"EGRESS\",\"is_reply\":false},\"node_name\":\"n\"," TIME "}",
     "hubble tcp " PAIR " allowed egress start " AT},
    {"{ \"time\" : \"2026-05-22T10:00:01.123456789Z\", \"flow\" : {" TIME ", " IP ", " SYN " } }",
     "hubble tcp " PAIR " unknown unknown start " AT},
    {"{" IP "," SYN ",\"Type\":\"L3_L4\",\"node_name\":\"n\",\"verdict\":\"DROPPED\"," TIME
     ",\"timestamp\":\"2020-11-18T06:00:54.49Z\",\"traffic_direction\":\"EGRESS\"}",
     "hubble tcp " PAIR " denied egress start " AT},
    {"{\"flow\":{" IP "," SYN "}," TIME "}", "hubble tcp " PAIR " unknown unknown start " AT},

    /* Layer 4: zero is absent, a reply to a SYN shows no start, ICMP has no ports. */
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":5,\"destination_port\":6,"
     "\"flags\":{\"SYN\":true,\"ACK\":true}}}}}",
     "hubble tcp 192.0.2.7:5 > 198.51.100.9:6 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"destination_port\":6}}}}",
     "hubble tcp 192.0.2.7:0 > 198.51.100.9:6 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"UDP\":{\"source_port\":53,\"destination_port\":54}}}}",
     "hubble udp 192.0.2.7:53 > 198.51.100.9:54 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"SCTP\":{\"source_port\":1,\"destination_port\":2}}}}",
     "hubble sctp 192.0.2.7:1 > 198.51.100.9:2 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"ICMPv4\":{\"type\":8}}}}",
     "hubble icmp 192.0.2.7 > 198.51.100.9 unknown unknown " AT},
    {"{\"flow\":{" TIME ",\"IP\":{\"source\":\"2001:db8::1\",\"destination\":\"2001:db8::2\"},"
     "\"l4\":{\"ICMPv6\":{}}}}",
     "hubble ipv6-icmp 2001:db8::1 > 2001:db8::2 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP "}}", "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown " AT},

    /* Verdicts. */
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"ERROR\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 denied unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"AUDIT\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 logged unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"REDIRECTED\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 allowed unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"TRACED\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 allowed unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"TRANSLATED\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 allowed unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":\"VERDICT_UNKNOWN\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown " AT},
    {"{\"flow\":{" TIME "," IP ",\"verdict\":15}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown " AT},

    /* Left out. */
    {"{\"lost_events\":{\"source\":\"HUBBLE_RING_BUFFER\",\"num_events_lost\":\"7\"}}",
     "skip not-a-flow"},
    {"{\"node_status\":{\"state_change\":\"NODE_CONNECTED\"},\"node_name\":\"n\"}",
     "skip not-a-flow"},
    {"{\"agent_event\":{},\"node_name\":\"n\"," TIME "}", "skip not-a-flow"},
    {"{\"debug_event\":{}}", "skip not-a-flow"},
    {"{\"flow\":{" TIME "," IP ",\"Type\":\"L7\",\"l7\":{\"type\":\"REQUEST\"}}}", "skip l7"},
    {"{\"flow\":{" TIME "," IP ",\"l7\":{}}}", "skip l7"},
    {"{\"flow\":{" TIME "," IP ",\"is_reply\":true,\"traffic_direction\":\"INGRESS\"}}",
     "skip reply"},
    {"{\"flow\":{" TIME "," IP ",\"reply\":true}}", "skip reply"},
    {"{\"flow\":{" TIME "," IP ",\"traffic_direction\":\"INGRESS\"}}", "skip ingress"},

/* Retina does not always know replies. */
#define RETINA                                                                                     \
    "\"extensions\":{\"@type\":\"type.googleapis.com/utils.RetinaMetadata\",\"bytes\":66}"
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":443,\"destination_port\":40112,"
     "\"flags\":{\"ACK\":true}}},\"is_reply\":false,\"traffic_direction\":\"EGRESS\"," RETINA "}}",
     "skip reply"},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":5000,\"destination_port\":5001,"
     "\"flags\":{\"SYN\":true,\"ACK\":true}}},\"is_reply\":false," RETINA "}}",
     "skip reply"},
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":443,\"destination_port\":40112,"
     "\"flags\":{\"SYN\":true}}},\"is_reply\":false," RETINA "}}",
     "hubble tcp 192.0.2.7:443 > 198.51.100.9:40112 unknown unknown start " AT},
    {"{\"flow\":{" TIME "," IP "," SYN ",\"is_reply\":false," RETINA "}}",
     "hubble tcp " PAIR " unknown unknown start " AT},
    /* Cilium does. */
    {"{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":443,\"destination_port\":40112,"
     "\"flags\":{\"ACK\":true}}},\"is_reply\":false}}",
     "hubble tcp 192.0.2.7:443 > 198.51.100.9:40112 unknown unknown " AT},

    /* Another log's "flow". */
    {"{\"event_type\":\"flow\",\"flow\":{" TIME "," IP "}}", "bad: not a hubble record"},

    /* DNS responses: for the client, which is the destination. */
    {RESPONSE(
         "\"query\":\"WWW.example.com.\",\"ips\":[\"198.51.100.9\",\"2001:db8::9\"],\"ttl\":60,"
         "\"cnames\":[\"a.example.net.\",\"b.example.net.\"]," PROXY ",\"qtypes\":[\"A\"]"),
     "dns hubble 192.0.2.7 " AT " rcode 0 ttl 60: www.example.com > a.example.net > b.example.net"
     " = 198.51.100.9 2001:db8::9"},
    {RESPONSE("\"query\":\"example.com\",\"ips\":[\"198.51.100.9\"]," PROXY),
     "dns hubble 192.0.2.7 " AT " rcode 0 ttl 0: example.com = 198.51.100.9"},
    {RESPONSE("\"query\":\"example.com.\",\"rcode\":3," PROXY),
     "dns hubble 192.0.2.7 " AT " rcode 3"},
    {RESPONSE("\"query\":\"example.com.\",\"cnames\":[\"a.example.net.\"]," PROXY),
     "dns hubble 192.0.2.7 " AT " rcode 0"},
    /* Retina knows neither TTL nor who saw it. */
    {RESPONSE("\"query\":\"example.com.\",\"ips\":[\"198.51.100.9\"]"),
     "dns hubble 192.0.2.7 " AT " rcode 0 ttl 30: example.com = 198.51.100.9"},
    /* Turned round. */
    {"{" TIME "," IP
     ",\"l4\":{\"UDP\":{\"source_port\":5,\"destination_port\":53}},\"Type\":\"L7\","
     "\"reply\":true,\"l7\":{\"type\":\"RESPONSE\",\"dns\":{\"query\":\"example.com.\",\"ips\":["
     "\"203.0.113.80\"],\"ttl\":9," PROXY "}}}",
     "dns hubble 192.0.2.7 " AT " rcode 0 ttl 9: example.com = 203.0.113.80"},
    /* Not a client's response. */
    {RESPONSE("\"query\":\"example.com.\",\"observation_source\":\"agentpoller\""), "skip l7"},
    {RESPONSE(PROXY), "skip l7"},
    {"{\"flow\":{" TIME ",\"verdict\":\"DROPPED\"," SERVER_IP
     ",\"l7\":{\"type\":\"RESPONSE\",\"dns\":{\"query\":\"example.com.\"}}}}",
     "skip l7"},
    {"{\"flow\":{" TIME "," IP
     ",\"l7\":{\"type\":\"REQUEST\",\"dns\":{\"query\":\"example.com.\"}}}}",
     "skip l7"},
    /* No responses that can be used. */
    {RESPONSE("\"query\":\"a..example.com.\"," PROXY),
     "bad: a DNS response: the asked name is no domain name"},
    {RESPONSE("\"query\":\"example.com.\",\"cnames\":[7]," PROXY),
     "bad: a DNS response: the target of a CNAME is no domain name"},
    {RESPONSE("\"query\":\"example.com.\",\"ips\":[\"198.51.100\"]," PROXY),
     "bad: a DNS response: an answered address is no IP address"},
    {RESPONSE("\"query\":\"example.com.\",\"rcode\":\"NXDOMAIN\""),
     "bad: a DNS response: the rcode is no number"},
    {"{\"flow\":{" SERVER_IP
     ",\"l7\":{\"type\":\"RESPONSE\",\"dns\":{\"query\":\"example.com.\"}}}}",
     "bad: a DNS response without a time"},
    {"{\"flow\":{" TIME ",\"l7\":{\"type\":\"RESPONSE\",\"dns\":{\"query\":\"example.com.\"}}}}",
     "bad: a DNS response: no addresses"},

    /* Given out, but nothing can be asked. */
    {"{\"flow\":{" TIME ",\"verdict\":\"DROPPED\"}}",
     "hubble ? denied unknown " AT " unjoinable no-address"},
    {"{\"flow\":{" TIME ",\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"\"}}}",
     "hubble ? unknown unknown " AT " unjoinable no-address"},
    {"{\"flow\":{" TIME ",\"IP\":{\"source\":null,\"destination\":\"192.0.2.7\"}}}",
     "hubble ? unknown unknown " AT " unjoinable no-address"},
    {"{\"flow\":{" TIME ",\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"300.1.1.1\"}}}",
     "hubble ? unknown unknown " AT " unjoinable bad-address"},
    {"{\"flow\":{" IP "}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown never unjoinable no-time"},
    {"{\"flow\":{" IP ",\"time\":\"yesterday\"}}",
     "hubble ? 192.0.2.7 > 198.51.100.9 unknown unknown never unjoinable no-time"},

    /* Bad. */
    {"{\"flow\":{" TIME "," IP "}", "bad: not valid JSON at byte 126: ',' or '}' was expected"},
    {"{\"flow\":[]}", "bad: not a hubble record"},
    {"{\"MESSAGE\":\"x\"}", "bad: not a hubble record"},
    {"[]", "bad: not a hubble record"},
    {"flow", "bad: not a hubble record"},
};

static void records_are_read_skipped_or_refused_as_they_should_be(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    /* Twice, so that each is also read after a record of the other form. */
    for (size_t i = 0; i < 2 * sizeof(LINES) / sizeof(LINES[0]); i++) {
        size_t line = i / 2;
        lines.parser->bare = i % 2 == 0;
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_HUBBLE, LINES[line].line, strlen(LINES[line].line));
        assert_string_equal(flow_lines_text(record), LINES[line].is);
    }
    flow_lines_fini(&lines);
}

static void every_cut_of_a_record_is_bad(void **state)
{
    static const char LINE[] =
        "{\"flow\":{" TIME ",\"verdict\":\"FORWARDED\"," IP "," SYN "},\"node_name\":\"n\"}";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t len = 0; len < sizeof(LINE) - 1; len++) {
        assert_int_equal(flow_lines_parse(&lines, &FORMAT_HUBBLE, LINE, len)->parsed, PARSED_BAD);
    }
    assert_int_equal(flow_lines_parse(&lines, &FORMAT_HUBBLE, LINE, sizeof(LINE) - 1)->parsed,
                     PARSED_FLOW);
    flow_lines_fini(&lines);
}

static void assert_text(struct text text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void the_identity_of_both_ends_is_kept(void **state)
{
    static const char LINE[] =
        "{\"flow\":{" TIME "," IP ",\"source\":{\"cluster_name\":\"prod-1\",\"namespace\":\"shop\","
        "\"pod_name\":\"cart-\\u0031\",\"workloads\":[{\"name\":\"cart\",\"kind\":\"Deployment\"},"
        "{\"name\":\"other\"}]},\"destination\":{\"namespace\":\"x\",\"pod_name\":\"y\"},"
        "\"destination_service\":{\"name\":\"z\"},"
        "\"node_name\":\"prod-1/node-3\"},\"node_name\":\"node-4\"}";
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow *flow =
        &flow_lines_parse(&lines, &FORMAT_HUBBLE, LINE, sizeof(LINE) - 1)->flow;
    assert_text(flow->source_id.cluster, "prod-1");
    assert_text(flow->source_id.namespace, "shop");
    assert_text(flow->source_id.pod, "cart-1");
    assert_text(flow->source_id.workload, "cart");
    assert_text(flow->source_id.node, "prod-1/node-3");
    assert_int_equal(flow->source_id.end, FLOW_END_POD);
    assert_text(flow->destination_id.namespace, "x");
    assert_text(flow->destination_id.pod, "y");
    assert_text(flow->destination_id.service, "z");
    assert_int_equal(flow->destination_id.end, FLOW_END_POD);
    flow_lines_fini(&lines);
}

static void an_end_that_is_no_pod_is_told_by_its_labels(void **state)
{
    static const struct {
        const char *destination;
        enum flow_end end;
    } ENDS[] = {
        {"\"destination\":{\"labels\":[\"reserved:world\"]}", FLOW_END_NETWORK},
        {"\"destination\":{\"labels\":[\"a,]\\\"\", \"reserved:world-ipv4\"]}", FLOW_END_NETWORK},
        {"\"destination\":{\"labels\":[\"reserved:remote-node\",\"reserved:world\"]}",
         FLOW_END_NODE},
        {"\"destination\":{\"labels\":[\"reserved:host\"]}", FLOW_END_NODE},
        {"\"destination\":{\"labels\":[]}", FLOW_END_UNKNOWN},
        {"\"destination\":{\"labels\":[{\"x\":[1]},[],7,null]}", FLOW_END_UNKNOWN},
        {"\"destination\":{\"labels\":\"reserved:host\"}", FLOW_END_UNKNOWN},
        {"\"destination_service\":{\"name\":\"dns\",\"namespace\":\"x\"}", FLOW_END_SERVICE},
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++) {
        char line[512];
        int len =
            snprintf(line, sizeof(line), "{\"flow\":{" TIME "," IP ",%s}}", ENDS[i].destination);
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_HUBBLE, line, (size_t)len);
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_int_equal(record->flow.destination_id.end, ENDS[i].end);
    }
    flow_lines_fini(&lines);
}

static void nonsense_in_a_field_is_doubtful_but_given_out(void **state)
{
    static const char *const DOUBTFUL[] = {
        "{\"flow\":{" TIME ",\"IP\":{\"source\":\"10.0.0.256\",\"destination\":\"192.0.2.1\"}}}",
        "{\"flow\":{\"time\":\"2026-13-22T10:00:01Z\"," IP "}}",
        "{\"flow\":{" TIME "," IP ",\"l4\":{\"TCP\":{\"source_port\":65536}}}}",
        "{\"flow\":{" TIME "," IP ",\"l4\":{\"UDP\":{\"destination_port\":-1}}}}",
    };
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(DOUBTFUL) / sizeof(DOUBTFUL[0]); i++) {
        const struct flow_record *record =
            flow_lines_parse(&lines, &FORMAT_HUBBLE, DOUBTFUL[i], strlen(DOUBTFUL[i]));
        assert_int_equal(record->parsed, PARSED_FLOW);
        assert_non_null(record->doubtful);
    }
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_skipped_or_refused_as_they_should_be),
        cmocka_unit_test(every_cut_of_a_record_is_bad),
        cmocka_unit_test(the_identity_of_both_ends_is_kept),
        cmocka_unit_test(an_end_that_is_no_pod_is_told_by_its_labels),
        cmocka_unit_test(nonsense_in_a_field_is_doubtful_but_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
