/* tests/unit/collector/test_apply.c -- batches into the index, and what becomes of failed commits
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/apply.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define NOW INT64_C(1779444000000000)

struct index {
    char dir[64];
    struct store *store;
    struct applier applier;
    struct batch *batch;
    struct stream *stream;
};

static void index_open(struct index *index)
{
    fixture_dir(index->dir);
    index->store = fixture_open(index->dir, STORE_WRITE);
    index->batch = batch_new();
    assert_non_null(index->batch);
    applier_init(&index->applier, index->store, NULL);
    index->stream = stream_new(&(struct stream){.kind = STREAM_LIVE,
                                                .cluster = "default",
                                                .peer = "unix:/run/dnstap.sock",
                                                .identity = (const uint8_t *)"dns-1",
                                                .identity_len = 5,
                                                .from_us = NOW});
    batch_add(index->batch, RECORD_BEGIN, index->stream, 0);
}

static void index_close(struct index *index)
{
    free(index->batch);
    store_close(&index->store);
    fixture_remove(index->dir);
}

static void put_answer(struct index *index, const char *client, int64_t time_us, const char *name)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    size_t len = fixture_answer(bytes, ANSWER_VIA_CLIENT, name, "", "198.51.100.1");
    struct record *record = batch_add(index->batch, RECORD_ANSWER, index->stream, len);
    assert_non_null(record);
    record->time_us = time_us;
    record->ttl_s = 60;
    record->client = fixture_addr(client);
    memcpy(record_answer(record), bytes, len);
}

static void put_heard(struct index *index, int64_t time_us, int64_t late_us)
{
    struct record *record = batch_add(index->batch, RECORD_HEARD, index->stream, 0);
    assert_non_null(record);
    record->time_us = time_us;
    record->late_us = late_us;
}

static void put_end(struct index *index, enum store_stream_end end)
{
    struct record *record = batch_add(index->batch, RECORD_END, index->stream, 0);
    assert_non_null(record);
    record->end = (uint8_t)end;
}

static bool count_one(void *ctx, const struct store_sighting *sighting)
{
    size_t *count = ctx;
    *count += sighting->count;
    return true;
}

static size_t answers_of(struct store_view *view, const char *client)
{
    size_t count = 0;
    struct addr addr = fixture_addr(client);
    assert_int_equal(store_by_client(view, "default", &addr, NOW - US_PER_DAY, NOW + US_PER_DAY,
                                     count_one, &count),
                     0);
    return count;
}

static bool copy_stream(void *ctx, const struct store_stream *stream)
{
    struct store_stream *out = ctx;
    *out = *stream;
    assert_string_equal(stream->identity, "dns-1");
    return true;
}

static struct store_view *view_of(struct store *store)
{
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    return view;
}

static void what_a_batch_holds_is_in_the_index_after_the_commit(void **state)
{
    (void)state;
    struct index index;
    struct store_client seen;
    struct store_stream stream = {0};
    index_open(&index);
    put_answer(&index, "192.0.2.1", NOW + 10, "example.com");
    struct record *asked = batch_add(index.batch, RECORD_ASKED, index.stream, 0);
    asked->time_us = NOW + 20;
    asked->client = fixture_addr("192.0.2.2");
    put_heard(&index, NOW + 30 * US_PER_S, 10 * US_PER_S);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(index.batch->len, 0);
    assert_true(index.applier.dirty);
    assert_int_equal(index.applier.live_streams, 1);
    assert_int_equal(applier_commit(&index.applier), 0);
    assert_false(index.applier.dirty);

    struct store_view *view = view_of(index.store);
    assert_int_equal(answers_of(view, "192.0.2.1"), 1);
    assert_int_equal(answers_of(view, "192.0.2.2"), 0);
    struct addr client = fixture_addr("192.0.2.2");
    assert_int_equal(store_client_seen(view, "default", &client, NOW, NOW + US_PER_MIN, &seen), 0);
    assert_true(seen.asked);
    assert_int_equal(store_streams(view, copy_stream, &stream), 0);
    assert_int_equal(stream.end, STREAM_OPEN);
    /* The latest less the disorder. */
    assert_int_equal(stream.committed_us, NOW + 20 * US_PER_S);
    store_view_free(&view);

    put_end(&index, STREAM_STOPPED);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(index.applier.live_streams, 0);
    assert_int_equal(applier_commit(&index.applier), 0);
    view = view_of(index.store);
    assert_int_equal(store_streams(view, copy_stream, &stream), 0);
    assert_int_equal(stream.end, STREAM_STOPPED);
    store_view_free(&view);
    index_close(&index);
}

