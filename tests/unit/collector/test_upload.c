/* tests/unit/collector/test_upload.c -- captures for the writer of a running service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/upload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"
#include "tests/support/tap_build.h"

#define NOW INT64_C(1779444000000000)

struct fixture {
    char dir[64];
    struct store *store;
    struct writer *writer;
    struct uploads uploads;
};

static const struct capture_options OPTIONS = {.cluster = "prod", .peer = "http:192.0.2.1"};

static void start(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    fixture_dir(fixture->dir);
    fixture->store = fixture_open(fixture->dir, STORE_WRITE);
    assert_int_equal(
        writer_new(&fixture->writer, &(struct writer_options){.store = fixture->store,
                                                              .queue_bytes = 4 * BATCH_BYTES}),
        0);
    fixture->uploads.writer = fixture->writer;
}

static void stop(struct fixture *fixture)
{
    assert_int_equal(atomic_load(&fixture->uploads.open), 0);
    writer_free(&fixture->writer);
    store_close(&fixture->store);
    fixture_remove(fixture->dir);
}

static bool add_count(void *ctx, const struct store_sighting *sighting)
{
    uint64_t *count = ctx;
    *count += sighting->count;
    return true;
}

static uint64_t answers_in(struct fixture *fixture, const char *cluster)
{
    uint64_t count = 0;
    struct store_view *view;
    struct addr client = fixture_addr("192.0.2.1");
    assert_int_equal(store_view_new(fixture->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, cluster, &client, NOW - US_PER_DAY, NOW + US_PER_DAY,
                                     add_count, &count),
                     0);
    store_view_free(&view);
    return count;
}

static void put_capture(struct buf *out, int frames)
{
    tap_control(out, fs_start());
    for (int i = 0; i < frames; i++) {
        tap_answer(out, "dns-1", "192.0.2.1", NOW + i * 1000, "example.com", "198.51.100.1");
    }
    tap_control(out, fs_stop());
}

static int push(struct upload *upload, const struct buf *input, struct why *why)
{
    return upload_push(upload, (const uint8_t *)input->data, input->len, why);
}

static void an_upload_is_committed_when_it_ends(void **state)
{
    (void)state;
    enum { FRAMES = 20000 }; /* several batches */
    struct fixture f;
    struct upload *upload;
    struct buf input = {0};
    struct buf summary = {0};
    struct why why = {""};
    start(&f);
    put_capture(&input, FRAMES);
    assert_int_equal(upload_begin(&upload, &f.uploads, &OPTIONS, &why), 0);
    for (size_t at = 0; at < input.len; at += 10000) {
        size_t len = input.len - at < 10000 ? input.len - at : 10000;
        assert_int_equal(upload_push(upload, (const uint8_t *)input.data + at, len, &why), 0);
    }
    assert_int_equal(upload_end(&upload, &summary, &why), 0);
    assert_null(upload);
    buf_char(&summary, '\0');
    assert_non_null(strstr(summary.data, "\"frames\":20000,\"answers\":20000,"));
    assert_int_equal(answers_in(&f, "prod"), FRAMES);
    assert_int_equal(answers_in(&f, "default"), 0);
    buf_fini(&summary);
    buf_fini(&input);
    stop(&f);
}

static void what_is_no_capture_is_the_senders_fault(void **state)
{
    (void)state;
    struct fixture f;
    struct upload *upload;
    struct buf summary = {0};
    struct why why = {""};
    start(&f);
    assert_int_equal(upload_begin(&upload, &f.uploads, &OPTIONS, &why), 0);
    assert_int_equal(upload_push(upload, (const uint8_t *)"hello world", 11, &why), W_EFORMAT);
    upload_abort(&upload);
    assert_int_equal(upload_begin(&upload, &f.uploads, &OPTIONS, &why), 0);
    assert_int_equal(upload_end(&upload, &summary, &why), W_EFORMAT);
    assert_string_equal(why.text, "empty");
    assert_int_equal(summary.len, 0);
    stop(&f);
}

static void an_upload_that_breaks_off_keeps_what_it_read(void **state)
{
    (void)state;
    struct fixture f;
    struct upload *upload;
    struct buf input = {0};
    struct why why = {""};
    start(&f);
    put_capture(&input, 10);
    input.len -= 50;
    assert_int_equal(upload_begin(&upload, &f.uploads, &OPTIONS, &why), 0);
    assert_int_equal(push(upload, &input, &why), 0);
    upload_abort(&upload);
    assert_null(upload);
    upload_abort(&upload);
    writer_free(&f.writer);
    assert_int_equal(answers_in(&f, "prod"), 9);
    buf_fini(&input);
    stop(&f);
}

static void one_upload_too_many_is_told_to_come_again(void **state)
{
    (void)state;
    struct fixture f;
    struct upload *uploads[UPLOADS_MAX + 1];
    struct why why = {""};
    start(&f);
    for (int i = 0; i < UPLOADS_MAX; i++) {
        assert_int_equal(upload_begin(&uploads[i], &f.uploads, &OPTIONS, &why), 0);
    }
    assert_int_equal(upload_begin(&uploads[UPLOADS_MAX], &f.uploads, &OPTIONS, &why), -EBUSY);
    assert_null(uploads[UPLOADS_MAX]);
    upload_abort(&uploads[0]);
    assert_int_equal(upload_begin(&uploads[0], &f.uploads, &OPTIONS, &why), 0);
    for (int i = 0; i < UPLOADS_MAX; i++) {
        upload_abort(&uploads[i]);
    }
    stop(&f);
}

static void a_cluster_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct upload *upload;
    struct why why = {""};
    char cluster[STORE_CLUSTER_MAX + 2];
    struct capture_options options = OPTIONS;
    memset(cluster, 'c', sizeof(cluster));
    cluster[STORE_CLUSTER_MAX + 1] = '\0';
    options.cluster = cluster;
    start(&f);
    assert_int_equal(upload_begin(&upload, &f.uploads, &options, &why), W_ELIMIT);
    cluster[STORE_CLUSTER_MAX] = '\0';
    assert_int_equal(upload_begin(&upload, &f.uploads, &options, &why), 0);
    upload_abort(&upload);
    stop(&f);
}

static void any_allocation_of_the_start_may_fail(void **state)
{
    (void)state;
    struct fixture f;
    struct why why = {""};
    start(&f);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct upload *upload;
        alloc_fail_at(n);
        int err = upload_begin(&upload, &f.uploads, &OPTIONS, &why);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        upload_abort(&upload);
    }
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_is_committed_when_it_ends),
        cmocka_unit_test(what_is_no_capture_is_the_senders_fault),
        cmocka_unit_test(an_upload_that_breaks_off_keeps_what_it_read),
        cmocka_unit_test(one_upload_too_many_is_told_to_come_again),
        cmocka_unit_test(a_cluster_name_that_is_too_long_is_refused),
        cmocka_unit_test(any_allocation_of_the_start_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
