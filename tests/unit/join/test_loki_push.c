/* tests/unit/join/test_loki_push.c -- Loki's push protocol as the JSON form
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_push.h"

#include <errno.h>
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc.h"

/* The octets of a request, by field. */
/* clang-format off */
static const struct {
    const char *bytes;
    size_t len;
    const char *json; /* NULL: it is refused */
} REQUESTS[] = {
#define REQUEST(BYTES, JSON) {BYTES, sizeof(BYTES) - 1, JSON}
    REQUEST("", "{\"streams\":[]}"),
    REQUEST("\x0a\x00" /* streams: nothing in it */, "{\"streams\":[{\"stream\":{},\"values\":[]}]}"),
    REQUEST("\x0a\x25" /* streams */
            "\x0a\x11" "{job=\"x\", n=\"\\\"\"}" /* labels */
            "\x12\x10" /* entries */
            "\x0a\x09" "\x08\x81\x94\xeb\xdc\x03\x10\x95\x9a" /* timestamp, cut in its last varint */
            "\x12\x03" "abc", NULL),
    REQUEST("\x0a\x26" /* streams */
            "\x0a\x11" "{job=\"x\", n=\"\\\"\"}" /* labels */
            "\x12\x11" /* entries */
            "\x0a\x09" "\x08\x81\xa8\xc0\xd0\x06\x10\x95\x01" /* timestamp 1779438593 s, 149 ns */
            "\x12\x04" "a\"\xff" "b" /* line, not UTF-8 */,
            "{\"streams\":[{\"stream\":{\"job\":\"x\",\"n\":\"\\\"\"},\"values\":"
            "[[\"1779438593000000149\",\"a\\\"\xef\xbf\xbd" "b\"]]}]}"),
    /* Two entries, the second without a time, structured metadata and a hash, both passed over. */
    REQUEST("\x0a\x0e" /* streams */
            "\x12\x05" "\x12\x01" "a" "\x1a\x00" /* entry: line, structuredMetadata */
            "\x12\x03" "\x12\x01" "b" /* entry: line */
            "\x18\x07" /* hash */,
            "{\"streams\":[{\"stream\":{},\"values\":[[\"0\",\"a\"],[\"0\",\"b\"]]}]}"),
    REQUEST("\x0a\x06" "\x0a\x04" "{a=b" /* labels that are none */, "{\"streams\":[{\"stream\":{},\"values\":[]}]}"),
    REQUEST("\x0a\x05" "\x12\x01", NULL) /* a stream that is cut */,
    REQUEST("\x0a\x02" "\x12\x05", NULL) /* an entry that is cut */,
    REQUEST("\x0b", NULL) /* a group, which nobody writes any more */,
    REQUEST("\x00", NULL) /* field 0 */,
    REQUEST("\x80", NULL) /* a tag that is cut */,
};
/* clang-format on */

static int convert(const char *bytes, size_t len, size_t max_len, struct buf *json)
{
    struct why why = {""};
    size_t size = snappy_max_compressed_length(len);
    char *squeezed = malloc(size);
    assert_non_null(squeezed);
    assert_int_equal(snappy_compress(bytes, len, squeezed, &size), SNAPPY_OK);
    char *copy = malloc(size); /* so that a sanitizer sees a read beyond it */
    assert_non_null(copy);
    memcpy(copy, squeezed, size);
    int err = loki_push_json((const uint8_t *)copy, size, max_len, json, &why);
    assert_true(err == 0 || why.text[0] != '\0');
    free(copy);
    free(squeezed);
    return err;
}

static void each_request_becomes_a_loki_document(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(REQUESTS) / sizeof(REQUESTS[0]); i++) {
        struct buf json = {0};
        int err = convert(REQUESTS[i].bytes, REQUESTS[i].len, 1000, &json);
        buf_char(&json, '\0');
        if (err != (REQUESTS[i].json == NULL ? W_ESYNTAX : 0) ||
            (err == 0 && strcmp(json.data, REQUESTS[i].json) != 0)) {
            fail_msg("%zu: %d, %s", i, err, json.data);
        }
        buf_fini(&json);
    }
}

static void what_is_too_long_is_refused_before_it_is_unpacked(void **state)
{
    (void)state;
    struct buf json = {0};
    static const char STREAM[] = "\x0a\x06"
                                 "\x12\x04"
                                 "\x12\x02"
                                 "ab";
    assert_int_equal(convert(STREAM, 8, 8, &json), 0);
    assert_int_equal(convert(STREAM, 8, 7, &json), W_ELIMIT);
    buf_fini(&json);
    json.max = 20;
    assert_int_equal(convert(STREAM, 8, 8, &json), W_ELIMIT);
    buf_fini(&json);
}

static void what_is_not_snappy_is_refused(void **state)
{
    (void)state;
    struct buf json = {0};
    struct why why = {""};
    static const uint8_t BYTES[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t TEXT[] = "{\"streams\":[]}";
    assert_int_equal(loki_push_json(BYTES, sizeof(BYTES), 1000, &json, &why), W_ESYNTAX);
    assert_int_equal(loki_push_json(BYTES, 0, 1000, &json, &why), W_ESYNTAX);
    assert_int_equal(loki_push_json(TEXT, sizeof(TEXT), 1000, &json, &why), W_ESYNTAX);
    assert_non_null(strstr(why.text, "Snappy"));
    buf_fini(&json);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    size_t size = snappy_max_compressed_length(REQUESTS[3].len);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(snappy_compress(REQUESTS[3].bytes, REQUESTS[3].len, bytes, &size), SNAPPY_OK);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct buf json = {0};
        struct why why = {""};
        alloc_fail_at(n);
        int err = loki_push_json((const uint8_t *)bytes, size, 1000, &json, &why);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        buf_fini(&json);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_becomes_a_loki_document),
        cmocka_unit_test(what_is_too_long_is_refused_before_it_is_unpacked),
        cmocka_unit_test(what_is_not_snappy_is_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