static void a_capture_covers_what_its_record_says(void **state)
{
    (void)state;
    struct index index;
    struct store_stream stream = {0};
    index_open(&index);
    index.stream->kind = STREAM_CAPTURE;
    struct record *covers = batch_add(index.batch, RECORD_COVERS, index.stream, 0);
    covers->time_us = NOW - US_PER_HOUR;
    covers->to_us = NOW + US_PER_HOUR;
    put_end(&index, STREAM_STOPPED);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(index.applier.live_streams, 0);
    assert_int_equal(applier_commit(&index.applier), 0);
    struct store_view *view = view_of(index.store);
    assert_int_equal(store_streams(view, copy_stream, &stream), 0);
    assert_int_equal(stream.from_us, NOW - US_PER_HOUR);
    assert_int_equal(stream.committed_us, NOW + US_PER_HOUR);
    store_view_free(&view);
    index_close(&index);
}

static bool find_loss(void *ctx, const struct store_blind *blind)
{
    uint64_t *lost = ctx;
    *lost += strcmp(blind->reason, "disk-full") == 0 ? blind->lost : 0;
    return true;
}

static bool find_unusable(void *ctx, const struct store_blind *blind)
{
    struct store_blind *found = ctx;
    if (strcmp(blind->reason, "unusable-frames") == 0) {
        *found = *blind;
    }
    return true;
}

static void what_came_in_unusable_frames_is_blind_though_the_sender_is_there(void **state)
{
    (void)state;
    struct index index;
    struct store_blind found = {0};
    index_open(&index);
    struct record *lost = batch_add(index.batch, RECORD_LOST, index.stream, 0);
    lost->time_us = NOW - US_PER_S;
    lost->to_us = NOW;
    lost->count = 3;
    put_end(&index, STREAM_STOPPED);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    struct store_view *view = view_of(index.store);
    assert_int_equal(store_blinds(view, "default", NOW - US_PER_HOUR, NOW + US_PER_HOUR,
                                  NOW + US_PER_HOUR, find_unusable, &found),
                     0);
    assert_int_equal(found.from_us, NOW - US_PER_S);
    assert_int_equal(found.to_us, NOW);
    assert_int_equal(found.lost, 3);
    store_view_free(&view);
    index_close(&index);
}

static void put_tally(struct index *index, uint64_t answers)
{
    struct tally tally = {.frames[TALLY_ANSWER] = answers, .search_answers = 1};
    struct record *record = batch_add(index->batch, RECORD_TALLY, index->stream, sizeof(tally));
    memcpy(record_answer(record), &tally, sizeof(tally));
}

static void tallies_add_up_and_go_with_their_stream(void **state)
{
    (void)state;
    struct index index;
    struct tally tally;
    index_open(&index);
    put_tally(&index, 3);
    put_heard(&index, NOW, 0);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    put_tally(&index, 4);
    uint32_t number = index.stream->number;
    put_end(&index, STREAM_STOPPED);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    struct store_view *view = view_of(index.store);
    assert_int_equal(store_tally(view, number, &tally), 0);
    assert_int_equal(tally.frames[TALLY_ANSWER], 7);
    assert_int_equal(tally.search_answers, 2);
    assert_int_equal(store_tally(view, number + 1, &tally), 0);
    assert_int_equal(tally.frames[TALLY_ANSWER], 0);
    /* Past the retention the stream goes, and its tally with it. */
    store_retain(index.store, NOW + 10 * US_PER_DAY, US_PER_DAY);
    assert_int_equal(applier_commit(&index.applier), 0);
    assert_int_equal(store_tally(view, number, &tally), 0);
    assert_int_equal(tally.frames[TALLY_ANSWER], 0);
    store_view_free(&view);
    index_close(&index);
}

static uint64_t lost_answers(struct store_view *view)
{
    uint64_t lost = 0;
    assert_int_equal(store_blinds(view, "default", NOW - US_PER_DAY, NOW + US_PER_DAY,
                                  NOW + US_PER_DAY, find_loss, &lost),
                     0);
    return lost;
}

/* Files may not grow: the kernel then answers EFBIG, as a full disk answers ENOSPC. */
static void set_file_limit(rlim_t octets)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets < limit.rlim_max ? octets : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_failed_commit_is_a_loss_and_the_next_one_succeeds(void **state)
{
    (void)state;
    struct index index;
    signal(SIGXFSZ, SIG_IGN);
    index_open(&index);
    put_answer(&index, "192.0.2.1", NOW, "example.com");
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);

    set_file_limit(4096);
    for (int i = 0; i < 200; i++) {
        put_answer(&index, "192.0.2.1", NOW + 1000 + i, "lost.example.com");
    }
    applier_apply(&index.applier, index.batch);
    int err = applier_commit(&index.applier);
    assert_true(err < 0);
    assert_int_equal(index.applier.failures, 1);
    assert_true(index.applier.dirty);

    set_file_limit(RLIM_INFINITY);
    put_answer(&index, "192.0.2.1", NOW + US_PER_MIN, "example.com");
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    struct store_view *view = view_of(index.store);
    assert_int_equal(answers_of(view, "192.0.2.1"), 2);
    assert_int_equal(lost_answers(view), 200);
    store_view_free(&view);
    put_end(&index, STREAM_CUT);
    applier_apply(&index.applier, index.batch);
    index_close(&index);
}

