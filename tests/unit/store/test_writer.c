/* tests/unit/store/test_writer.c -- limits on what may be added, and small memory
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define DAY0 (INT64_C(20500) * US_PER_DAY)
#define S US_PER_S

static char dir[64];
static struct store *store;
static struct store_view *view;

static void open_with(uint64_t memory_bytes, uint32_t answers_per_hour)
{
    struct store_options options = {.memory_bytes = memory_bytes,
                                    .answers_per_hour = answers_per_hour};
    fixture_dir(dir);
    assert_int_equal(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
}

static int close_all(void **state)
{
    (void)state;
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
    return 0;
}

static void commit(void)
{
    assert_int_equal(store_commit(store, DAY0, NULL), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
}

static int put(const char *client, int64_t at_us, int name)
{
    char text[40];
    snprintf(text, sizeof(text), "n%d.example.com", name);
    return fixture_put(store, "default", client, at_us, 30, text, "", "192.0.2.1");
}

static bool count_one(void *ctx, const struct store_sighting *sighting)
{
    *(unsigned *)ctx += sighting->count;
    return true;
}

static unsigned answers_of(const char *client)
{
    unsigned count = 0;
    struct addr addr = fixture_addr(client);
    assert_int_equal(store_by_client(view, "default", &addr, 0, TIME_MAX_US, count_one, &count), 0);
    return count;
}

static bool is_capped(const char *client, int64_t from_us, int64_t to_us)
{
    struct store_client seen;
    struct addr addr = fixture_addr(client);
    assert_int_equal(store_client_seen(view, "default", &addr, from_us, to_us, &seen), 0);
    return seen.capped;
}

static void a_client_may_add_so_many_answer_sets_an_hour(void **state)
{
    (void)state;
    open_with(0, 3);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put("10.1.1.1", DAY0 + i * S, i), i < 3 ? 0 : W_ELIMIT);
    }
    /* What is known is no burden, whoever asks. */
    assert_int_equal(put("10.1.1.1", DAY0 + 10 * S, 0), 0);
    assert_int_equal(put("10.1.1.2", DAY0 + 10 * S, 0), 0);
    assert_int_equal(put("10.1.1.2", DAY0 + 10 * S, 7), 0);
    /* The next hour. */
    assert_int_equal(put("10.1.1.1", DAY0 + US_PER_HOUR, 4), 0);
    commit();
    assert_int_equal(store_counters(store).capped, 2);
    assert_int_equal(store_counters(store).lost, 0);
    assert_int_equal(answers_of("10.1.1.1"), 5);
    assert_true(is_capped("10.1.1.1", DAY0, DAY0 + 10 * S));
    assert_true(is_capped("10.1.1.1", DAY0 - US_PER_HOUR, DAY0));
    assert_false(is_capped("10.1.1.1", DAY0 + US_PER_HOUR, DAY0 + 2 * US_PER_HOUR));
    assert_false(is_capped("10.1.1.2", DAY0, DAY0 + US_PER_HOUR));
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct addr client = fixture_addr("10.1.1.1");
    open_with(0, 0);
    uint16_t cluster = store_cluster(store, "default");
    size_t len = fixture_answer(bytes, ANSWER_VIA_CLIENT, "example.com", "a.example.com",
                                "192.0.2.1 192.0.2.2 2001:db8::1");
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + (cut == 0));
        memcpy(exact, bytes, cut);
        assert_int_equal(store_answer(store, cluster, &client, DAY0, 30, exact, cut), W_ESYNTAX);
        free(exact);
    }
    static const int64_t TIMES[] = {INT64_MIN, -1, 0, TIME_MIN_US - 1, TIME_MAX_US, INT64_MAX};
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        assert_int_equal(store_answer(store, cluster, &client, TIMES[i], 30, bytes, len),
                         W_ESYNTAX);
        assert_int_equal(store_asked(store, cluster, &client, TIMES[i]), W_ESYNTAX);
    }
    assert_int_equal(store_answer(store, 77, &client, DAY0, 30, bytes, len), W_ESYNTAX);
    assert_int_equal(store_answer(store, UINT16_MAX, &client, DAY0, 30, bytes, len), W_ESYNTAX);
    assert_int_equal(store_answer(store, cluster, &client, DAY0, 30, bytes, len), 0);
    commit();
    assert_int_equal(answers_of("10.1.1.1"), 1);
    assert_int_equal(store_counters(store).lost, 0);
}

