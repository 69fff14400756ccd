/* tests/unit/collector/test_writer.c -- the writer thread and the queue before it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define NOW INT64_C(1779444000000000)
/* Longer than anything here takes, even under a sanitizer. */
#define LONG_US (20 * US_PER_S)

struct fixture {
    char dir[64];
    struct store *store;
    struct writer *writer;
    atomic_uint notified;
};

static void count_notice(void *ctx)
{
    struct fixture *fixture = ctx;
    atomic_fetch_add(&fixture->notified, 1);
}

static void fixture_start(struct fixture *fixture, const struct writer_options *options)
{
    *fixture = (struct fixture){0};
    fixture_dir(fixture->dir);
    fixture->store = fixture_open(fixture->dir, STORE_WRITE);
    struct writer_options with = *options;
    with.store = fixture->store;
    with.notify = count_notice;
    with.ctx = fixture;
    assert_int_equal(writer_new(&fixture->writer, &with), 0);
}

static void fixture_stop(struct fixture *fixture)
{
    writer_free(&fixture->writer);
    store_close(&fixture->store);
    fixture_remove(fixture->dir);
}

static struct stream *begin(struct batch *batch)
{
    struct stream *stream = stream_new(&(struct stream){.kind = STREAM_LIVE,
                                                        .cluster = "default",
                                                        .peer = "unix:/run/dnstap.sock",
                                                        .identity = (const uint8_t *)"dns-1",
                                                        .identity_len = 5,
                                                        .from_us = NOW});
    assert_non_null(stream);
    assert_non_null(batch_add(batch, RECORD_BEGIN, stream, 0));
    return stream;
}

static void end(struct batch *batch, struct stream *stream)
{
    struct record *record = batch_add(batch, RECORD_END, stream, 0);
    assert_non_null(record);
    record->end = STREAM_STOPPED;
}

static void put_answer(struct batch *batch, struct stream *stream, const char *client,
                       int64_t time_us)
{
    uint8_t *bytes = malloc(ANSWER_BYTES_MAX);
    size_t len = fixture_answer(bytes, ANSWER_VIA_CLIENT, "example.com", "", "198.51.100.1");
    struct record *record = batch_add(batch, RECORD_ANSWER, stream, len);
    assert_non_null(record);
    record->time_us = time_us;
    record->ttl_s = 60;
    record->client = fixture_addr(client);
    memcpy(record_answer(record), bytes, len);
    free(bytes);
}

static bool add_count(void *ctx, const struct store_sighting *sighting)
{
    uint64_t *count = ctx;
    *count += sighting->count;
    return true;
}

static uint64_t answers_of(struct fixture *fixture, const char *client)
{
    uint64_t count = 0;
    struct store_view *view;
    struct addr addr = fixture_addr(client);
    assert_int_equal(store_view_new(fixture->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, "default", &addr, NOW - US_PER_DAY, NOW + US_PER_DAY,
                                     add_count, &count),
                     0);
    store_view_free(&view);
    return count;
}

static void an_urgent_batch_is_committed_at_once(void **state)
{
    (void)state;
    struct fixture f;
    /* Without urgency nothing would be committed for an hour. */
    fixture_start(&f,
                  &(struct writer_options){.commit_us = US_PER_HOUR, .heartbeat_us = US_PER_HOUR});
    struct batch *batch = writer_take(f.writer);
    struct stream *stream = begin(batch);
    put_answer(batch, stream, "192.0.2.1", NOW);
    uint64_t first = writer_hand_over(f.writer, batch, false);
    batch = writer_take(f.writer);
    put_answer(batch, stream, "192.0.2.1", NOW + US_PER_S);
    end(batch, stream);
    uint64_t second = writer_hand_over(f.writer, batch, true);
    assert_true(second > first);
    assert_true(writer_wait_committed(f.writer, second, LONG_US));
    assert_int_equal(answers_of(&f, "192.0.2.1"), 2);
    assert_int_equal(writer_error(f.writer), 0);
    fixture_stop(&f);
    assert_int_equal(atomic_load(&f.notified), 1);
}

static void what_waits_is_committed_within_the_time(void **state)
{
    (void)state;
    struct fixture f;
    /* The writer's first commit is due from its start on, with or without a batch. */
    int64_t before_us = clock_monotonic_us();
    fixture_start(&f, &(struct writer_options){.commit_us = US_PER_S, .heartbeat_us = US_PER_HOUR});
    struct batch *batch = writer_take(f.writer);
    struct stream *stream = begin(batch);
    put_answer(batch, stream, "192.0.2.1", NOW);
    end(batch, stream);
    uint64_t number = writer_hand_over(f.writer, batch, false);
    assert_false(writer_wait_committed(f.writer, number, 10000));
    assert_true(writer_wait_committed(f.writer, number, LONG_US));
    assert_true(clock_monotonic_us() - before_us >= US_PER_S);
    assert_int_equal(answers_of(&f, "192.0.2.1"), 1);
    fixture_stop(&f);
}