static void answers_the_store_cannot_even_take_are_a_loss_too(void **state)
{
    (void)state;
    struct index index;
    signal(SIGXFSZ, SIG_IGN);
    index_open(&index);
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    /* The first answer of a day makes that day's file. */
    set_file_limit(4096);
    for (int i = 0; i < 5; i++) {
        put_answer(&index, "192.0.2.1", NOW + i, "example.com");
    }
    applier_apply(&index.applier, index.batch);
    set_file_limit(RLIM_INFINITY);
    applier_commit(&index.applier);
    put_answer(&index, "192.0.2.1", NOW + US_PER_MIN, "example.com");
    applier_apply(&index.applier, index.batch);
    assert_int_equal(applier_commit(&index.applier), 0);
    struct store_view *view = view_of(index.store);
    assert_int_equal(answers_of(view, "192.0.2.1") + lost_answers(view), 6);
    assert_true(answers_of(view, "192.0.2.1") >= 1);
    store_view_free(&view);
    put_end(&index, STREAM_CUT);
    applier_apply(&index.applier, index.batch);
    index_close(&index);
}

struct kept {
    char hint[64];
    size_t saves;
};

static void keep_hint(void *ctx, const char *cluster, const struct addr *client, int64_t time_us,
                      const char *pod, size_t len)
{
    struct kept *kept = ctx;
    snprintf(kept->hint, sizeof(kept->hint), "%s .%d %d %.*s", cluster, client->b[15],
             (int)(time_us - NOW), (int)len, pod);
}

/* What is given to the store here is in the commit that follows. */
static void save(void *ctx, struct store *store)
{
    struct kept *kept = ctx;
    struct addr addr = fixture_addr("192.0.2.7");
    const struct store_owner owner = {.id = ++kept->saves,
                                      .cluster = "default",
                                      .namespace = "shop",
                                      .name = "cart-1",
                                      .uid = "",
                                      .workload_kind = "",
                                      .workload = "",
                                      .node = "",
                                      .labels = "",
                                      .to_us = INT64_MAX,
                                      .address_count = 1,
                                      .addresses = &addr};
    assert_int_equal(store_owner(store, &owner), 0);
}

static bool count_owner(void *ctx, const struct store_owner *owner)
{
    assert_string_equal(owner->name, "cart-1");
    ++*(size_t *)ctx;
    return true;
}

static void hints_go_to_the_keeper_of_owners_who_saves_before_each_commit(void **state)
{
    (void)state;
    struct index index;
    struct kept kept = {0};
    size_t owners = 0;
    const struct owner_keeper keeper = {&kept, keep_hint, save};
    index_open(&index);
    for (int with = 0; with < 2; with++) {
        struct record *record = batch_add(index.batch, RECORD_HINT, index.stream, 11);
        record->time_us = NOW + 5;
        record->client = fixture_addr("192.0.2.7");
        memcpy(record_answer(record), "shop/cart-1", 11);
        applier_apply(&index.applier, index.batch);
        assert_string_equal(kept.hint, with ? "default .7 5 shop/cart-1" : "");
        assert_int_equal(applier_commit(&index.applier), 0);
        index.applier.owners = &keeper;
    }
    struct store_view *view = view_of(index.store);
    assert_int_equal(store_owners(view, 0, count_owner, &owners), 0);
    assert_int_equal(owners, 1);
    assert_int_equal(kept.saves, 1);
    store_view_free(&view);
    put_end(&index, STREAM_CUT);
    applier_apply(&index.applier, index.batch);
    index_close(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_batch_holds_is_in_the_index_after_the_commit),
        cmocka_unit_test(a_capture_covers_what_its_record_says),
        cmocka_unit_test(what_came_in_unusable_frames_is_blind_though_the_sender_is_there),
        cmocka_unit_test(hints_go_to_the_keeper_of_owners_who_saves_before_each_commit),
        cmocka_unit_test(tallies_add_up_and_go_with_their_stream),
        cmocka_unit_test(a_failed_commit_is_a_loss_and_the_next_one_succeeds),
        cmocka_unit_test(answers_the_store_cannot_even_take_are_a_loss_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
