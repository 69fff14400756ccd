/* tests/unit/join/test_source.c -- inputs that are fed, and what is looked at beforehand
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "tests/support/alloc.h"

/* Octets given in pieces of `piece`; after them `err`. */
struct feed {
    const char *bytes;
    size_t len;
    size_t piece;
    int err;
};

static int64_t give(void *ctx, char *data, size_t len, struct why *why)
{
    struct feed *feed = ctx;
    if (feed->len == 0 && feed->err != 0) {
        return why_set(why, feed->err, "no more");
    }
    len = len < feed->piece ? len : feed->piece;
    len = len < feed->len ? len : feed->len;
    memcpy(data, feed->bytes, len);
    feed->bytes += len;
    feed->len -= len;
    return (int64_t)len;
}

static struct input *open_feed(struct feed *feed, bool zlib, uint64_t max_bytes)
{
    struct input *input;
    const struct input_feed options = {"the body", give, feed, zlib, max_bytes, NULL};
    assert_int_equal(input_open_feed(&input, &options), 0);
    assert_string_equal(input_name(input), "the body");
    assert_false(input_is_file(input));
    return input;
}

/* Reads to the end; returns what the last input_read did. */
static int64_t read_all(struct input *input, char *text, struct why *why)
{
    int64_t got;
    size_t len = 0;
    while ((got = input_read(input, text + len, 7, why)) > 0) {
        len += (size_t)got;
    }
    text[len] = '\0';
    return got;
}

static void an_input_may_be_fed_and_peeked_at(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 20; piece++) {
        for (size_t peek = 0; peek < 20; peek++) {
            struct feed feed = {"hello, world", 12, piece, 0};
            struct input *input = open_feed(&feed, false, 0);
            char head[20], text[64];
            struct why why = {""};
            int64_t len = input_peek(input, head, peek, &why);
            assert_int_equal(len, peek < 12 ? peek : 12);
            assert_memory_equal(head, "hello, world", (size_t)len);
            assert_int_equal(read_all(input, text, &why), 0);
            assert_string_equal(text, "hello, world");
            assert_int_equal(input_consumed(input), 12);
            input_close(&input);
        }
    }
}

static size_t deflate_text(char *out, size_t room, const char *text, int bits)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)strlen(text);
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t len = room - stream.avail_out;
    deflateEnd(&stream);
    return len;
}

static void gzip_is_found_by_content_and_zlib_only_where_it_is_said(void **state)
{
    (void)state;
    char bytes[128], text[256];
    struct why why = {""};
    for (int zlib = 0; zlib < 2; zlib++) {
        size_t len = deflate_text(bytes, sizeof(bytes), "hello, world", zlib ? 15 : 31);
        struct feed feed = {bytes, len, 5, 0};
        struct input *input = open_feed(&feed, zlib, 0);
        char head[5];
        assert_int_equal(input_peek(input, head, 5, &why), 5);
        assert_memory_equal(head, "hello", 5);
        assert_int_equal(read_all(input, text, &why), 0);
        assert_string_equal(text, "hello, world");
        input_close(&input);
    }
}

static void what_is_longer_uncompressed_than_it_may_be_is_refused(void **state)
{
    (void)state;
    static char zeros[100001], bytes[1000], text[100001];
    struct why why = {""};
    memset(zeros, '0', sizeof(zeros) - 1);
    size_t len = deflate_text(bytes, sizeof(bytes), zeros, 31);
    struct feed feed = {bytes, len, sizeof(bytes), 0};
    struct input *input = open_feed(&feed, false, 100000);
    assert_int_equal(read_all(input, text, &why), 0);
    input_close(&input);
    feed = (struct feed){bytes, len, sizeof(bytes), 0};
    input = open_feed(&feed, false, 99999);
    assert_int_equal(read_all(input, text, &why), W_ELIMIT);
    assert_string_equal(why.text, "the body: more than 99999 octets uncompressed");
    input_close(&input);
}

static void an_error_of_the_feed_is_passed_on(void **state)
{
    (void)state;
    char text[64];
    struct why why = {""};
    struct feed feed = {"hello", 5, 3, -EIO};
    struct input *input = open_feed(&feed, false, 0);
    assert_int_equal(read_all(input, text, &why), -EIO);
    assert_string_equal(text, "hello");
    assert_string_equal(why.text, "no more");
    input_close(&input);
    feed = (struct feed){"hel", 3, 3, -EIO};
    input = open_feed(&feed, false, 0);
    assert_int_equal(input_peek(input, text, 4, &why), -EIO);
    input_close(&input);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct feed feed = {"", 0, 1, 0};
        struct input *input;
        const struct input_feed options = {"x", give, &feed, false, 0, NULL};
        alloc_fail_at(n);
        int err = input_open_feed(&input, &options);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        input_close(&input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_input_may_be_fed_and_peeked_at),
        cmocka_unit_test(gzip_is_found_by_content_and_zlib_only_where_it_is_said),
        cmocka_unit_test(what_is_longer_uncompressed_than_it_may_be_is_refused),
        cmocka_unit_test(an_error_of_the_feed_is_passed_on),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
