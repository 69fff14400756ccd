/* tests/unit/api/test_doctor_flows.c -- do flow records and answers fit together?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor_flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define T (INT64_C(20500) * US_PER_DAY)

static struct candidate candidate;

/* A flow that is resolved by an answer of so long before. */
static void give(struct flow_facts *facts, const char *source, const char *name, int64_t age_us)
{
    struct flow flow = {.has_pair = true, .start_us = T, .source = fixture_addr(source)};
    struct attribution attribution = {
        .verdict = RESOLVED, .candidate_count = 1, .candidates = &candidate};
    candidate = (struct candidate){.via = age_us < 0 ? VIA_LATE : VIA_CLIENT, .age_us = age_us};
    assert_int_equal(name_from_text(&candidate.name, name, strlen(name)), 0);
    candidate.asked = candidate.name;
    flow_facts_add(facts, &flow, &attribution);
}

static void give_nameless(struct flow_facts *facts, const char *source, enum verdict verdict,
                          const char *reason)
{
    struct flow flow = {.has_pair = verdict != UNJOINABLE, .start_us = T};
    struct attribution attribution = {.verdict = verdict, .reason = reason};
    flow.source = fixture_addr(source);
    flow_facts_add(facts, &flow, &attribution);
}

/* "never-asked:note: evidence; ..." */
static void expect(const struct flow_facts *facts, const char *what, const char *expected)
{
    struct findings findings;
    char text[600] = "";
    assert_int_equal(findings_init(&findings), 0);
    for (size_t i = 0; i < FLOW_CHECK_COUNT; i++) {
        FLOW_CHECKS[i].run(facts, &findings);
    }
    for (size_t i = 0; i < findings.count; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "%s%s:%s: %s", i > 0 ? "; " : "",
                 findings.items[i].check, severity_name(findings.items[i].severity),
                 findings.items[i].evidence);
    }
    if (strcmp(text, expected) != 0) {
        fail_msg("%s: found '%s', expected '%s'", what, text, expected);
    }
    findings_fini(&findings);
}

static void flows_that_are_named_give_no_reason_to_speak(void **state)
{
    struct flow_facts facts;
    (void)state;
    assert_int_equal(flow_facts_init(&facts, 2 * US_PER_S), 0);
    for (int i = 0; i < 100; i++) {
        give(&facts, "192.0.2.7", "a.example", 55000);
    }
    give_nameless(&facts, "192.0.2.7", IP_ONLY, NULL);
    give(&facts, "192.0.2.7", "b.example", -1500000); /* late, within the skew */
    expect(&facts, "all well", "");
    flow_facts_fini(&facts);
}

/* An index in which 192.0.2.7 asked. */
static struct store *an_index(char dir[64], struct store_view **view)
{
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    for (int i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.example", i);
        assert_int_equal(
            fixture_put(store, "default", "192.0.2.7", T, 60, name, "", "198.51.100.9"), 0);
    }
    assert_int_equal(store_commit(store, T, NULL), 0);
    assert_int_equal(store_view_new(store, view), 0);
    return store;
}

