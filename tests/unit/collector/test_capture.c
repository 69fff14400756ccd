/* tests/unit/collector/test_capture.c -- a Frame Streams capture on its way to the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each capture is given whole, split in two at every octet, and octet by octet: the outcome must be
 * the same.
 */
#include "collector/capture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/tap_build.h"

#define NOW INT64_C(1779444000000000)

/* What came of one capture. */
struct outcome {
    int push_err;
    int end_err;
    struct why why;
    struct capture_summary summary;
    size_t records[RECORD_END + 1];
    int64_t covers_from_us;
    int64_t covers_to_us;
};

struct sink {
    struct outlet outlet;
    struct outcome *outcome;
};

static int flush_sink(struct outlet *outlet)
{
    struct sink *sink = outlet->ctx;
    struct record *record = NULL;
    while (outlet->batch != NULL && (record = batch_next(outlet->batch, record)) != NULL) {
        sink->outcome->records[record->type]++;
        if (record->type == RECORD_COVERS) {
            sink->outcome->covers_from_us = record->time_us;
            sink->outcome->covers_to_us = record->to_us;
        } else if (record->type == RECORD_END) {
            free(record->stream);
        }
    }
    free(outlet->batch);
    outlet->batch = batch_new();
    return 0;
}

/* Loads `input` in pieces of `first` octets and then `rest` octets each. */
static struct outcome load(const struct capture_options *options, const struct buf *input,
                           size_t first, size_t rest)
{
    struct outcome outcome = {0};
    struct sink *sink = calloc(1, sizeof(*sink));
    struct capture capture;
    sink->outlet.flush = flush_sink;
    sink->outlet.ctx = sink;
    sink->outcome = &outcome;
    capture_init(&capture, options, &sink->outlet);
    size_t at = 0;
    for (size_t step = first; at < input->len && outcome.push_err == 0; step = rest) {
        size_t len = step < input->len - at ? step : input->len - at;
        outcome.push_err =
            capture_push(&capture, (const uint8_t *)input->data + at, len, &outcome.why);
        at += len;
    }
    struct why why = {""};
    outcome.end_err = capture_end(&capture, &why);
    if (outcome.push_err == 0) {
        outcome.why = why;
    }
    outcome.summary = capture.summary;
    flush_sink(&sink->outlet);
    free(sink->outlet.batch);
    capture_fini(&capture);
    free(sink);
    return outcome;
}

static const struct capture_options OPTIONS = {.cluster = "default", .peer = "dns.fstrm"};

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->push_err, b->push_err);
    assert_int_equal(a->end_err, b->end_err);
    assert_memory_equal(&a->summary, &b->summary, sizeof(a->summary));
    /* HEARD is written once a push. */
    assert_int_equal(a->records[RECORD_BEGIN], b->records[RECORD_BEGIN]);
    assert_int_equal(a->records[RECORD_ANSWER], b->records[RECORD_ANSWER]);
    assert_int_equal(a->records[RECORD_COVERS], b->records[RECORD_COVERS]);
    assert_int_equal(a->records[RECORD_END], b->records[RECORD_END]);
}

/* Loads it in every split and returns the one outcome. */
static struct outcome load_split(const struct capture_options *options, const struct buf *input)
{
    struct outcome whole = load(options, input, input->len, input->len);
    struct outcome single = load(options, input, 1, 1);
    assert_same(&whole, &single);
    for (size_t at = 1; at < input->len; at++) {
        struct outcome split = load(options, input, at, input->len);
        assert_same(&whole, &split);
    }
    return whole;
}

static void put_capture(struct buf *out, const char *identity, int64_t time_us, int frames)
{
    tap_control(out, fs_start());
    for (int i = 0; i < frames; i++) {
        tap_answer(out, identity, "192.0.2.1", time_us + i, "example.com", "198.51.100.1");
    }
    tap_control(out, fs_stop());
}

