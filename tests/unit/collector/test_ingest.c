/* tests/unit/collector/test_ingest.c -- captures and flow logs into an index that no service is
 * writing SPDX-License-Identifier: Apache-2.0
 */
#include "collector/ingest.h"

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
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"
#include "tests/support/tap_build.h"

#define NOW INT64_C(1779444000000000)

struct fixture {
    char dir[64];
    char path[128];
    struct store *store;
    struct ingest *ingest;
    struct capture_options options;
    uint64_t progress_octets;
    uint64_t progress_size;
};

static void on_progress(void *ctx, const struct capture_summary *summary, uint64_t octets,
                        uint64_t size)
{
    struct fixture *fixture = ctx;
    assert_true(summary->frames > 0);
    assert_true(octets > fixture->progress_octets);
    fixture->progress_octets = octets;
    fixture->progress_size = size;
}

static void start(struct fixture *f)
{
    char index[80];
    *f = (struct fixture){0};
    fixture_dir(f->dir);
    snprintf(index, sizeof(index), "%s/index", f->dir);
    snprintf(f->path, sizeof(f->path), "%s/dns.fstrm", f->dir);
    f->store = fixture_open(index, STORE_WRITE);
    f->options = (struct capture_options){.cluster = "default", .peer = f->path};
    assert_int_equal(ingest_new(&f->ingest, f->store, on_progress, f), 0);
}

static void stop(struct fixture *f)
{
    ingest_free(&f->ingest);
    store_close(&f->store);
    fixture_remove(f->dir);
}

/* Writes a capture of `frames` answers to the fixture's path, less the last `cut` octets. */
static size_t write_capture(struct fixture *f, int frames, size_t cut)
{
    struct buf out = {0};
    tap_control(&out, fs_start());
    for (int i = 0; i < frames; i++) {
        tap_answer(&out, "dns-1", "192.0.2.1", NOW + i * 1000, "example.com", "198.51.100.1");
    }
    tap_control(&out, fs_stop());
    size_t len = out.len - cut;
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(out.data, 1, len, file), len);
    fclose(file);
    buf_fini(&out);
    return len;
}

static int64_t read_file(void *ctx, char *data, size_t len, struct why *why)
{
    (void)why;
    return (int64_t)fread(data, 1, len, ctx);
}

static uint64_t consumed(void *ctx)
{
    return (uint64_t)ftell(ctx);
}

static int load(struct fixture *f, size_t size, struct capture_summary *summary, struct why *why)
{
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    const struct ingest_bytes bytes = {read_file, file, consumed, size};
    int err = ingest_capture(f->ingest, &bytes, &f->options, summary, why);
    fclose(file);
    return err;
}

static int64_t fail_to_read(void *ctx, char *data, size_t len, struct why *why)
{
    (void)ctx;
    (void)data;
    (void)len;
    return why_set(why, -EIO, "the disk is broken");
}

static bool add_count(void *ctx, const struct store_sighting *sighting)
{
    uint64_t *count = ctx;
    *count += sighting->count;
    return true;
}

static uint64_t answers(struct fixture *f)
{
    uint64_t count = 0;
    struct store_view *view;
    struct addr client = fixture_addr("192.0.2.1");
    assert_int_equal(store_view_new(f->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, "default", &client, NOW - US_PER_DAY, NOW + US_PER_DAY,
                                     add_count, &count),
                     0);
    store_view_free(&view);
    return count;
}

static void a_file_is_in_the_index_once_it_is_finished(void **state)
{
    (void)state;
    enum { FRAMES = 30000 };
    struct fixture f;
    struct capture_summary summary;
    struct why why = {""};
    start(&f);
    size_t size = write_capture(&f, FRAMES, 0);
    assert_int_equal(load(&f, size, &summary, &why), 0);
    assert_int_equal(summary.frames, FRAMES);
    assert_int_equal(summary.first_us, NOW);
    assert_int_equal(summary.last_us, NOW + (FRAMES - 1) * 1000);
    assert_int_equal(f.progress_octets, size);
    assert_int_equal(f.progress_size, size);
    assert_int_equal(answers(&f), 0);
    assert_int_equal(ingest_finish(f.ingest, &why), 0);
    assert_int_equal(answers(&f), FRAMES);
    stop(&f);
}

static void a_file_cut_in_mid_frame_keeps_what_is_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct capture_summary summary;
    struct why why = {""};
    start(&f);
    write_capture(&f, 100, 30);
    assert_int_equal(load(&f, 0, &summary, &why), 0);
    assert_int_equal(summary.cut, 1);
    assert_int_equal(summary.frames, 99);
    assert_int_equal(ingest_finish(f.ingest, &why), 0);
    assert_int_equal(answers(&f), 99);
    stop(&f);
}

static void files_that_cannot_be_read_leave_the_others_alone(void **state)
{
    (void)state;
    struct fixture f;
    struct capture_summary summary;
    struct why why = {""};
    start(&f);
    const struct ingest_bytes broken = {fail_to_read, NULL, consumed, 0};
    assert_int_equal(ingest_capture(f.ingest, &broken, &f.options, &summary, &why), -EIO);
    assert_string_equal(why.text, "the disk is broken");
    assert_int_equal(summary.frames, 0);
    FILE *file = fopen(f.path, "w");
    assert_non_null(file);
    fputs("not a capture\n", file);
    fclose(file);
    assert_int_equal(load(&f, 0, &summary, &why), W_EFORMAT);
    write_capture(&f, 3, 0);
    assert_int_equal(load(&f, 0, &summary, &why), 0);
    assert_int_equal(ingest_finish(f.ingest, &why), 0);
    assert_int_equal(answers(&f), 3);
    stop(&f);
}

