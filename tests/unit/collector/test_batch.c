/* tests/unit/collector/test_batch.c -- what is on its way to the index, as bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc.h"

static struct stream *any_stream(void)
{
    struct stream *stream = stream_new(&(struct stream){
        .kind = STREAM_LIVE,
        .cluster = "prod",
        .peer = "tcp:192.0.2.1:4711",
        .identity = (const uint8_t *)"dns-1",
        .identity_len = 5,
        .version = (const uint8_t *)"v1",
        .version_len = 2,
    });
    assert_non_null(stream);
    return stream;
}

static void a_stream_keeps_copies_of_its_texts(void **state)
{
    (void)state;
    struct stream *stream = any_stream();
    assert_string_equal(stream->cluster, "prod");
    assert_string_equal(stream->peer, "tcp:192.0.2.1:4711");
    assert_int_equal(stream->identity_len, 5);
    assert_memory_equal(stream->identity, "dns-1", 5);
    assert_memory_equal(stream->version, "v1", 2);
    free(stream);
}

static void texts_that_are_too_long_are_cut(void **state)
{
    (void)state;
    static char text[1001];
    memset(text, 'x', 1000);
    struct stream *stream = stream_new(&(struct stream){
        .peer = text,
        .identity = (const uint8_t *)text,
        .identity_len = 1000,
        .version = (const uint8_t *)text,
        .version_len = 1000,
    });
    assert_non_null(stream);
    assert_int_equal(stream->identity_len, STORE_IDENTITY_MAX);
    assert_int_equal(stream->version_len, STORE_IDENTITY_MAX);
    assert_int_equal(strlen(stream->peer), STORE_IDENTITY_MAX);
    free(stream);
}

static void records_come_back_in_order_with_their_answers(void **state)
{
    (void)state;
    struct stream *stream = any_stream();
    struct batch *batch = batch_new();
    assert_null(batch_next(batch, NULL));
    for (size_t len = 0; len < 40; len++) {
        struct record *record = batch_add(batch, RECORD_ANSWER, stream, len);
        assert_non_null(record);
        assert_int_equal(record->size % 8, 0);
        record->time_us = (int64_t)len;
        memset(record_answer(record), (int)len, len);
    }
    struct record *record = NULL;
    for (size_t len = 0; len < 40; len++) {
        record = batch_next(batch, record);
        assert_non_null(record);
        assert_int_equal(record->type, RECORD_ANSWER);
        assert_int_equal(record->time_us, len);
        assert_int_equal(record->answer_len, len);
        assert_ptr_equal(record->stream, stream);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(record_answer(record)[i], len);
        }
    }
    assert_null(batch_next(batch, record));
    free(batch);
    free(stream);
}

static void a_full_batch_takes_no_more_and_is_unchanged(void **state)
{
    (void)state;
    struct batch *batch = batch_new();
    size_t count = 0;
    while (batch_add(batch, RECORD_ASKED, NULL, 0) != NULL) {
        count++;
    }
    size_t len = batch->len;
    assert_int_equal(count, BATCH_BYTES / sizeof(struct record));
    assert_null(batch_add(batch, RECORD_ASKED, NULL, 0));
    assert_int_equal(batch->len, len);
    assert_true(len <= BATCH_BYTES);
    free(batch);
}

static void without_memory_there_is_neither_batch_nor_stream(void **state)
{
    (void)state;
    alloc_fail_at(1);
    assert_null(batch_new());
    alloc_fail_at(1);
    assert_null(stream_new(&(struct stream){.peer = ""}));
    alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_keeps_copies_of_its_texts),
        cmocka_unit_test(texts_that_are_too_long_are_cut),
        cmocka_unit_test(records_come_back_in_order_with_their_answers),
        cmocka_unit_test(a_full_batch_takes_no_more_and_is_unchanged),
        cmocka_unit_test(without_memory_there_is_neither_batch_nor_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