static void a_capture_is_one_stream_that_covers_its_frames(void **state)
{
    (void)state;
    struct buf input = {0};
    put_capture(&input, "dns-1", NOW, 3);
    struct outcome outcome = load_split(&OPTIONS, &input);
    assert_int_equal(outcome.push_err, 0);
    assert_int_equal(outcome.end_err, 0);
    assert_int_equal(outcome.summary.frames, 3);
    assert_int_equal(outcome.summary.counts.kinds[FACT_ANSWER], 3);
    assert_int_equal(outcome.summary.first_us, NOW);
    assert_int_equal(outcome.summary.last_us, NOW + 2);
    assert_int_equal(outcome.summary.cut, 0);
    assert_int_equal(outcome.records[RECORD_BEGIN], 1);
    assert_int_equal(outcome.records[RECORD_END], 1);
    assert_int_equal(outcome.covers_from_us, NOW);
    assert_int_equal(outcome.covers_to_us, NOW + 2);
    buf_fini(&input);
}

static void captures_one_after_another_are_read_as_one(void **state)
{
    (void)state;
    struct buf input = {0};
    put_capture(&input, "dns-1", NOW, 2);
    put_capture(&input, "dns-2", NOW + 10, 2);
    struct outcome outcome = load_split(&OPTIONS, &input);
    assert_int_equal(outcome.push_err, 0);
    assert_int_equal(outcome.end_err, 0);
    assert_int_equal(outcome.summary.frames, 4);
    assert_int_equal(outcome.records[RECORD_BEGIN], 2);
    assert_int_equal(outcome.summary.first_us, NOW);
    assert_int_equal(outcome.summary.last_us, NOW + 11);
    buf_fini(&input);
}

static void a_capture_that_ends_anywhere_keeps_every_whole_frame(void **state)
{
    (void)state;
    struct buf input = {0};
    put_capture(&input, "dns-1", NOW, 2);
    size_t whole = input.len;
    size_t frames = 0;
    for (size_t len = 0; len < whole; len++) {
        input.len = len;
        struct outcome outcome = load(&OPTIONS, &input, len + 1, len + 1);
        assert_int_equal(outcome.push_err, 0);
        if (len < fs_start().len) {
            assert_int_equal(outcome.end_err, W_EFORMAT);
            continue;
        }
        assert_int_equal(outcome.end_err, 0);
        assert_true(outcome.summary.frames >= frames);
        frames = outcome.summary.frames;
        assert_true(outcome.summary.cut <= 1);
    }
    assert_int_equal(frames, 2);
    input.len = whole;
    buf_fini(&input);
}

struct bad_case {
    const char *name;
    const char *octets;
    size_t len;
    int err;
    const char *why; /* part of it */
};

/* clang-format off */
static const struct bad_case BAD[] = {
    {"nothing", "", 0, W_EFORMAT, "empty"},
    {"text", "hello world, this is text", 25, W_EFORMAT, "not Frame Streams"},
    {"gzip", "\x1f\x8b\x08\0\0\0\0\0\0\0\0\0", 12, W_EFORMAT, "gzip"},
    {"zstd", "\x28\xb5\x2f\xfd\0\0\0\0\0\0\0\0", 12, W_EFORMAT, "zstd"},
    {"another content type",
     /* escape, length 22, START, content type, length 10 */
     "\0\0\0\0\0\0\0\x16\0\0\0\2\0\0\0\1\0\0\0\x0atest:hello", 30, W_EFORMAT, "test:hello"},
};
/* clang-format on */

static void what_is_no_capture_is_called_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct buf input = {0};
        buf_add(&input, BAD[i].octets, BAD[i].len);
        struct outcome outcome = load(&OPTIONS, &input, input.len, input.len);
        int err = outcome.push_err != 0 ? outcome.push_err : outcome.end_err;
        if (err != BAD[i].err || strstr(outcome.why.text, BAD[i].why) == NULL) {
            fail_msg("%s: %d: %s", BAD[i].name, err, outcome.why.text);
        }
        assert_int_equal(outcome.records[RECORD_BEGIN], 0);
        buf_fini(&input);
    }
}