/* What a row of a flow log says. */
static struct fact flow_fact(int64_t time_us, size_t answer_len)
{
    return (struct fact){
        .client = fixture_addr("192.0.2.1"),
        .time_us = time_us,
        .ttl_s = 60,
        .source = ANSWER_FROM_HUBBLE,
        .answer_len = answer_len,
        .identity = {(const uint8_t *)"hubble:node-1", 13},
    };
}

struct seen {
    size_t partial;
    size_t captures;
    int64_t from_us;
    int64_t to_us;
};

static bool note_stream(void *ctx, const struct store_stream *stream)
{
    struct seen *seen = ctx;
    assert_string_equal(stream->identity, "hubble:node-1");
    assert_int_equal(stream->end, STREAM_STOPPED);
    seen->partial += stream->kind == STREAM_PARTIAL;
    seen->captures += stream->kind == STREAM_CAPTURE;
    seen->from_us = stream->from_us;
    seen->to_us = stream->committed_us;
    return true;
}

/* Loads a log with one answer and one response without, and tells what the index then says. */
static enum store_cover load_log(struct fixture *f, struct seen *seen)
{
    static uint8_t answer[ANSWER_BYTES_MAX];
    struct capture_summary summary;
    struct store_view *view;
    struct why why = {""};
    size_t len = fixture_answer(answer, ANSWER_VIA_CLIENT, "example.com", "", "198.51.100.1");
    struct fact with = flow_fact(NOW, len);
    struct fact without = flow_fact(NOW + US_PER_S, 0);
    struct fact nobodys = flow_fact(NOW, len);
    nobodys.client = fixture_addr("0.0.0.0");
    ingest_flowlog_begin(f->ingest, &f->options);
    assert_int_equal(ingest_flowlog_add(f->ingest, &with, answer), 0);
    assert_int_equal(ingest_flowlog_add(f->ingest, &without, NULL), 0);
    assert_int_equal(ingest_flowlog_add(f->ingest, &nobodys, answer), 0);
    assert_int_equal(ingest_flowlog_end(f->ingest, &summary, &why), 0);
    assert_int_equal(summary.records, 3);
    assert_int_equal(summary.counts.kinds[FACT_ANSWER], 1);
    assert_int_equal(summary.counts.kinds[FACT_ASKED], 1);
    assert_int_equal(summary.counts.kinds[FACT_NO_CLIENT], 1);
    assert_int_equal(summary.first_us, NOW);
    assert_int_equal(summary.last_us, NOW + US_PER_S);
    assert_int_equal(ingest_finish(f->ingest, &why), 0);
    assert_int_equal(answers(f), 1);
    *seen = (struct seen){0};
    assert_int_equal(store_view_new(f->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_streams(view, note_stream, seen), 0);
    enum store_cover cover =
        store_cover(view, "default", NOW, NOW + 1, NOW + 10 * US_PER_S, US_PER_S);
    store_view_free(&view);
    return cover;
}

static void a_flow_log_gives_answers_and_covers_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct seen seen;
    start(&f);
    assert_int_equal(load_log(&f, &seen), COVER_GAP);
    assert_int_equal(seen.partial, 1);
    assert_int_equal(seen.captures, 0);
    assert_int_equal(seen.from_us, NOW);
    assert_int_equal(seen.to_us, NOW + US_PER_S);
    stop(&f);
}

static void a_flow_log_covers_what_its_user_says(void **state)
{
    (void)state;
    struct fixture f;
    struct seen seen;
    start(&f);
    f.options.covers_from_us = NOW - US_PER_S;
    f.options.covers_to_us = NOW + 5 * US_PER_S;
    assert_int_equal(load_log(&f, &seen), COVER_WHOLE);
    assert_int_equal(seen.partial, 0);
    assert_int_equal(seen.captures, 1);
    assert_int_equal(seen.to_us, NOW + 5 * US_PER_S);
    stop(&f);
}

static void an_index_that_cannot_be_written_ends_the_work(void **state)
{
    (void)state;
    struct fixture f;
    struct capture_summary summary;
    struct why why = {""};
    struct rlimit limit;
    start(&f);
    write_capture(&f, 5000, 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int err = load(&f, 0, &summary, &why);
    err = err == 0 ? ingest_finish(f.ingest, &why) : err;
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(err < 0);
    assert_non_null(strstr(why.text, "the index cannot be"));
    stop(&f);
}

static void any_allocation_of_the_start_may_fail(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct ingest *ingest;
        alloc_fail_at(n);
        int err = ingest_new(&ingest, f.store, NULL, NULL);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        ingest_free(&ingest);
    }
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_in_the_index_once_it_is_finished),
        cmocka_unit_test(a_file_cut_in_mid_frame_keeps_what_is_whole),
        cmocka_unit_test(files_that_cannot_be_read_leave_the_others_alone),
        cmocka_unit_test(a_flow_log_gives_answers_and_covers_nothing),
        cmocka_unit_test(a_flow_log_covers_what_its_user_says),
        cmocka_unit_test(an_index_that_cannot_be_written_ends_the_work),
        cmocka_unit_test(any_allocation_of_the_start_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