static void cluster_names_have_limits(void **state)
{
    (void)state;
    char name[80];
    open_with(0, 0);
    memset(name, 'c', sizeof(name));
    name[64] = '\0';
    assert_int_equal(store_cluster(store, name), UINT16_MAX);
    name[63] = '\0';
    assert_int_equal(store_cluster(store, name), 0);
    assert_int_equal(store_cluster(store, name), 0);
    assert_int_equal(store_cluster(store, ""), UINT16_MAX);
    for (int i = 1; i < 256; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(store_cluster(store, name), i);
        assert_int_equal(
            fixture_put(store, name, "10.1.1.1", DAY0, 30, "example.com", "", "192.0.2.1"), 0);
    }
    assert_int_equal(store_cluster(store, "one-more"), UINT16_MAX);
    commit();
    unsigned count = 0;
    struct addr addr = fixture_addr("192.0.2.1");
    assert_int_equal(store_by_address(view, "c255", &addr, DAY0, DAY0, count_one, &count), 0);
    assert_int_equal(count, 1);
}

/* With almost no memory everything is still kept, in more commits: the buffer of waiting answers
 * and the cache of answer sets run over many times. */
static void little_memory_loses_nothing(void **state)
{
    (void)state;
    static const uint64_t MEMORY[] = {1, 400000};
    for (size_t m = 0; m < sizeof(MEMORY) / sizeof(MEMORY[0]); m++) {
        open_with(MEMORY[m], 1000000);
        for (int i = 0; i < 8000; i++) {
            assert_int_equal(put(i % 2 == 0 ? "10.1.1.1" : "10.1.1.2", DAY0 + i * S / 10, i % 3001),
                             0);
        }
        commit();
        assert_int_equal(answers_of("10.1.1.1"), 4000);
        assert_int_equal(answers_of("10.1.1.2"), 4000);
        struct store_status status;
        assert_int_equal(store_status(view, &status), 0);
        assert_int_equal(status.answer_sets, 3001);
        assert_int_equal(status.names, 3001);
        close_all(NULL);
    }
    open_with(0, 0);
}

static void too_many_clients_are_counted_and_make_a_loss(void **state)
{
    (void)state;
    char client[32];
    int refused = 0;
    open_with(1, 0);
    uint16_t cluster = store_cluster(store, "default");
    uint32_t stream = store_stream_begin(store, STREAM_LIVE, cluster, NULL, 0, NULL, 0, "x", DAY0);
    for (int i = 0; i < 3000; i++) {
        snprintf(client, sizeof(client), "10.1.%d.%d", i / 250, i % 250);
        int err = put(client, DAY0 + i * S, 1);
        assert_true(err == 0 || err == W_ELIMIT);
        refused += err != 0;
    }
    store_stream_heard(store, stream, DAY0 + 3000 * S);
    commit();
    assert_in_range(refused, 1, 2999);
    assert_int_equal(store_counters(store).lost, refused);
    assert_int_equal(store_cover(view, "default", DAY0, DAY0 + 2900 * S, DAY0 + 3000 * S, S),
                     COVER_GAP);
    assert_int_equal(store_cover(view, "default", DAY0, DAY0 + 10 * S, DAY0 + 3000 * S, S),
                     COVER_WHOLE);
    /* Those it has go on. */
    assert_int_equal(put("10.1.0.0", DAY0 + 5000 * S, 1), 0);
}