static void damage_is_named_by_its_place_and_what_is_before_it_is_kept(void **state)
{
    (void)state;
    struct buf input = {0};
    char place[32];
    tap_control(&input, fs_start());
    tap_answer(&input, "dns-1", "192.0.2.1", NOW, "example.com", "198.51.100.1");
    snprintf(place, sizeof(place), "byte %zu", input.len + fs_ready().len);
    tap_control(&input, fs_ready()); /* not here */
    tap_answer(&input, "dns-1", "192.0.2.1", NOW, "example.com", "198.51.100.1");
    struct outcome outcome = load_split(&OPTIONS, &input);
    assert_int_equal(outcome.push_err, W_ESYNTAX);
    assert_non_null(strstr(outcome.why.text, place));
    assert_int_equal(outcome.end_err, 0);
    assert_int_equal(outcome.summary.frames, 1);
    assert_int_equal(outcome.records[RECORD_ANSWER], 1);
    assert_int_equal(outcome.records[RECORD_COVERS], 1);
    assert_int_equal(outcome.records[RECORD_END], 1);
    buf_fini(&input);
}

static void a_frame_longer_than_the_limit_is_counted_and_skipped(void **state)
{
    (void)state;
    struct buf input = {0};
    tap_control(&input, fs_start());
    buf_add(&input, "\0\x20\0\0", 4);
    char *room = buf_room(&input, 0x200000);
    assert_non_null(room);
    memset(room, 'x', 0x200000);
    input.len += 0x200000;
    tap_answer(&input, "dns-1", "192.0.2.1", NOW, "example.com", "198.51.100.1");
    struct outcome outcome = load(&OPTIONS, &input, 100000, 100000);
    assert_int_equal(outcome.push_err, 0);
    assert_int_equal(outcome.summary.oversize, 1);
    assert_int_equal(outcome.summary.frames, 1);
    buf_fini(&input);
}

static void what_its_user_says_it_covers_counts_even_without_a_frame(void **state)
{
    (void)state;
    struct buf input = {0};
    struct capture_options options = OPTIONS;
    options.covers_from_us = NOW;
    options.covers_to_us = NOW + US_PER_HOUR;
    put_capture(&input, "dns-1", NOW, 0);
    struct outcome outcome = load(&options, &input, input.len, input.len);
    assert_int_equal(outcome.end_err, 0);
    assert_int_equal(outcome.records[RECORD_BEGIN], 1);
    assert_int_equal(outcome.covers_from_us, NOW);
    assert_int_equal(outcome.covers_to_us, NOW + US_PER_HOUR);
    buf_fini(&input);
}

static void the_summary_is_one_json_object(void **state)
{
    (void)state;
    struct buf input = {0};
    struct buf json = {0};
    put_capture(&input, "dns-1", NOW, 2);
    struct outcome outcome = load(&OPTIONS, &input, input.len, input.len);
    struct capture_summary sum = {0};
    capture_add(&sum, &outcome.summary);
    capture_add(&sum, &outcome.summary);
    capture_json(&sum, &json);
    buf_char(&json, '\0');
    assert_string_equal(json.data,
                        "{\"frames\":4,\"answers\":4,\"no_address\":0,\"skipped\":{"
                        "\"other-type\":0,\"bad-dnstap\":0,\"bad-dns\":0,\"no-client\":0,"
                        "\"no-time\":0,\"no-message\":0,\"refused-time\":0,\"oversize\":0},"
                        "\"cut\":0,\"first\":\"2026-05-22T10:00:00.000000Z\","
                        "\"last\":\"2026-05-22T10:00:00.000001Z\"}");
    buf_reset(&json);
    capture_json(&(struct capture_summary){0}, &json);
    buf_char(&json, '\0');
    assert_non_null(strstr(json.data, "\"first\":null,\"last\":null}"));
    buf_fini(&json);
    buf_fini(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capture_is_one_stream_that_covers_its_frames),
        cmocka_unit_test(captures_one_after_another_are_read_as_one),
        cmocka_unit_test(a_capture_that_ends_anywhere_keeps_every_whole_frame),
        cmocka_unit_test(what_is_no_capture_is_called_what_it_is),
        cmocka_unit_test(damage_is_named_by_its_place_and_what_is_before_it_is_kept),
        cmocka_unit_test(a_frame_longer_than_the_limit_is_counted_and_skipped),
        cmocka_unit_test(what_its_user_says_it_covers_counts_even_without_a_frame),
        cmocka_unit_test(the_summary_is_one_json_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
