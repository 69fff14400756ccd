/* tests/unit/api/test_doctor.c -- each check finds its fault, and is silent where all is well
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/json.h"
#include "tests/support/store_fixture.h"

#define NOW (INT64_C(20500) * US_PER_DAY)

/* A sender and an index with which nothing is wrong. */
static struct doctor_sender a_sender(void)
{
    struct doctor_sender sender = {
        .identity = "coredns-1",
        .version = "CoreDNS-1.14.7",
        .streams = 1,
        .open = 1,
        .begun = 1,
        .live = true,
        .heard_us = NOW - US_PER_S,
        .tally = {.frames = {[TALLY_ANSWER] = 900,
                             [TALLY_NO_ADDRESS] = 3000,
                             [TALLY_QUERY] = 3900,
                             [TALLY_FORWARDER] = 700},
                  .delays = {3800, 100}},
    };
    return sender;
}

static struct doctor_facts the_facts(struct doctor_sender *sender, struct doctor_blind *blinds)
{
    return (struct doctor_facts){
        .query = {.cluster = "default",
                  .now_us = NOW,
                  .window_us = US_PER_DAY,
                  .settle_us = 60 * US_PER_S,
                  .skew_us = 2 * US_PER_S},
        .from_us = NOW - US_PER_DAY,
        .to_us = NOW,
        .live = true,
        .senders = sender,
        .sender_count = 1,
        .blinds = blinds,
        .status = {.windows = 3,
                   .bytes = 300 << 20,
                   .answers = 50000,
                   .first_us = NOW - 3 * US_PER_DAY,
                   .last_us = NOW - US_PER_S,
                   .alive_us = NOW - US_PER_S},
        .clients = 40,
        .cluster_names = true,
        .external_names = true,
        .disk = {.free_bytes = UINT64_C(40) << 30, .total_bytes = UINT64_C(100) << 30},
    };
}

/* "full:error responses:warning", in the order found. */
static void list(const struct findings *findings, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < findings->count; i++) {
        at +=
            (size_t)snprintf(text + at, room - at, "%s%s:%s", i > 0 ? " " : "",
                             findings->items[i].check, severity_name(findings->items[i].severity));
    }
}

static void expect(const struct doctor_facts *facts, const char *what, const char *expected)
{
    struct findings findings;
    char text[512];
    assert_int_equal(doctor_run(&findings, facts), 0);
    list(&findings, text, sizeof(text));
    if (strcmp(text, expected) != 0) {
        fail_msg("%s: found '%s', expected '%s'", what, text, expected);
    }
    for (size_t i = 0; i < findings.count; i++) {
        assert_true(findings.items[i].evidence[0] != '\0');
        assert_true(findings.items[i].consequence[0] != '\0');
        assert_true(findings.items[i].remedy[0] != '\0');
    }
    findings_fini(&findings);
}

static void all_is_silent_where_nothing_is_wrong(void **state)
{
    struct doctor_sender sender = a_sender();
    struct doctor_facts facts = the_facts(&sender, NULL);
    (void)state;
    expect(&facts, "all well", "");
}

/* ---- Senders ---- */

static void no_full(struct doctor_sender *s)
{
    s->tally.frames[TALLY_NO_MESSAGE] = 3900;
    s->tally.frames[TALLY_ANSWER] = s->tally.frames[TALLY_NO_ADDRESS] = 0;
}

static void one_block_without_full(struct doctor_sender *s)
{
    s->tally.frames[TALLY_NO_MESSAGE] = 20;
}

static void only_queries(struct doctor_sender *s)
{
    s->tally = (struct tally){.frames = {[TALLY_QUERY] = 50}};
}

static void hardly_any_queries(struct doctor_sender *s)
{
    s->tally = (struct tally){.frames = {[TALLY_QUERY] = 5}};
}

static void only_forwarded(struct doctor_sender *s)
{
    s->tally = (struct tally){.frames = {[TALLY_FORWARDER] = 50}};
}

static void unusable(struct doctor_sender *s)
{
    s->tally.frames[TALLY_UNUSABLE] = 100;
}

static void hardly_any_unusable(struct doctor_sender *s)
{
    s->tally.frames[TALLY_UNUSABLE] = 10;
}

static void autopath(struct doctor_sender *s)
{
    s->tally.search_answers = 1;
}

static void old_version(struct doctor_sender *s)
{
    strcpy(s->version, "CoreDNS-1.13.1");
}

static void leaky_version(struct doctor_sender *s)
{
    strcpy(s->version, "CoreDNS-1.14.4");
}

static void first_good_version(struct doctor_sender *s)
{
    strcpy(s->version, "CoreDNS-1.14.5");
}

static void another_server(struct doctor_sender *s)
{
    strcpy(s->version, "unbound 1.17.1");
}

