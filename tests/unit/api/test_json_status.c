/* tests/unit/api/test_json_status.c -- what a status and a coverage call blind
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_status.h"

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
#define S US_PER_S

static void put_body(struct buf *body, struct store_view *view, bool coverage, int64_t now_us)
{
    struct coverage_query query = {.cluster = "default",
                                   .from_us = T + 10 * S,
                                   .to_us = now_us,
                                   .now_us = now_us,
                                   .settle_us = 60 * S};
    *body = (struct buf){0};
    int err = coverage ? json_coverage(body, view, &query)
                       : json_status(body, view, "default", now_us, NULL, NULL);
    assert_int_equal(err, 0);
    buf_char(body, '\0');
}

/* A sender heard from T on, the writer last alive at T + 100 s. */
static void the_time_since_the_last_commit_is_blind_only_where_nothing_is_to_come(void **state)
{
    static const struct {
        enum store_stream_end end;
        int64_t now_s;
        bool blind;
    } CASES[] = {
        {STREAM_OPEN, 101, false},   /* connected, committed a second ago */
        {STREAM_OPEN, 109, false},   /* likewise, a slow disk */
        {STREAM_OPEN, 110, true},    /* nobody commits any more */
        {STREAM_STOPPED, 101, true}, /* nobody is connected */
        {STREAM_CUT, 101, true},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(CASES) / sizeof(CASES[0]); i++) {
        char dir[64];
        struct buf body;
        struct store_view *view;
        fixture_dir(dir);
        struct store *store = fixture_open(dir, STORE_WRITE);
        uint32_t number = store_stream_begin(store, STREAM_LIVE, store_cluster(store, "default"),
                                             (const uint8_t *)"dns-1", 5, NULL, 0, "unix:x", T);
        store_stream_heard(store, number, T + 90 * S);
        assert_int_equal(fixture_put(store, "default", "192.0.2.7", T + 50 * S, 60, "example.com",
                                     "", "198.51.100.9"),
                         0);
        if (CASES[i / 2].end != STREAM_OPEN) {
            store_stream_end(store, number, CASES[i / 2].end);
        }
        assert_int_equal(store_commit(store, T + 100 * S, NULL), 0);
        assert_int_equal(store_view_new(store, &view), 0);
        put_body(&body, view, i % 2 == 1, T + CASES[i / 2].now_s * S);
        assert_int_equal(strstr(body.data, "\"reason\":\"no-sender\"") != NULL, CASES[i / 2].blind);
        buf_fini(&body);
        store_view_free(&view);
        store_close(&store);
        fixture_remove(dir);
    }
}

static void what_is_watched_of_kubernetes_is_shown_with_its_age(void **state)
{
    (void)state;
    const struct k8s_status watches[K8S_KINDS] = {
        [K8S_PODS] = {.state = K8S_STATE_WATCHING, .complete = true, .heard_us = T},
        [K8S_SERVICES] = {.state = K8S_STATE_WAITING, .problem = {"may not \"list\""}},
    };
    static const char EXPECTED[] =
        ",\"watches\":[\n"
        "{\"kind\":\"pods\",\"state\":\"watching\",\"complete\":true,"
        "\"heard\":\"2026-02-16T00:00:00.000000Z\",\"problem\":\"\"},\n"
        "{\"kind\":\"services\",\"state\":\"waiting\",\"complete\":false,"
        "\"heard\":null,\"problem\":\"may not \\\"list\\\"\"},\n"
        "{\"kind\":\"nodes\",\"state\":\"listing\",\"complete\":false,"
        "\"heard\":null,\"problem\":\"\"}\n]}";
    char dir[64];
    struct buf body = {0};
    struct store_view *view;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(json_status(&body, view, "default", T, NULL, watches), 0);
    assert_true(body.len > strlen(EXPECTED));
    assert_memory_equal(body.data + body.len - strlen(EXPECTED), EXPECTED, strlen(EXPECTED));
    buf_reset(&body);
    assert_int_equal(json_status(&body, view, "default", T, NULL, NULL), 0);
    assert_memory_equal(body.data + body.len - 15, ",\"watches\":[\n]}", 15);
    buf_fini(&body);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_watched_of_kubernetes_is_shown_with_its_age),
        cmocka_unit_test(the_time_since_the_last_commit_is_blind_only_where_nothing_is_to_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