static void count_save(void *ctx, struct store *store)
{
    (void)store;
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void a_touch_brings_about_a_commit_though_nothing_was_handed_over(void **state)
{
    (void)state;
    struct fixture fixture;
    atomic_uint saved = 0;
    const struct owner_keeper keeper = {&saved, NULL, count_save};
    fixture_start(&fixture, &(struct writer_options){.commit_us = 1000, .owners = &keeper});
    while (atomic_load(&saved) == 0) { /* the first commit, which says that a writer is there */
        usleep(1000);
    }
    usleep(50000);
    assert_int_equal(atomic_load(&saved), 1);
    writer_touch(fixture.writer);
    writer_touch(fixture.writer);
    for (int i = 0; i < 5000 && atomic_load(&saved) == 1; i++) {
        usleep(1000);
    }
    usleep(50000);
    assert_int_equal(atomic_load(&saved), 2);
    fixture_stop(&fixture);
}

static void while_a_sender_is_connected_the_heart_beats(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &(struct writer_options){.commit_us = US_PER_HOUR, .heartbeat_us = 20000});
    struct batch *batch = writer_take(f.writer);
    struct stream *stream = begin(batch);
    uint64_t number = writer_hand_over(f.writer, batch, false);
    assert_true(writer_wait_committed(f.writer, number, LONG_US));
    unsigned seen = atomic_load(&f.notified);
    int64_t until_us = clock_monotonic_us() + LONG_US;
    while (atomic_load(&f.notified) < seen + 3 && clock_monotonic_us() < until_us) {
        sched_yield();
    }
    assert_true(atomic_load(&f.notified) >= seen + 3);
    batch = writer_take(f.writer);
    end(batch, stream);
    number = writer_hand_over(f.writer, batch, true);
    assert_true(writer_wait_committed(f.writer, number, LONG_US));
    fixture_stop(&f);
}

static void everything_handed_over_before_the_end_is_committed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f,
                  &(struct writer_options){.commit_us = US_PER_HOUR, .heartbeat_us = US_PER_HOUR});
    struct batch *batch = writer_take(f.writer);
    struct stream *stream = begin(batch);
    for (int i = 0; i < 100; i++) {
        put_answer(batch, stream, "192.0.2.1", NOW + i * US_PER_S);
        writer_hand_over(f.writer, batch, false);
        assert_true(writer_wait_room(f.writer, LONG_US));
        batch = writer_take(f.writer);
    }
    end(batch, stream);
    writer_hand_over(f.writer, batch, false);
    writer_free(&f.writer);
    assert_int_equal(answers_of(&f, "192.0.2.1"), 100);
    fixture_stop(&f);
}

static void a_full_queue_says_so_and_tells_when_there_is_room(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &(struct writer_options){.queue_bytes = 8 * BATCH_BYTES,
                                               .commit_us = US_PER_HOUR,
                                               .heartbeat_us = US_PER_HOUR});
    struct batch *taken[64];
    size_t count = 0;
    assert_true(writer_has_room(f.writer));
    while (writer_has_room(f.writer)) {
        taken[count++] = writer_take(f.writer);
        assert_non_null(taken[count - 1]);
    }
    assert_int_equal(count, 8);
    assert_false(writer_wait_room(f.writer, 1000));
    /* The reserve still serves who has begun, and then there is no more. */
    while ((taken[count] = writer_take(f.writer)) != NULL) {
        count++;
        assert_true(count < 63);
    }
    assert_true(count > 8);
    unsigned seen = atomic_load(&f.notified);
    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0) {
            writer_give_back(f.writer, taken[i]);
        } else {
            writer_hand_over(f.writer, taken[i], false);
        }
    }
    assert_true(writer_wait_room(f.writer, LONG_US));
    int64_t until_us = clock_monotonic_us() + LONG_US;
    while (atomic_load(&f.notified) == seen && clock_monotonic_us() < until_us) {
        sched_yield();
    }
    assert_int_equal(atomic_load(&f.notified), seen + 1);
    fixture_stop(&f);
}

struct producer {
    struct fixture *fixture;
    char client[32];
    pthread_t thread;
};

enum { PRODUCERS = 4, BATCHES_EACH = 30, ANSWERS_A_BATCH = 20 };

