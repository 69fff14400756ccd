/* tests/unit/join/test_attribution_json.c -- the "attribution" object, octet by octet
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/attribute.h"

static struct candidate candidates[2];

static struct name name_of(const char *text)
{
    struct name name;
    assert_int_equal(name_from_text(&name, text, strlen(text)), 0);
    return name;
}

static void expect(const struct attribution *attribution, const char *json)
{
    struct buf buf = {0};
    attribution_json(&buf, attribution);
    assert_int_equal(buf.err, 0);
    if (buf.len != strlen(json) || memcmp(buf.data, json, buf.len) != 0) {
        fail_msg("got  %.*s\nwant %s", (int)buf.len, buf.data, json);
    }
    buf_fini(&buf);
}

static void a_resolved_flow(void **state)
{
    (void)state;
    int64_t at_us;
    assert_true(time_parse(&at_us, "2026-05-22T10:00:01.068Z", 24, 0));
    candidates[0] = (struct candidate){.name = name_of("api.telegram.org"),
                                       .asked = name_of("api.telegram.org.ns.svc.cluster.local"),
                                       .chain_count = 2,
                                       .live = true,
                                       .via = VIA_CLIENT,
                                       .answer_us = at_us,
                                       .age_us = 55999,
                                       .ttl_s = 60,
                                       .count = 3};
    candidates[0].chain[0] = name_of("api.telegram.org");
    candidates[0].chain[1] = name_of("edge.example.net");
    candidates[1] = (struct candidate){.name = name_of("."),
                                       .asked = name_of("."),
                                       .via = VIA_LATE,
                                       .source = ANSWER_FROM_HUBBLE,
                                       .answer_us = at_us,
                                       .age_us = -1500999,
                                       .ttl_s = 4294967295,
                                       .count = 1};
    struct attribution attribution = {.verdict = RESOLVED,
                                      .ambiguous = true,
                                      .left_out = 4,
                                      .candidate_count = 2,
                                      .candidates = candidates};
    expect(&attribution,
           "{\"verdict\":\"resolved\",\"owner_known\":false,\"coverage\":\"known\","
           "\"ambiguous\":true,\"age_ms\":55,\"candidates\":["
           "{\"name\":\"api.telegram.org\",\"asked\":\"api.telegram.org.ns.svc.cluster.local\","
           "\"live\":true,\"last\":\"2026-05-22T10:00:01.068000Z\",\"age_ms\":55,\"ttl_s\":60,"
           "\"count\":3,\"chain\":[\"api.telegram.org\",\"edge.example.net\"],\"via\":\"client\"},"
           "{\"name\":\".\",\"asked\":\".\",\"live\":false,"
           "\"last\":\"2026-05-22T10:00:01.068000Z\",\"age_ms\":-1500,\"ttl_s\":4294967295,"
           "\"count\":1,\"chain\":[],\"via\":\"late\",\"source\":\"hubble\"}],\"left_out\":4}");
}

static void a_shared_name_tells_how_many_clients_got_it(void **state)
{
    (void)state;
    candidates[0] = (struct candidate){.name = name_of("a\\034b.example.com"),
                                       .asked = name_of("a\\034b.example.com"),
                                       .via = VIA_SHARED,
                                       .answer_us = TIME_MIN_US,
                                       .count = 9,
                                       .clients = 7};
    struct attribution attribution = {
        .verdict = SHARED, .owner_known = true, .candidate_count = 1, .candidates = candidates};
    /* A quote in a name is escaped as in zone files, and then as in JSON. */
    expect(&attribution,
           "{\"verdict\":\"shared\",\"owner_known\":true,\"coverage\":\"known\","
           "\"ambiguous\":false,\"age_ms\":0,\"candidates\":["
           "{\"name\":\"a\\\\\\\"b.example.com\",\"asked\":\"a\\\\\\\"b.example.com\","
           "\"live\":false,\"last\":\"2000-01-01T00:00:00.000000Z\",\"age_ms\":0,\"ttl_s\":0,"
           "\"count\":9,\"clients\":7,\"chain\":[],\"via\":\"shared\"}],\"left_out\":0}");
}

static void verdicts_without_a_name(void **state)
{
    (void)state;
    static const struct {
        struct attribution attribution;
        const char *json;
    } CASES[] = {
        {{.verdict = BLIND, .reason = "gap"},
         "{\"verdict\":\"blind\",\"reason\":\"gap\",\"owner_known\":false,\"coverage\":\"known\","
         "\"ambiguous\":false,\"candidates\":[],\"left_out\":0}"},
        {{.verdict = IP_ONLY, .coverage_assumed = true},
         "{\"verdict\":\"ip-only\",\"owner_known\":false,\"coverage\":\"assumed\","
         "\"ambiguous\":false,\"candidates\":[],\"left_out\":0}"},
        {{.verdict = UNJOINABLE, .reason = "multicast"},
         "{\"verdict\":\"unjoinable\",\"reason\":\"multicast\",\"owner_known\":false,"
         "\"coverage\":\"known\",\"ambiguous\":false,\"candidates\":[],\"left_out\":0}"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        expect(&CASES[i].attribution, CASES[i].json);
    }
}

static void only_own_names_become_the_domain(void **state)
{
    (void)state;
    static const bool NAMED[VERDICT_COUNT] = {[RESOLVED] = true, [STALE] = true, [INTERNAL] = true};
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        struct attribution attribution = {
            .verdict = (enum verdict)verdict, .candidate_count = 1, .candidates = candidates};
        assert_true((attribution_domain(&attribution) != NULL) == NAMED[verdict]);
        attribution.candidate_count = 0;
        assert_null(attribution_domain(&attribution));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resolved_flow),
        cmocka_unit_test(a_shared_name_tells_how_many_clients_got_it),
        cmocka_unit_test(verdicts_without_a_name),
        cmocka_unit_test(only_own_names_become_the_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
