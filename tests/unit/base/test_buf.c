/* tests/unit/base/test_buf.c -- a growing byte buffer, and JSON written into it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buf.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/support/alloc.h"

static void check_content(const struct buf *buf, const char *expected)
{
    assert_int_equal(buf->err, 0);
    assert_int_equal(buf->len, strlen(expected));
    assert_memory_equal(buf->data, expected, buf->len);
}

static void pieces_are_added_in_order(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add(&buf, "abc", 2);
    buf_str(&buf, "cd");
    buf_char(&buf, '-');
    buf_int(&buf, 0);
    buf_int(&buf, INT64_MAX);
    buf_int(&buf, INT64_MIN);
    buf_printf(&buf, "%s=%d", "x", 7);
    buf_add(&buf, NULL, 0);
    check_content(&buf, "abcd-09223372036854775807-9223372036854775808x=7");
    buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
}

static void a_buffer_grows_as_far_as_needed_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (int i = 0; i < 100000; i++) {
        buf_char(&buf, (char)('a' + i % 26));
    }
    assert_int_equal(buf.len, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], 'a' + i % 26);
    }
    size_t cap = buf.cap;
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, cap);
    buf_fini(&buf);
}

static void room_is_given_and_used_by_the_caller(void **state)
{
    (void)state;
    struct buf buf = {0};
    char *at = buf_room(&buf, 1000);
    assert_non_null(at);
    assert_int_equal(buf.len, 0);
    memcpy(at, "xyz", 3);
    buf.len += 3;
    check_content(&buf, "xyz");
    buf_fini(&buf);
}

static void a_limit_stops_everything_until_reset(void **state)
{
    (void)state;
    struct buf buf = {.max = 5};
    buf_str(&buf, "abcde");
    check_content(&buf, "abcde");
    buf_char(&buf, 'f');
    assert_int_equal(buf.err, W_ELIMIT);
    buf_add(&buf, "", 0);
    buf_str(&buf, "g");
    assert_null(buf_room(&buf, 1));
    assert_null(buf_room(&buf, SIZE_MAX));
    assert_int_equal(buf.len, 5);
    buf_reset(&buf);
    buf_str(&buf, "hi");
    check_content(&buf, "hi");
    buf_add(&buf, "toolong", 7);
    assert_int_equal(buf.err, W_ELIMIT);
    buf_fini(&buf);
    assert_int_equal(buf.max, 5);
}

static void a_failed_allocation_is_a_sticky_error_and_loses_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct buf buf = {0};
        alloc_fail_at(n);
        for (int i = 0; i < 2000; i++) {
            buf_str(&buf, "0123456789");
        }
        bool refused = alloc_failed() > 0;
        alloc_fail_at(0);
        assert_int_equal(buf.err, refused ? -ENOMEM : 0);
        assert_int_equal(buf.len % 10, 0);
        for (size_t i = 0; i < buf.len; i++) {
            assert_int_equal(buf.data[i], '0' + (int)(i % 10));
        }
        buf_fini(&buf);
        if (!refused) {
            assert_true(n > 3);
            return;
        }
    }
}

static const struct {
    const char *text;
    size_t len;
    const char *json;
} STRINGS[] = {
    {"", 0, "\"\""},
    {"plain", 5, "\"plain\""},
    {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
    {"\n\t\r", 3, "\"\\n\\t\\r\""},
    {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    /* a continuation octet alone, a cut sequence, and at the end */
    {"a\x80z", 3, "\"a\xef\xbf\xbdz\""},
    {"\xc3(", 2, "\"\xef\xbf\xbd(\""},
    {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    /* overlong, surrogate, beyond U+10FFFF */
    {"\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xe0\x80\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xf0\x80\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xf5\xff", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10,
     "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""},
    {"\xe2\x82\"", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\""},
};

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(STRINGS) / sizeof(STRINGS[0]); i++) {
        struct buf buf = {0};
        /* Exactly as large as the text, so that a sanitizer sees any read beyond it. */
        char *text = malloc(STRINGS[i].len > 0 ? STRINGS[i].len : 1);
        assert_non_null(text);
        memcpy(text, STRINGS[i].text, STRINGS[i].len);
        buf_json_str(&buf, text, STRINGS[i].len);
        check_content(&buf, STRINGS[i].json);
        free(text);
        buf_fini(&buf);
    }
}

static void json_keys_come_with_their_colon(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_json_key(&buf, "name");
    check_content(&buf, "\"name\":");
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_added_in_order),
        cmocka_unit_test(a_buffer_grows_as_far_as_needed_and_keeps_what_it_has),
        cmocka_unit_test(room_is_given_and_used_by_the_caller),
        cmocka_unit_test(a_limit_stops_everything_until_reset),
        cmocka_unit_test(a_failed_allocation_is_a_sticky_error_and_loses_nothing),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(json_keys_come_with_their_colon),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