static void *produce(void *arg)
{
    struct producer *producer = arg;
    struct writer *writer = producer->fixture->writer;
    struct stream *stream = NULL;
    uint64_t number = 0;
    for (int i = 0; i < BATCHES_EACH; i++) {
        writer_wait_room(writer, LONG_US);
        struct batch *batch = writer_take(writer);
        if (batch == NULL) {
            i--;
            continue;
        }
        stream = stream == NULL ? begin(batch) : stream;
        for (int j = 0; j < ANSWERS_A_BATCH; j++) {
            put_answer(batch, stream, producer->client, NOW + (i * ANSWERS_A_BATCH + j) * 1000);
        }
        if (i == BATCHES_EACH - 1) {
            end(batch, stream);
        }
        number = writer_hand_over(writer, batch, i % 7 == 0 || i == BATCHES_EACH - 1);
    }
    assert_true(writer_wait_committed(writer, number, LONG_US));
    return NULL;
}

static void several_threads_hand_over_and_nothing_is_lost(void **state)
{
    (void)state;
    struct fixture f;
    struct producer producers[PRODUCERS];
    fixture_start(&f, &(struct writer_options){.queue_bytes = 8 * BATCH_BYTES, .commit_us = 1000});
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].fixture = &f;
        snprintf(producers[i].client, sizeof(producers[i].client), "192.0.2.%d", i + 1);
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i].thread, NULL);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(answers_of(&f, producers[i].client), BATCHES_EACH * ANSWERS_A_BATCH);
    }
    fixture_stop(&f);
}

static void set_file_limit(rlim_t octets)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets < limit.rlim_max ? octets : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_commit_that_fails_holds_nobody_up_and_is_tried_again(void **state)
{
    (void)state;
    struct fixture f;
    signal(SIGXFSZ, SIG_IGN);
    fixture_start(&f, &(struct writer_options){.commit_us = 20000, .heartbeat_us = US_PER_HOUR});
    struct batch *batch = writer_take(f.writer);
    struct stream *stream = begin(batch);
    put_answer(batch, stream, "192.0.2.1", NOW);
    assert_true(writer_wait_committed(f.writer, writer_hand_over(f.writer, batch, true), LONG_US));
    assert_int_equal(writer_error(f.writer), 0);

    set_file_limit(4096);
    batch = writer_take(f.writer);
    put_answer(batch, stream, "192.0.2.2", NOW);
    assert_true(writer_wait_committed(f.writer, writer_hand_over(f.writer, batch, true), LONG_US));
    assert_true(writer_error(f.writer) < 0);

    set_file_limit(RLIM_INFINITY);
    int64_t until_us = clock_monotonic_us() + LONG_US;
    while (writer_error(f.writer) != 0 && clock_monotonic_us() < until_us) {
        sched_yield();
    }
    assert_int_equal(writer_error(f.writer), 0);
    batch = writer_take(f.writer);
    put_answer(batch, stream, "192.0.2.3", NOW);
    end(batch, stream);
    assert_true(writer_wait_committed(f.writer, writer_hand_over(f.writer, batch, true), LONG_US));
    assert_int_equal(answers_of(&f, "192.0.2.1"), 1);
    assert_int_equal(answers_of(&f, "192.0.2.2"), 0);
    assert_int_equal(answers_of(&f, "192.0.2.3"), 1);
    fixture_stop(&f);
}

static void any_allocation_of_the_start_may_fail(void **state)
{
    (void)state;
    char dir[64];
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct writer *writer;
        alloc_fail_at(n);
        int err = writer_new(
            &writer, &(struct writer_options){.store = store, .queue_bytes = 8 * BATCH_BYTES});
        failed = alloc_failed();
        alloc_fail_at(0);
        /* The thread itself allocates too, and copes. */
        assert_int_equal(err == 0, writer != NULL);
        assert_true(err == 0 || err == -ENOMEM);
        writer_free(&writer);
    }
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_urgent_batch_is_committed_at_once),
        cmocka_unit_test(what_waits_is_committed_within_the_time),
        cmocka_unit_test(a_touch_brings_about_a_commit_though_nothing_was_handed_over),
        cmocka_unit_test(while_a_sender_is_connected_the_heart_beats),
        cmocka_unit_test(everything_handed_over_before_the_end_is_committed),
        cmocka_unit_test(a_full_queue_says_so_and_tells_when_there_is_room),
        cmocka_unit_test(several_threads_hand_over_and_nothing_is_lost),
        cmocka_unit_test(a_commit_that_fails_holds_nobody_up_and_is_tried_again),
        cmocka_unit_test(any_allocation_of_the_start_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