static void sources_that_never_ask_are_named_the_busiest_first(void **state)
{
    char dir[64];
    struct flow_facts facts;
    struct store_view *view;
    (void)state;
    struct store *store = an_index(dir, &view);
    assert_int_equal(flow_facts_init(&facts, 2 * US_PER_S), 0);
    for (int i = 0; i < 96; i++) {
        give(&facts, "192.0.2.7", i < 48 ? "n1.example" : "n2.example", 55000);
    }
    give_nameless(&facts, "192.0.2.9", BLIND, "never-asked");
    give_nameless(&facts, "192.0.2.8", BLIND, "gap");
    give_nameless(&facts, "192.0.2.8", SHARED, NULL);
    give_nameless(&facts, "192.0.2.7", BLIND, "gap"); /* it asked, only not for this */
    facts.first_us = facts.last_us = 0;               /* leave the names alone */
    assert_int_equal(flow_facts_compare(&facts, view, "default"), 0);
    expect(&facts, "a few",
           "never-asked:note: 3 of 100 flows came from sources that never asked here: 192.0.2.8 "
           "(2), 192.0.2.9 (1)");
    for (int i = 10; i < 20; i++) {
        char source[24];
        snprintf(source, sizeof(source), "192.0.2.%d", i);
        give_nameless(&facts, source, BLIND, "never-asked");
    }
    facts.first_us = facts.last_us = 0;
    assert_int_equal(flow_facts_compare(&facts, view, "default"), 0);
    expect(&facts, "many",
           "never-asked:warning: 13 of 110 flows came from sources that never asked here: "
           "192.0.2.8 (2), 192.0.2.9 (1), 192.0.2.10 (1), 192.0.2.11 (1), 192.0.2.12 (1) and 7 "
           "more");
    flow_facts_fini(&facts);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

static void clocks_that_differ_are_found_by_answers_after_their_flows(void **state)
{
    struct flow_facts facts;
    (void)state;
    assert_int_equal(flow_facts_init(&facts, 2 * US_PER_S), 0);
    for (int i = 0; i < 90; i++) {
        give(&facts, "192.0.2.7", "a.example", 55000);
    }
    for (int i = 0; i < 9; i++) {
        give(&facts, "192.0.2.7", "a.example", -20 * US_PER_S - i);
    }
    expect(&facts, "a few", "");
    give(&facts, "192.0.2.7", "a.example", -30 * US_PER_S);
    expect(&facts, "one in ten",
           "flow-clock:warning: 10 of 100 named flows got their answer only after they began, "
           "half of them by more than 20000 ms");
    for (int i = 0; i < 80; i++) {
        give(&facts, "192.0.2.7", "a.example", -30 * US_PER_S);
    }
    expect(&facts, "half",
           "flow-clock:error: 90 of 180 named flows got their answer only after they began, half "
           "of them by more than 30000 ms");
    flow_facts_fini(&facts);
}

static void aggregated_and_translated_flows_are_told_of(void **state)
{
    struct flow_facts facts;
    (void)state;
    assert_int_equal(flow_facts_init(&facts, 2 * US_PER_S), 0);
    for (int i = 0; i < 70; i++) {
        give(&facts, "192.0.2.7", "a.example", 55000);
    }
    for (int i = 0; i < 10; i++) {
        give_nameless(&facts, "192.0.2.7", UNJOINABLE, "no-address");
        give_nameless(&facts, "192.0.2.7", SHARED, NULL);
        give_nameless(&facts, "192.0.2.1", BLIND, "node-source");
    }
    expect(&facts, "both",
           "addresses:warning: 10 of 100 flows lack an address; translated:warning: 20 of 100 "
           "flows went to addresses that only others were answered, or come from nodes");
    flow_facts_fini(&facts);
}

static void names_nobody_connects_to_are_counted(void **state)
{
    char dir[64];
    struct flow_facts facts;
    struct store_view *view;
    (void)state;
    struct store *store = an_index(dir, &view);
    assert_int_equal(flow_facts_init(&facts, 2 * US_PER_S), 0);
    for (int i = 0; i < 30; i++) {
        give(&facts, "192.0.2.7", i < 10 ? "n1.example" : "n2.example", 55000);
    }
    assert_int_equal(flow_facts_compare(&facts, view, "default"), 0);
    assert_int_equal(facts.asked, 30);
    assert_int_equal(facts.connected, 2);
    expect(&facts, "28 of 30",
           "unconnected:note: no flow went to 28 of 30 names that were answered");
    flow_facts_fini(&facts);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_that_are_named_give_no_reason_to_speak),
        cmocka_unit_test(sources_that_never_ask_are_named_the_busiest_first),
        cmocka_unit_test(clocks_that_differ_are_found_by_answers_after_their_flows),
        cmocka_unit_test(aggregated_and_translated_flows_are_told_of),
        cmocka_unit_test(names_nobody_connects_to_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
