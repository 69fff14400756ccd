/* tests/unit/join/test_explain.c -- one record's name, explained in words
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/sink.h"

#define T INT64_C(1779444001123456) /* 2026-05-22T10:00:01.123456Z */

static struct candidate names[2];
static struct attribute_params params;

static struct flow_record make_record(uint64_t number)
{
    struct flow_record record = {.number = number};
    record.flow = (struct flow){
        .dataset = "hubble",
        .start_us = T,
        .end_us = T,
        .shows_start = true,
        .has_pair = true,
        .has_ports = true,
        .source_port = 40112,
        .destination_port = 443,
        .transport = "tcp",
        .action = FLOW_ALLOWED,
    };
    assert_true(addr_parse(&record.flow.source, "10.10.3.7", 9));
    assert_true(addr_parse(&record.flow.destination, "198.51.100.9", 12));
    return record;
}

static void make_name(struct candidate *candidate, const char *name, bool live, enum via via)
{
    *candidate = (struct candidate){
        .live = live, .via = via, .answer_us = T - 55000, .age_us = 55000, .ttl_s = 60, .count = 3};
    assert_int_equal(name_from_text(&candidate->name, name, strlen(name)), 0);
}

/* What is said about record `wanted` when this one is given out; the caller frees it. */
static char *explain(const struct flow_record *record, const struct attribution *attribution,
                     uint64_t wanted)
{
    struct sink *sink;
    struct buf out = {0};
    params = attribute_defaults();
    const struct sink_options options = {
        .cluster = "default", .explain = wanted, .params = &params};
    assert_int_equal(sink_new(&sink, &SINK_EXPLAIN, &options), 0);
    if (record->parsed == PARSED_FLOW) {
        SINK_EXPLAIN.flow(sink, &out, record, attribution);
    } else if (record->parsed == PARSED_SKIPPED) {
        SINK_EXPLAIN.left_out(sink, &out, record);
    } else {
        SINK_EXPLAIN.bad(sink, &out, record);
    }
    sink_free(&sink);
    buf_char(&out, '\0');
    return out.data;
}

static void assert_says(char *said, const char *const *pieces)
{
    for (size_t i = 0; pieces[i] != NULL; i++) {
        if (strstr(said, pieces[i]) == NULL) {
            fail_msg("'%s' is not in:\n%s", pieces[i], said);
        }
    }
    free(said);
}

static void a_named_flow_is_explained_name_by_name(void **state)
{
    struct flow_record record = make_record(17);
    struct attribution attribution = {.verdict = RESOLVED,
                                      .ambiguous = true,
                                      .coverage_assumed = true,
                                      .left_out = 1,
                                      .candidate_count = 2,
                                      .candidates = names};
    const char *const pieces[] = {
        "record 17, read as hubble\n",
        "10.10.3.7 port 40112 to 198.51.100.9 port 443 tcp, allowed\n",
        "2026-05-22T10:00:01.123456Z, and the record shows the connection's start\n",
        "answers to 10.10.3.7, whose owner is not known, up to an hour before and up to 2.000 s",
        "name 1      a.example.com: answered to it 0.055 s before; TTL 60 s and 60.000 s",
        "to 2026-05-22T10:02:01.068456Z: live\n",
        "name 2      b.example.com: it asked for this before, and a CNAME led",
        "stale\n",
        "verdict     resolved: the client itself has a live name\n",
        "ambiguous: ",
        "1 more name (--candidates)\n",
        "coverage is assumed",
        NULL,
    };
    (void)state;
    make_name(&names[0], "a.example.com", true, VIA_CLIENT);
    make_name(&names[1], "b.example.com", false, VIA_CNAME);
    assert_says(explain(&record, &attribution, 17), pieces);
}

static void a_flow_without_a_name_is_told_why(void **state)
{
    struct flow_record record = make_record(2);
    struct attribution blind = {.verdict = BLIND, .reason = "gap", .owner_known = true};
    struct attribution unusable = attribution_unjoinable("no-address");
    const char *const blind_pieces[] = {
        "and its owner's other addresses, since the owner had it",
        "verdict     blind (gap): no name, and no right to say that there was none\n", NULL};
    const char *const unusable_pieces[] = {"unknown\n",
                                           "verdict     unjoinable (no-address): ", NULL};
    (void)state;
    assert_says(explain(&record, &blind, 2), blind_pieces);
    record.flow = (struct flow){.dataset = "hubble"};
    char *said = explain(&record, &unusable, 2);
    assert_null(strstr(said, "asked of"));
    assert_says(said, unusable_pieces);
}

static void records_that_are_no_flows_are_told_of_too(void **state)
{
    struct flow_record record = {.number = 3, .parsed = PARSED_SKIPPED, .skip = SKIP_REPLY};
    const char *const left_out[] = {"record 3 is left out (reply): the way back of a connection\n",
                                    NULL};
    const char *const bad[] = {"record 3 is bad: not valid JSON?\n", NULL};
    (void)state;
    assert_says(explain(&record, NULL, 3), left_out);
    record.parsed = PARSED_BAD;
    record.fault = (struct text){"not valid JSON\x1b", 15};
    assert_says(explain(&record, NULL, 3), bad);
}

static void no_other_record_is_explained(void **state)
{
    struct flow_record record = make_record(16);
    struct attribution attribution = attribution_unjoinable("no-address");
    (void)state;
    for (int parsed = PARSED_FLOW; parsed <= PARSED_BAD; parsed++) {
        record.parsed = (enum parsed)parsed;
        record.skip = SKIP_REPLY;
        if (record.parsed != PARSED_DNS) {
            char *said = explain(&record, &attribution, 17);
            assert_string_equal(said, "");
            free(said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_flow_is_explained_name_by_name),
        cmocka_unit_test(a_flow_without_a_name_is_told_why),
        cmocka_unit_test(records_that_are_no_flows_are_told_of_too),
        cmocka_unit_test(no_other_record_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