static void slow(struct doctor_sender *s)
{
    s->tally.delays[6] = 100;
}

static void too_slow(struct doctor_sender *s)
{
    s->tally.delays[8] = 100;
}

static void slow_once(struct doctor_sender *s)
{
    s->tally.delays[8] = 10;
}

static void clock_ahead(struct doctor_sender *s)
{
    s->tally.ahead = 2000;
    s->tally.ahead_max_us = 900000;
}

static void clock_far_ahead(struct doctor_sender *s)
{
    s->tally.ahead = 2000;
    s->tally.ahead_max_us = 5 * US_PER_S;
}

static void gone(struct doctor_sender *s)
{
    s->open = 0;
}

static void silent(struct doctor_sender *s)
{
    s->heard_us = NOW - US_PER_HOUR;
}

static void cut_twice(struct doctor_sender *s)
{
    s->streams = 3;
    s->cut = 2;
}

static void a_capture(struct doctor_sender *s)
{
    s->live = false;
    s->open = 0;
}

static void what_is_wrong_with_a_sender_is_found(void **state)
{
    static const struct {
        const char *what;
        void (*spoil)(struct doctor_sender *sender);
        const char *expected;
    } CASES[] = {
        {"dnstap without full", no_full, "full:error"},
        {"one server block without full", one_block_without_full, "full:warning"},
        {"questions only", only_queries, "responses:error"},
        {"too few questions to say anything", hardly_any_queries, ""},
        {"forwarded only", only_forwarded, "forwarder:error"},
        {"frames that cannot be used", unusable, "unusable:warning"},
        {"hardly any that cannot be used", hardly_any_unusable, ""},
        {"autopath", autopath, "autopath:warning"},
        {"a version that sends late", old_version, "version:warning"},
        {"a version that leaks connections", leaky_version, "version:note"},
        {"the first version without known faults", first_good_version, ""},
        {"not CoreDNS", another_server, ""},
        {"late answers", slow, "delay:warning"},
        {"answers later than a join waits", too_slow, "delay:error"},
        {"a late answer now and then", slow_once, ""},
        {"a clock ahead", clock_ahead, "clock:warning"},
        {"a clock ahead by more than the skew", clock_far_ahead, "clock:error"},
        {"nobody connected", gone, "senders:error"},
        {"connected and silent", silent, "silent:warning"},
        {"cut", cut_twice, "restarts:note"},
        {"a capture is never connected", a_capture, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct doctor_sender sender = a_sender();
        struct doctor_facts facts = the_facts(&sender, NULL);
        CASES[i].spoil(&sender);
        expect(&facts, CASES[i].what, CASES[i].expected);
    }
}

/* ---- The index ---- */

static void no_sender(struct doctor_facts *f)
{
    f->sender_count = 0;
}

static void one_of_two(struct doctor_facts *f)
{
    f->query.expected = 2;
}

static void blind_once(struct doctor_facts *f)
{
    f->blinds[0] = (struct doctor_blind){
        .from_us = NOW - US_PER_HOUR, .to_us = NOW - US_PER_HOUR + US_PER_MIN, .reason = "cut"};
    f->blind_count = 1;
    f->blind_us = US_PER_MIN;
}

static void blind_now(struct doctor_facts *f)
{
    blind_once(f);
    f->blinds[0].open = true;
}

static void blind_for_hours(struct doctor_facts *f)
{
    blind_once(f);
    f->blind_us = 2 * US_PER_HOUR;
}

static void disk_was_full(struct doctor_facts *f)
{
    blind_once(f);
    strcpy(f->blinds[0].reason, "disk-full");
    f->blinds[0].lost = 12;
}

static void young(struct doctor_facts *f)
{
    f->status.first_us = NOW - US_PER_HOUR;
}

static void too_young(struct doctor_facts *f)
{
    young(f);
    f->query.window_given = true;
}

static void kept_too_short(struct doctor_facts *f)
{
    f->query.keep_us = US_PER_HOUR;
}

static void nodes_ask(struct doctor_facts *f)
{
    f->clients = 3;
}

static void a_small_cluster(struct doctor_facts *f)
{
    f->clients = 3;
    f->status.answers = 500;
}

static void nodes_are_known(struct doctor_facts *f)
{
    f->node_clients = 21;
}

static void some_are_nodes(struct doctor_facts *f)
{
    f->node_clients = 20;
}

static struct doctor_pod pods[3];

static void one_pod_of_two(struct doctor_facts *f)
{
    f->dns_pods = pods;
    f->dns_pod_count = 2;
    strcpy(pods[0].name, "coredns-1");
    strcpy(pods[1].name, "coredns-2");
}

static void its_only_pod(struct doctor_facts *f)
{
    one_pod_of_two(f);
    f->dns_pod_count = 1;
}

static void pods_of_other_names(struct doctor_facts *f)
{
    one_pod_of_two(f);
    strcpy(pods[0].name, "dns-x");
}

static void one_pod_of_another_name(struct doctor_facts *f)
{
    pods_of_other_names(f);
    f->dns_pod_count = 1;
}

static void only_cluster_names(struct doctor_facts *f)
{
    f->external_names = false;
}

static void no_cluster_names(struct doctor_facts *f)
{
    f->cluster_names = false;
}

static void disk_filling(struct doctor_facts *f)
{
    f->status.bytes = UINT64_C(20) << 30;
}

static void disk_almost_full(struct doctor_facts *f)
{
    f->disk.free_bytes = UINT64_C(1) << 30;
}

static void what_is_wrong_with_the_index_is_found(void **state)
{
    static const struct {
        const char *what;
        void (*spoil)(struct doctor_facts *facts);
        const char *expected;
    } CASES[] = {
        {"no sender ever", no_sender, "senders:error"},
        {"a replica is missing", one_of_two, "senders:error"},
        {"blind once", blind_once, "blind:warning"},
        {"blind now", blind_now, "blind:error"},
        {"blind for a large part", blind_for_hours, "blind:error"},
        {"answers lost", disk_was_full, "blind:warning losses:error"},
        {"a young index", young, "span:note"},
        {"younger than was asked for", too_young, "span:warning"},
        {"a short retention", kept_too_short, "span:warning"},
        {"few clients with many answers", nodes_ask, "clients:warning"},
        {"few clients with few answers", a_small_cluster, ""},
        {"clients that are nodes", nodes_are_known, "clients:error"},
        {"half of them nodes", some_are_nodes, ""},
        {"a DNS pod that is not tapped", one_pod_of_two, "tapped:error"},
        {"its only DNS pod is tapped", its_only_pod, ""},
        {"fewer senders than pods, with identities of their own", pods_of_other_names,
         "tapped:error"},
        {"as many senders as pods", one_pod_of_another_name, ""},
        {"only names inside", only_cluster_names, "zones:warning"},
        {"only names outside", no_cluster_names, ""},
        {"room for less than a week", disk_filling, "disk:warning"},
        {"hardly any room", disk_almost_full, "disk:error"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct doctor_sender sender = a_sender();
        struct doctor_blind blinds[2] = {0};
        struct doctor_facts facts = the_facts(&sender, blinds);
        CASES[i].spoil(&facts);
        expect(&facts, CASES[i].what, CASES[i].expected);
    }
}

static void blind_time_is_listed_with_its_ends(void **state)
{
    struct doctor_sender sender = a_sender();
    struct doctor_blind blinds[2] = {
        {.from_us = NOW - 2 * US_PER_MIN, .to_us = NOW - US_PER_MIN, .reason = "no-sender"},
        {.from_us = NOW - US_PER_MIN, .to_us = NOW, .open = true, .reason = "cut", .sender = "d"}};
    struct doctor_facts facts = the_facts(&sender, blinds);
    struct findings findings;
    (void)state;
    facts.blind_count = 2;
    facts.blind_us = 2 * US_PER_MIN;
    assert_int_equal(doctor_run(&findings, &facts), 0);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].evidence,
                        "2 min in all: 2026-02-15T23:58:00Z to 2026-02-15T23:59:00Z (no-sender); "
                        "2026-02-15T23:59:00Z to now (cut, d)");
    findings_fini(&findings);
}

