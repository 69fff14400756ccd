/* tests/unit/join/test_values.c -- JSON objects that do not stand one on a line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "join/format.h"

static const struct {
    const char *text;
    const char *objects; /* each followed by a line feed; "!..." is the error at the end */
    bool whole;
} INPUTS[] = {
    /* Fluent Bit's json, Vector's json */
    {"[{\"a\":1},{\"b\":{\"c\":[1,{}]}}]", "{\"a\":1}\n{\"b\":{\"c\":[1,{}]}}\n", true},
    {" [ {} , {} ]\n", "{}\n{}\n", true},
    {"[]", "", true},
    {"[{}][{}]", "{}\n{}\n", true},
    /* Fluent Bit's json_stream */
    {"{\"a\":1}{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n", true},
    /* lines, and pretty ones */
    {"{\"a\":1}\n{\n \"b\": 2\n}\n", "{\"a\":1}\n{\n \"b\": 2\n}\n", true},
    /* Brackets and quotes within strings. */
    {"[{\"a\":\"}]{\\\"\"},{\"\\\\\":\"[\"}]", "{\"a\":\"}]{\\\"\"}\n{\"\\\\\":\"[\"}\n", true},
    {"", "", true},
    {"\n", "", true},
    /* Cut, or something else. */
    {"[{\"a\":1},{\"b\"", "{\"a\":1}\n", false},
    {"[{\"a\":1}", "{\"a\":1}\n", false},
    {"[{\"a\":1},2]", "{\"a\":1}\n!a JSON object was expected", false},
    {"[[{}]]", "!a JSON object was expected", false},
    {"{}x", "{}\n!a JSON object was expected", true},
    {"]", "!a JSON object was expected", true},
};

/* Splits `text` given in pieces of `size` octets. */
static bool split(const char *text, size_t size, struct buf *out)
{
    struct values values;
    struct text object;
    enum values_event event = VALUES_AGAIN;
    size_t len = strlen(text);
    values_init(&values);
    for (size_t at = 0; at < len && event != VALUES_ERROR; at += size) {
        size_t piece = size < len - at ? size : len - at;
        char *copy = malloc(piece); /* so that a sanitizer sees a read beyond it */
        assert_non_null(copy);
        memcpy(copy, text + at, piece);
        values_push(&values, copy, piece);
        while ((event = values_next(&values, &object)) == VALUES_OBJECT) {
            buf_add(out, object.data, object.len);
            buf_char(out, '\n');
        }
        assert_int_not_equal(event, VALUES_OVERSIZE);
        free(copy);
    }
    if (event == VALUES_ERROR) {
        buf_char(out, '!');
        buf_str(out, values.what);
    }
    bool whole = values_whole(&values);
    values_fini(&values);
    buf_char(out, '\0');
    return whole;
}

static void objects_come_out_of_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(INPUTS) / sizeof(INPUTS[0]); i++) {
        for (size_t size = 1; size < 9; size++) {
            struct buf out = {0};
            bool whole = split(INPUTS[i].text, size, &out);
            if (strcmp(out.data, INPUTS[i].objects) != 0 || whole != INPUTS[i].whole) {
                fail_msg("%s in pieces of %zu: %s", INPUTS[i].text, size, out.data);
            }
            buf_fini(&out);
        }
    }
}

static void an_object_that_is_too_long_is_passed_over(void **state)
{
    (void)state;
    struct values values;
    struct text object;
    static char blank[RECORD_LEN_MAX];
    memset(blank, ' ', sizeof(blank));
    values_init(&values);
    values_push(&values, "[{", 2);
    assert_int_equal(values_next(&values, &object), VALUES_AGAIN);
    values_push(&values, blank, sizeof(blank));
    assert_int_equal(values_next(&values, &object), VALUES_AGAIN);
    values_push(&values, "},{\"a\":1}]", 10);
    assert_int_equal(values_next(&values, &object), VALUES_OVERSIZE);
    assert_int_equal(values_next(&values, &object), VALUES_OBJECT);
    assert_int_equal(object.len, 7);
    assert_int_equal(values_next(&values, &object), VALUES_AGAIN);
    assert_true(values_whole(&values));
    values_fini(&values);
}

static void what_stands_one_on_a_line_is_not_taken_for_them(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool is;
    } HEADS[] = {
        {"[{\"a\":1},", true},
        {" [\n {\n", true},
        {"{\"a\":1}{\"b\":2}", true},
        {"{\"a\":\"}{\"} {\"b\":2}\n", true},
        {"{\n  \"a\": 1\n}\n", true},
        {"{\"a\":1}\n{\"b\":2}\n", false},
        {"{\"a\":1}", false},
        {"{\"a\":1} x", false},
        {"{\"a\":\"", false},
        /* A line that was cut is a bad line among good ones. */
        {"{\"a\":1,\n{\"b\":2}\n", false},
        {"[x]IN=eth0 OUT=", false},
        {"[ 1.5] {", false},
        {"[", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(HEADS) / sizeof(HEADS[0]); i++) {
        size_t len = strlen(HEADS[i].head);
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, HEADS[i].head, len);
        if (values_sniff((struct text){copy, len}) != HEADS[i].is) {
            fail_msg("%s", HEADS[i].head);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_come_out_of_any_pieces),
        cmocka_unit_test(an_object_that_is_too_long_is_passed_over),
        cmocka_unit_test(what_stands_one_on_a_line_is_not_taken_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
