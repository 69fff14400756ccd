/* tests/unit/cli/test_fields.c -- JSON bodies read for tables, and the tables
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/table.h"
#include "tests/support/alloc.h"

enum { TEXT, NUMBER, TRUTH, TIME, LIST, COUNT };
static const char *const POINTERS[] = {"/text", "/number", "/truth", "/time", "/list"};

static struct fields fields;

static void read_body(const char *body)
{
    struct why why = {""};
    assert_int_equal(fields_read(&fields, body, strlen(body), &why), 0);
}

static void members_are_read_and_what_is_absent_is_nothing(void **state)
{
    struct buf out = {0};
    (void)state;
    read_body("{\"text\":\"a\\u0062c\",\"number\":-42,\"truth\":true,"
              "\"time\":\"2026-05-22T10:00:01.5Z\",\"list\":[\"x\",\"y\"]}");
    fields_text(&fields, TEXT, &out);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "abc", 3);
    assert_int_equal(fields_int(&fields, NUMBER), -42);
    assert_true(fields_true(&fields, TRUTH));
    assert_int_equal(fields_time(&fields, TIME), INT64_C(1779444001500000));
    buf_reset(&out);
    read_body("{\"time\":null,\"number\":\"5\"}");
    fields_text(&fields, TEXT, &out);
    assert_int_equal(out.len, 0);
    assert_int_equal(fields_int(&fields, NUMBER), 0);
    assert_false(fields_true(&fields, TRUTH));
    assert_int_equal(fields_time(&fields, TIME), 0);
    buf_fini(&out);
}

static void what_a_sender_named_itself_cannot_drive_a_terminal(void **state)
{
    struct buf out = {0};
    (void)state;
    /* ESC, newline, DEL, and a C1 control as UTF-8. */
    read_body("{\"text\":\"a\\u001b[31m\\nb\x7f"
              "\xc2\x9b"
              "c\xc3\xa4\"}");
    fields_text(&fields, TEXT, &out);
    buf_char(&out, '\0');
    assert_string_equal(out.data, "a?[31m?b???c\xc3\xa4");
    buf_fini(&out);
}

static void lists_are_read_row_by_row(void **state)
{
    static const struct {
        const char *body;
        const char *rows[4];
    } TESTS[] = {
        {"{\"list\":[]}", {NULL}},
        {"{\"list\":[\n]}", {NULL}},
        {"{\"list\":[\n{\"a\":1}\n]}", {"{\"a\":1}"}},
        {"{\"list\":[\n{\"a\":\"x,\\ny\"},\n{\"b\":[1,2]}\n],\"next\":null}",
         {"{\"a\":\"x,\\ny\"}", "{\"b\":[1,2]}"}},
        {"{\"list\":5}", {NULL}},
        {"{}", {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct text row;
        size_t at = 0, count = 0;
        read_body(TESTS[i].body);
        while (fields_row(&fields, LIST, &at, &row)) {
            assert_non_null(TESTS[i].rows[count]);
            assert_int_equal(row.len, strlen(TESTS[i].rows[count]));
            assert_memory_equal(row.data, TESTS[i].rows[count], row.len);
            count++;
        }
        assert_null(TESTS[i].rows[count]);
    }
    struct text item;
    size_t at = 0;
    read_body("{\"list\":[\"192.0.2.1\",\"2001:db8::1\"]}");
    assert_true(fields_item(&fields, LIST, &at, &item));
    assert_int_equal(item.len, 9);
    assert_true(fields_item(&fields, LIST, &at, &item));
    assert_memory_equal(item.data, "2001:db8::1", item.len);
    assert_false(fields_item(&fields, LIST, &at, &item));
}

static void what_is_no_json_is_an_error(void **state)
{
    struct why why = {""};
    (void)state;
    assert_int_equal(fields_read(&fields, "<html>", 6, &why), W_ESYNTAX);
    assert_non_null(strstr(why.text, "not the JSON expected"));
}

static void columns_are_aligned_and_the_last_is_not_padded(void **state)
{
    static const char *const HEADS[] = {"A", "LONG HEAD", "C", NULL};
    struct table table;
    char text[256];
    (void)state;
    table_init(&table, HEADS);
    table_add(&table, "longer");
    table_add_time(&table, 0);
    table_add(&table, "x");
    table_add(&table, "\xc3\xa4"); /* one column wide */
    buf_int(table_cell(&table), 17);
    table_next(&table);
    table_add(&table, "yy");
    FILE *out = tmpfile();
    assert_int_equal(table_print(&table, out), 0);
    rewind(out);
    text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
    fclose(out);
    assert_string_equal(text, "A       LONG HEAD  C\n"
                              "longer  -          x\n"
                              "\xc3\xa4       17         yy\n");
    table_fini(&table);
}

static void durations_and_sizes_are_told_in_two_digits_or_more(void **state)
{
    static const struct {
        int64_t us;
        const char *words;
    } DURATIONS[] = {
        {0, "0 ms"},
        {999, "0 ms"},
        {55000, "55 ms"},
        {1999999, "1999 ms"},
        {2 * US_PER_S, "2 s"},
        {119 * US_PER_S, "119 s"},
        {2 * US_PER_MIN, "2 min"},
        {2 * US_PER_HOUR, "2 h"},
        {47 * US_PER_HOUR, "47 h"},
        {2 * US_PER_DAY, "2 d"},
        {1000 * US_PER_DAY, "1000 d"},
    };
    static const struct {
        uint64_t bytes;
        const char *words;
    } SIZES[] = {
        {0, "0 B"},        {1023, "1023 B"},     {1024, "1.0 KiB"},        {1536, "1.5 KiB"},
        {10240, "10 KiB"}, {1 << 20, "1.0 MiB"}, {UINT64_MAX, "16384 PiB"}};
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(DURATIONS) / sizeof(DURATIONS[0]); i++) {
        buf_reset(&out);
        words_duration(&out, DURATIONS[i].us);
        buf_char(&out, '\0');
        assert_string_equal(out.data, DURATIONS[i].words);
    }
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        buf_reset(&out);
        words_bytes(&out, SIZES[i].bytes);
        buf_char(&out, '\0');
        assert_string_equal(out.data, SIZES[i].words);
    }
    buf_fini(&out);
}

static void without_memory_nothing_is_made(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct fields made;
        alloc_fail_at(n);
        int err = fields_init(&made, POINTERS, COUNT);
        bool reached = alloc_failed() > 0;
        alloc_fail_at(0);
        if (!reached) {
            assert_int_equal(err, 0);
            fields_fini(&made);
            break;
        }
        assert_int_equal(err, -ENOMEM);
    }
}

static int make_fields(void **state)
{
    (void)state;
    return fields_init(&fields, POINTERS, COUNT);
}

static int free_fields(void **state)
{
    (void)state;
    fields_fini(&fields);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_and_what_is_absent_is_nothing),
        cmocka_unit_test(what_a_sender_named_itself_cannot_drive_a_terminal),
        cmocka_unit_test(lists_are_read_row_by_row),
        cmocka_unit_test(what_is_no_json_is_an_error),
        cmocka_unit_test(columns_are_aligned_and_the_last_is_not_padded),
        cmocka_unit_test(durations_and_sizes_are_told_in_two_digits_or_more),
        cmocka_unit_test(without_memory_nothing_is_made),
    };
    return cmocka_run_group_tests(tests, make_fields, free_fields);
}