/* ---- Facts from an index ---- */

static void begin(struct store *store, const char *identity, enum store_stream_kind kind,
                  int64_t from_us, int64_t heard_us, int end)
{
    struct tally tally = {.frames[TALLY_ANSWER] = 100, .delays[0] = 100};
    uint32_t number = store_stream_begin(store, kind, store_cluster(store, "default"),
                                         (const uint8_t *)identity, strlen(identity),
                                         (const uint8_t *)"CoreDNS-1.14.7", 14, "unix:x", from_us);
    store_stream_heard(store, number, heard_us);
    store_stream_tally(store, number, &tally);
    if (end != STREAM_OPEN) {
        store_stream_end(store, number, (enum store_stream_end)end);
    }
}

static void facts_are_those_of_the_window(void **state)
{
    char dir[64];
    struct store_view *view;
    struct doctor_facts facts;
    const struct doctor_query query = {
        .cluster = "default", .now_us = NOW, .window_us = US_PER_HOUR};
    (void)state;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    begin(store, "long-gone", STREAM_LIVE, NOW - US_PER_DAY, NOW - 20 * US_PER_HOUR,
          STREAM_STOPPED);
    begin(store, "dns-1", STREAM_LIVE, NOW - 2 * US_PER_HOUR, NOW - 30 * US_PER_MIN, STREAM_CUT);
    begin(store, "dns-1", STREAM_LIVE, NOW - 20 * US_PER_MIN, NOW - US_PER_S, STREAM_OPEN);
    assert_int_equal(fixture_put(store, "default", "192.0.2.7", NOW - 50 * US_PER_MIN, 60,
                                 "web.shop.svc.cluster.local", "", "198.51.100.9"),
                     0);
    assert_int_equal(fixture_put(store, "default", "192.0.2.8", NOW - 2 * US_PER_HOUR, 60,
                                 "www.example.com", "", "198.51.100.9"),
                     0);
    assert_int_equal(store_commit(store, NOW - US_PER_S, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(doctor_gather(&facts, view, &query), 0);
    assert_int_equal(facts.sender_count, 1);
    assert_string_equal(facts.senders[0].identity, "dns-1");
    assert_string_equal(facts.senders[0].version, "CoreDNS-1.14.7");
    assert_int_equal(facts.senders[0].streams, 2);
    assert_int_equal(facts.senders[0].open, 1);
    assert_int_equal(facts.senders[0].begun, 1);
    assert_int_equal(facts.senders[0].cut, 1);
    assert_int_equal(facts.senders[0].tally.frames[TALLY_ANSWER], 200);
    /* One gap, told of twice: the sender was cut, and nobody else listened. */
    assert_int_equal(facts.blind_us, 10 * US_PER_MIN);
    assert_true(facts.cluster_names);
    assert_false(facts.external_names); /* asked for before the window */
    assert_int_equal(facts.clients, 2);
    assert_true(facts.disk.total_bytes > 0);
    doctor_facts_fini(&facts);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

static void the_window_of_captures_ends_with_their_last_answer(void **state)
{
    char dir[64];
    struct store_view *view;
    struct doctor_facts facts;
    const struct doctor_query query = {
        .cluster = "default", .now_us = NOW, .window_us = US_PER_HOUR};
    (void)state;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    begin(store, "dns-1", STREAM_CAPTURE, NOW - 9 * US_PER_DAY, NOW - 8 * US_PER_DAY,
          STREAM_STOPPED);
    assert_int_equal(fixture_put(store, "default", "192.0.2.8", NOW - 8 * US_PER_DAY, 60,
                                 "www.example.com", "", "198.51.100.9"),
                     0);
    assert_int_equal(store_commit(store, NOW - US_PER_S, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(doctor_gather(&facts, view, &query), 0);
    assert_int_equal(facts.to_us, NOW - 8 * US_PER_DAY);
    assert_int_equal(facts.from_us, NOW - 8 * US_PER_DAY - US_PER_HOUR);
    assert_int_equal(facts.blind_us, 0);
    assert_int_equal(facts.sender_count, 1);
    doctor_facts_fini(&facts);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

static void the_report_is_json_with_a_check_on_each_line(void **state)
{
    static const char *const POINTERS[] = {"/worst", "/checks", "/left_out"};
    char dir[64];
    struct store_view *view;
    struct buf body = {0};
    struct json_parser *parser;
    struct json_paths *paths;
    struct json_value values[3];
    const struct doctor_query query = {
        .cluster = "default", .now_us = NOW, .window_us = US_PER_HOUR};
    (void)state;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    /* An identity may hold anything. */
    begin(store, "dns\"\x1b[31m\n", STREAM_LIVE, NOW - US_PER_HOUR, NOW - 30 * US_PER_MIN,
          STREAM_OPEN);
    assert_int_equal(store_commit(store, NOW - US_PER_S, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(json_doctor(&body, view, &query), 0);
    assert_int_equal(json_parser_new(&parser, body.len), 0);
    assert_int_equal(json_paths_new(&paths, POINTERS, 3), 0);
    assert_int_equal(json_parse(parser, paths, body.data, body.len, values, NULL), 0);
    assert_int_equal(values[0].text.len, 7); /* warning: it is silent */
    assert_int_equal(values[1].type, JSON_ARRAY);
    size_t lines = 0;
    for (size_t i = 0; i < body.len; i++) {
        lines += body.data[i] == '\n';
    }
    assert_int_equal(lines, SENDER_CHECK_COUNT + INDEX_CHECK_COUNT + 1);
    json_paths_free(&paths);
    json_parser_free(&parser);
    buf_fini(&body);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_silent_where_nothing_is_wrong),
        cmocka_unit_test(what_is_wrong_with_a_sender_is_found),
        cmocka_unit_test(what_is_wrong_with_the_index_is_found),
        cmocka_unit_test(blind_time_is_listed_with_its_ends),
        cmocka_unit_test(facts_are_those_of_the_window),
        cmocka_unit_test(the_window_of_captures_ends_with_their_last_answer),
        cmocka_unit_test(the_report_is_json_with_a_check_on_each_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
