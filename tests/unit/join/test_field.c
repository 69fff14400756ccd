/* tests/unit/join/test_field.c -- cells of a line, numbers in them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct text of(const char *text)
{
    return (struct text){text, strlen(text)};
}

static void lines_are_cut_into_cells(void **state)
{
    static const struct {
        const char *line;
        const char *cells; /* in brackets */
        char separator;
        char quote;
    } CASES[] = {
        {"a,b,c", "[a][b][c]", ',', '"'},
        {"", "[]", ',', '"'},
        {",", "[][]", ',', '"'},
        {"a,,b,", "[a][][b][]", ',', 0},
        {"a\tb c", "[a][b c]", '\t', 0},
        {"\"a,b\",c", "[a,b][c]", ',', '"'},
        {"\"a,b\",c", "[\"a][b\"][c]", ',', 0},
        {"'{\"x\":\"y\",\"z\":1}',2", "[{\"x\":\"y\",\"z\":1}][2]", ',', '\''},
        {"\"a \"\"b\"\", c\",d", "[a \"\"b\"\", c][d]", ',', '"'},
        {"\"\",\"\"", "[][]", ',', '"'},
        /* Not quoted, or not as it should be: as it stands. */
        {"a\"b,c\"d", "[a\"b][c\"d]", ',', '"'},
        {"\"a\"b,c", "[\"a\"b][c]", ',', '"'},
        {"\"a,b", "[\"a][b]", ',', '"'},
        {"\"", "[\"]", ',', '"'},
        {"\"\"\"", "[\"\"\"]", ',', '"'},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char out[128] = "";
        struct text rest = of(CASES[i].line);
        struct text cell;
        while (cell_next(&rest, CASES[i].separator, CASES[i].quote, &cell)) {
            snprintf(out + strlen(out), sizeof(out) - strlen(out), "[%.*s]", (int)cell.len,
                     cell.data);
        }
        assert_string_equal(out, CASES[i].cells);
    }
}

static void no_more_cells_are_given_than_there_is_room_for(void **state)
{
    struct text cells[2];
    (void)state;
    assert_int_equal(cells_split(of("a,b,c"), ',', 0, cells, 2), 2);
    assert_true(text_is(cells[1], "b"));
    assert_int_equal(cells_split(of("a"), ',', 0, cells, 2), 1);
}

static void numbers_are_digits_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        bool number;
        bool port;
        uint64_t value;
    } CASES[] = {
        {"0", true, true, 0},
        {"65535", true, true, 65535},
        {"00443", true, true, 443},
        {"65536", true, false, 65536},
        {"18446744073709551615", true, false, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"99999999999999999999", false, false, 0},
        {"184467440737095516150", false, false, 0},
        {"", false, false, 0},
        {"-", false, false, 0},
        {"-1", false, false, 0},
        {"+1", false, false, 0},
        {" 1", false, false, 0},
        {"1.0", false, false, 0},
        {"0x10", false, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        uint64_t value = 0;
        uint16_t port = 0;
        assert_int_equal(field_u64(of(CASES[i].text), &value), CASES[i].number);
        assert_int_equal(field_port(of(CASES[i].text), &port), CASES[i].port);
        assert_true(value == CASES[i].value);
        assert_int_equal(port, CASES[i].port ? CASES[i].value : 0);
    }
}

static void what_is_absent_is_told_from_what_is_there(void **state)
{
    (void)state;
    assert_true(text_missing((struct text){NULL, 0}));
    assert_true(text_missing(of("")));
    assert_true(text_missing(of("-")));
    assert_false(text_missing(of("--")));
    assert_false(text_missing(of("0")));
    assert_true(text_is((struct text){NULL, 0}, ""));
    assert_false(text_is(of("ab"), "a"));
    assert_true(text_begins(of("ab"), "a"));
    assert_true(text_begins(of("ab"), ""));
    assert_false(text_begins(of("a"), "ab"));
    assert_true(text_ends(of("ab"), "b"));
    assert_true(text_ends(of("ab"), ""));
    assert_false(text_ends(of("b"), "ab"));
    assert_true(text_is(text_trim(of(" \ta b\r ")), "a b"));
    assert_true(text_is(text_trim(of("  ")), ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_into_cells),
        cmocka_unit_test(no_more_cells_are_given_than_there_is_room_for),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(what_is_absent_is_told_from_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