/* More clients of one answer set, and more sets of one address and name, than one chunk holds. */
static void posting_lists_grow_over_many_chunks(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    char text[64];
    open_with(0, 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250);
        assert_int_equal(fixture_put(store, "default", text, DAY0 + i * S, 30, "one.example.com",
                                     "", "192.0.2.1"),
                         0);
        snprintf(text, sizeof(text), "192.0.2.2 2001:db8::%x", i + 1);
        assert_int_equal(fixture_put(store, "default", "10.2.2.2", DAY0 + i * S, 30,
                                     "many.example.com", "tail.example.net", text),
                         0);
        if (i % 301 == 0) {
            commit();
        }
    }
    commit();
    struct name name;
    unsigned count = 0;
    struct addr one = fixture_addr("192.0.2.1");
    struct addr two = fixture_addr("192.0.2.2");
    struct addr client = fixture_addr("10.2.2.2");
    assert_int_equal(store_by_address(view, "default", &one, DAY0, TIME_MAX_US, count_one, &count),
                     0);
    assert_int_equal(count, MANY);
    assert_int_equal(store_by_address(view, "default", &two, DAY0, TIME_MAX_US, count_one, &count),
                     0);
    assert_int_equal(count, 2 * MANY);
    assert_int_equal(store_by_client_address(view, "default", &client, &two, DAY0, TIME_MAX_US,
                                             count_one, &count),
                     0);
    assert_int_equal(count, 3 * MANY);
    assert_int_equal(name_from_text(&name, "tail.example.net", 16), 0);
    assert_int_equal(store_by_client_target(view, "default", &client, name.wire, DAY0, TIME_MAX_US,
                                            count_one, &count),
                     0);
    assert_int_equal(count, 4 * MANY);
    assert_int_equal(
        store_by_name(view, "default", name.wire, false, DAY0, TIME_MAX_US, count_one, &count), 0);
    assert_int_equal(count, 5 * MANY);
    /* One of the last only. */
    snprintf(text, sizeof(text), "2001:db8::%x", MANY);
    one = fixture_addr(text);
    assert_int_equal(store_by_client_address(view, "default", &client, &one, DAY0, TIME_MAX_US,
                                             count_one, &count),
                     0);
    assert_int_equal(count, 5 * MANY + 1);
}

static void loading_the_same_again_changes_nothing(void **state)
{
    (void)state;
    struct store_status before, after;
    open_with(0, 0);
    for (int again = 0; again < 3; again++) {
        fixture_seed(7);
        for (int i = 0; i < 5000; i++) {
            char client[32];
            snprintf(client, sizeof(client), "10.1.1.%u", fixture_below(20));
            int64_t at_us = DAY0 + (int64_t)i * 60 * S + fixture_below(1000000);
            assert_int_equal(put(client, at_us, (int)fixture_below(10)), 0);
            if (i % 700 == 0) {
                commit();
            }
        }
        commit();
        assert_int_equal(store_status(view, &after), 0);
        if (again > 0) {
            assert_int_equal(after.answers, before.answers);
            assert_int_equal(after.sightings, before.sightings);
            assert_int_equal(after.times, before.times);
        }
        before = after;
    }
    assert_int_equal(before.answers, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_client_may_add_so_many_answer_sets_an_hour, close_all),
        cmocka_unit_test_teardown(what_is_no_answer_is_refused, close_all),
        cmocka_unit_test_teardown(cluster_names_have_limits, close_all),
        cmocka_unit_test_teardown(little_memory_loses_nothing, close_all),
        cmocka_unit_test_teardown(too_many_clients_are_counted_and_make_a_loss, close_all),
        cmocka_unit_test_teardown(posting_lists_grow_over_many_chunks, close_all),
        cmocka_unit_test_teardown(loading_the_same_again_changes_nothing, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
