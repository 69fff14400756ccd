/* tests/unit/collector/test_intake.c -- DNS answers out of running flow sources
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/intake.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/counters.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

struct fixture {
    char dir[64];
    struct store *store;
    struct writer *writer;
    struct intake *intake;
    int64_t now_us;
    size_t answer_len;
    uint8_t answer[ANSWER_BYTES_MAX];
};

static struct fixture f;

static void start(void)
{
    memset(&f, 0, sizeof(f));
    fixture_dir(f.dir);
    f.now_us = clock_now_us();
    f.answer_len = fixture_answer(f.answer, ANSWER_VIA_CLIENT, "example.com", "", "198.51.100.1");
    f.store = fixture_open(f.dir, STORE_WRITE);
    const struct writer_options options = {.store = f.store, .queue_bytes = 4 * BATCH_BYTES};
    assert_int_equal(writer_new(&f.writer, &options), 0);
    assert_int_equal(intake_new(&f.intake, f.writer, "prod", "flows"), 0);
}

static void stop(void)
{
    intake_free(&f.intake);
    writer_free(&f.writer);
    store_close(&f.store);
    fixture_remove(f.dir);
}

/* A response seen at a node, `ago_us` before now. */
static struct fact seen_at(const char *node, int64_t ago_us)
{
    return (struct fact){
        .client = fixture_addr("192.0.2.1"),
        .time_us = f.now_us - ago_us,
        .ttl_s = 60,
        .source = ANSWER_FROM_HUBBLE,
        .answer_len = f.answer_len,
        .identity = {(const uint8_t *)node, strlen(node)},
    };
}

static void add(const char *node, int64_t ago_us)
{
    struct fact fact = seen_at(node, ago_us);
    assert_int_equal(intake_add(f.intake, &fact, f.answer), 0);
}

static bool add_count(void *ctx, const struct store_sighting *sighting)
{
    uint64_t *count = ctx;
    assert_int_equal(sighting->answer->source, ANSWER_FROM_HUBBLE);
    *count += sighting->count;
    return true;
}

static uint64_t answers(void)
{
    uint64_t count = 0;
    struct store_view *view;
    struct addr client = fixture_addr("192.0.2.1");
    assert_int_equal(store_view_new(f.store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, "prod", &client, f.now_us - US_PER_DAY,
                                     f.now_us + US_PER_DAY, add_count, &count),
                     0);
    store_view_free(&view);
    return count;
}

static bool print_stream(void *ctx, const struct store_stream *stream)
{
    char *text = ctx;
    static const char *const ENDS[] = {"open", "stopped", "cut"};
    assert_int_equal(stream->kind, STREAM_PARTIAL);
    assert_string_equal(stream->cluster, "prod");
    assert_string_equal(stream->peer, "flows");
    sprintf(text + strlen(text), "%s %s %d; ", stream->identity, ENDS[stream->end],
            (int)((f.now_us - stream->committed_us) / US_PER_S));
    return true;
}

static void expect_streams(const char *expected)
{
    char text[256] = "";
    struct store_view *view;
    assert_int_equal(store_view_new(f.store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_streams(view, print_stream, text), 0);
    store_view_free(&view);
    assert_string_equal(text, expected);
}

static void what_was_added_is_there_once_it_is_committed(void **state)
{
    (void)state;
    uint64_t before = counter_get(COUNT_FLOW_DNS_ANSWER);
    start();
    assert_int_equal(intake_commit(f.intake, US_PER_S), 0);
    add("hubble:node-1", 9 * US_PER_S);
    add("hubble:node-2", 7 * US_PER_S);
    add("hubble:node-1", 5 * US_PER_S);
    assert_int_equal(answers(), 0);
    assert_int_equal(intake_commit(f.intake, 10 * US_PER_S), 0);
    assert_int_equal(answers(), 3);
    expect_streams("hubble:node-1 open 5; hubble:node-2 open 7; ");
    /* Nothing new: nothing is waited for. */
    assert_int_equal(intake_commit(f.intake, 0), 0);
    assert_int_equal(counter_get(COUNT_FLOW_DNS_ANSWER) - before, 3);
    intake_free(&f.intake);
    writer_free(&f.writer);
    expect_streams("hubble:node-1 stopped 5; hubble:node-2 stopped 7; ");
    stop();
}

static void a_flush_does_not_wait_and_is_committed_soon(void **state)
{
    (void)state;
    start();
    assert_int_equal(intake_flush(f.intake), 0);
    add("hubble:node-1", US_PER_S);
    uint64_t number = intake_flush(f.intake);
    assert_true(number > 0);
    assert_true(writer_wait_committed(f.writer, number, 10 * US_PER_S));
    assert_int_equal(answers(), 1);
    stop();
}

static void an_answer_of_the_future_is_refused_and_an_old_one_kept(void **state)
{
    (void)state;
    uint64_t before = counter_get(COUNT_FLOW_DNS_REFUSED);
    start();
    add("hubble:node-1", -11 * US_PER_MIN);
    add("hubble:node-1", 3 * US_PER_HOUR);
    assert_int_equal(intake_commit(f.intake, 10 * US_PER_S), 0);
    assert_int_equal(answers(), 1);
    assert_int_equal(counter_get(COUNT_FLOW_DNS_REFUSED) - before, 1);
    stop();
}

static void *add_many(void *node)
{
    for (int i = 0; i < 3000; i++) {
        add(node, i * 1000);
    }
    intake_flush(f.intake);
    return NULL;
}

static void several_threads_may_add(void **state)
{
    (void)state;
    pthread_t threads[2];
    static char nodes[2][16] = {"hubble:node-1", "hubble:node-2"};
    start();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, nodes[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(intake_commit(f.intake, 10 * US_PER_S), 0);
    /* Both saw the same answers, which count once. */
    assert_int_equal(answers(), 3000);
    stop();
}

static void any_allocation_of_the_start_may_fail(void **state)
{
    (void)state;
    start();
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct intake *intake;
        alloc_fail_at(n);
        int err = intake_new(&intake, f.writer, "prod", "http");
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        intake_free(&intake);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_there_once_it_is_committed),
        cmocka_unit_test(a_flush_does_not_wait_and_is_committed_soon),
        cmocka_unit_test(an_answer_of_the_future_is_refused_and_an_old_one_kept),
        cmocka_unit_test(several_threads_may_add),
        cmocka_unit_test(any_allocation_of_the_start_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
