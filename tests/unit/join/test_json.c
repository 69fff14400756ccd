/* tests/unit/join/test_json.c -- JSON records in one pass
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

enum { A, B, B_C, B_D, ARRAY, ARRAY_1, ARRAY_1_X, LONG_KEY, COUNT };

static const char *const POINTERS[COUNT] = {
    [A] = "/a",
    [B] = "/b",
    [B_C] = "/b/c",
    [B_D] = "/b/d",
    [ARRAY] = "/array",
    [ARRAY_1] = "/array/1",
    [ARRAY_1_X] = "/array/1/x",
    [LONG_KEY] = "/a_key_longer_than_eight_octets",
};

struct fixture {
    struct json_paths *paths;
    struct json_parser *parser;
    struct json_value values[COUNT];
    struct json_fault fault;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    return json_paths_new(&fixture->paths, POINTERS, COUNT) != 0 ||
           json_parser_new(&fixture->parser, 4096) != 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    json_paths_free(&fixture->paths);
    json_parser_free(&fixture->parser);
    free(fixture);
    return 0;
}

/* Parses a copy without anything behind it. */
static int parse(struct fixture *fixture, const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int err =
        json_parse(fixture->parser, fixture->paths, copy, len, fixture->values, &fixture->fault);
    /* The pieces point into the caller's text: move them to the literal that outlives it. */
    for (size_t i = 0; i < COUNT && err == 0; i++) {
        if (fixture->values[i].type != JSON_ABSENT) {
            fixture->values[i].text.data = text + (fixture->values[i].text.data - copy);
        }
    }
    free(copy);
    return err;
}

static int parse_text(struct fixture *fixture, const char *text)
{
    return parse(fixture, text, strlen(text));
}

static void assert_value(const struct fixture *fixture, int i, enum json_type type,
                         const char *text)
{
    const struct json_value *value = &fixture->values[i];
    assert_int_equal(value->type, type);
    if (type != JSON_ABSENT) {
        assert_int_equal(value->text.len, strlen(text));
        assert_memory_equal(value->text.data, text, value->text.len);
    }
}

static void the_wanted_members_are_found_wherever_they_stand(void **state)
{
    struct fixture *fixture = *state;
    static const char *const TEXTS[] = {
        "{\"a\":\"x\",\"b\":{\"c\":1,\"d\":true},\"array\":[0,{\"x\":null}]}",
        "{\"array\":[0,{\"x\":null}],\"b\":{\"d\":true,\"c\":1},\"a\":\"x\"}",
        ("  {\n\t\"other\" : [ {\"a\":2}, [[]] , {} ] , \"b\" : { \"d\":true , \"c\" : 1 } ,\r\n"
         " \"array\":[0,{\"x\":null}] , \"a\" : \"x\" }\n "),
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        assert_int_equal(parse_text(fixture, TEXTS[i]), 0);
        assert_value(fixture, A, JSON_STRING, "x");
        assert_int_equal(fixture->values[B].type, JSON_OBJECT);
        assert_value(fixture, B_C, JSON_NUMBER, "1");
        assert_value(fixture, B_D, JSON_TRUE, "true");
        assert_value(fixture, ARRAY, JSON_ARRAY, "[0,{\"x\":null}]");
        assert_value(fixture, ARRAY_1, JSON_OBJECT, "{\"x\":null}");
        assert_value(fixture, ARRAY_1_X, JSON_NULL, "null");
        assert_value(fixture, LONG_KEY, JSON_ABSENT, NULL);
    }
}

static void keys_are_told_apart_beyond_their_first_eight_octets(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(parse_text(fixture, "{\"a_key_longer_than_eight_octetz\":1,"
                                         "\"a_key_longer_than_eight_octets\":2,"
                                         "\"a_key_longer_than_eight_octets_\":3,\"aa\":4,\"\":5}"),
                     0);
    assert_value(fixture, LONG_KEY, JSON_NUMBER, "2");
    assert_value(fixture, A, JSON_ABSENT, NULL);
}

static void of_a_repeated_key_the_first_counts_with_all_below_it(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        parse_text(fixture, "{\"b\":{\"c\":1},\"a\":\"first\",\"a\":\"second\",\"b\":{\"d\":2}}"),
        0);
    assert_value(fixture, A, JSON_STRING, "first");
    assert_value(fixture, B_C, JSON_NUMBER, "1");
    assert_value(fixture, B_D, JSON_ABSENT, NULL);
}

static void a_value_of_another_type_hides_what_is_asked_below_it(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(parse_text(fixture, "{\"b\":\"c\",\"array\":{\"1\":{\"x\":7}},\"a\":[1]}"), 0);
    assert_value(fixture, B, JSON_STRING, "c");
    assert_value(fixture, B_C, JSON_ABSENT, NULL);
    assert_value(fixture, ARRAY_1_X, JSON_NUMBER, "7");
    assert_value(fixture, A, JSON_ARRAY, "[1]");
}

static void what_is_not_json_is_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *what;
        size_t offset;
    } BAD[] = {
        {"", "a value was expected", 0},
        {"   ", "a value was expected", 0},
        {"{", "a key was expected", 1},
        {"{\"a\"", "':' was expected", 4},
        {"{\"a\":", "a value was expected", 5},
        {"{\"a\":1", "',' or '}' was expected", 6},
        {"{\"a\":1,", "a key was expected", 7},
        {"{\"a\":1,}", "a key was expected", 7},
        {"{\"a\" 1}", "':' was expected", 5},
        {"{a:1}", "a key was expected", 1},
        {"{\"a\":1]", "',' or '}' was expected", 6},
        {"{\"a\":[1,]}", "a value was expected", 8},
        {"{\"a\":[1}}", "',' or ']' was expected", 7},
        {"{\"a\":1}}", "something follows the document", 7},
        {"01", "not a number", 0},
        {"tru", "neither a number nor true, false or null", 0},
        {"{\"a\":1}{\"a\":2}", "something follows the document", 7},
        {"{\"a\":01}", "not a number", 5},
        {"{\"a\":1.}", "not a number", 5},
        {"{\"a\":-}", "not a number", 5},
        {"{\"a\":1e}", "not a number", 5},
        {"{\"a\":tru}", "neither a number nor true, false or null", 5},
        {"{\"a\":nulls}", "neither a number nor true, false or null", 5},
        {"{\"a\":\"x\"y}", "',' or '}' was expected", 8},
        {"{\"a\":\"x", "a string is not closed", 0},
        {"{\"a\":\"x\\\"}", "a string is not closed", 0},
        {"{\"a\":\"\x01\"}", "a control character in a string", 0},
        {"{\"a\":\"\xff\"}", "not UTF-8", 0},
        {"{\"a\":\"\xc0\xaf\"}", "not UTF-8", 0},
        {"{\"a\":\xef\xbb\xbf 1}", "a value was expected", 5},
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(parse_text(fixture, BAD[i].text), W_ESYNTAX);
        assert_string_equal(fixture->fault.what, BAD[i].what);
        assert_int_equal(fixture->fault.offset, BAD[i].offset);
        for (int value = 0; value < COUNT; value++) {
            assert_int_equal(fixture->values[value].type, JSON_ABSENT);
        }
    }
}

static void a_zero_octet_and_a_missing_end_are_no_json_at_any_length(void **state)
{
    struct fixture *fixture = *state;
    static const char WHOLE[] = "{\"a\":\"x\\u0041\",\"b\":{\"c\":[1,2.5e3,{}],\"d\":\"\"}}";
    for (size_t len = 0; len < sizeof(WHOLE) - 1; len++) {
        assert_int_equal(parse(fixture, WHOLE, len), W_ESYNTAX);
    }
    assert_int_equal(parse(fixture, WHOLE, sizeof(WHOLE) - 1), 0);
    assert_int_equal(parse(fixture, WHOLE, sizeof(WHOLE)), W_ESYNTAX);
}

static void depth_and_length_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    char text[8192];
    size_t len = 0;
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        text[len++] = '[';
    }
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        text[len++] = ']';
    }
    assert_int_equal(parse(fixture, text, len), 0);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    assert_int_equal(parse(fixture, text, JSON_DEPTH_MAX + 1), W_ELIMIT);
    assert_string_equal(fixture->fault.what, "nested too deeply");
    memset(text, ' ', sizeof(text));
    memcpy(text, "{}", 2);
    assert_int_equal(parse(fixture, text, 4096), 0);
    assert_int_equal(parse(fixture, text, 4097), W_ELIMIT);
}

/* Parses a piece of the batch and a copy of it, which is none, and expects the same of both. */
static void assert_parsed_alike(struct fixture *fixture, const char *text, size_t len)
{
    struct json_value values[COUNT];
    struct json_fault fault = {0};
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int err = json_parse(fixture->parser, fixture->paths, text, len, values, &fault);
    assert_int_equal(
        json_parse(fixture->parser, fixture->paths, copy, len, fixture->values, &fixture->fault),
        err);
    for (size_t i = 0; i < COUNT && err == 0; i++) {
        assert_int_equal(values[i].type, fixture->values[i].type);
        assert_int_equal(values[i].escaped, fixture->values[i].escaped);
        assert_int_equal(values[i].text.len, fixture->values[i].text.len);
        if (values[i].type != JSON_ABSENT) {
            assert_ptr_equal(values[i].text.data, text + (fixture->values[i].text.data - copy));
        }
    }
    if (err != 0) {
        assert_string_equal(fault.what, fixture->fault.what);
        assert_int_equal(fault.offset, fixture->fault.offset);
    }
    free(copy);
}

static void lines_of_a_batch_are_parsed_as_if_each_were_alone(void **state)
{
    struct fixture *fixture = *state;
    static const char *const LINES[] = {
        "{\"a\":\"x\",\"b\":{\"c\":1,\"d\":true},\"array\":[0,{\"x\":null}]}",
        "",
        "{\"a\":\"an \\\"escape\\\"\",\"array\":[]}",
        "no JSON at all",
        "{\"a\":1",
        "{\"a\":[1,]}",
        "  {\"b\" : {\"c\" : \"\xc3\xa9\" } } ",
        "{\"a\":1}{\"a\":2}",
        "{\"a_key_longer_than_eight_octets\":{\"a\":3}}",
        "{\"a\":\"{}\"}",
        /* From here on nothing is JSON in a batch of them. */
        "{\"a\":\"\xff\"}",
        "{\"a\":\"x",
    };
    enum { SOUND = 10, LINE_COUNT = sizeof(LINES) / sizeof(LINES[0]) };
    for (int count = 1; count <= LINE_COUNT; count++) {
        char text[4096] = "";
        for (int i = 0; i < count; i++) {
            strcat(strcat(text, LINES[i]), "\n");
        }
        json_batch(fixture->parser, text, strlen(text) - 1);
        /* Forth, and back, and in between, where strings and numbers are cut. */
        const char *at = text;
        for (int i = 0; i < count; i++) {
            assert_parsed_alike(fixture, at, strlen(LINES[i]));
            at += strlen(LINES[i]) + 1;
        }
        for (int i = count; i > 0; i--) {
            at -= strlen(LINES[i - 1]) + 1;
            assert_parsed_alike(fixture, at, strlen(LINES[i - 1]));
        }
        for (size_t from = 0; count == SOUND && from < strlen(text); from++) {
            for (size_t len = 0; len <= strlen(text) - from && len < 80; len++) {
                assert_parsed_alike(fixture, text + from, len);
            }
        }
        json_batch(fixture->parser, NULL, 0);
    }
}

static void escapes_are_told_and_resolved(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *means; /* NULL: refused */
    } STRINGS[] = {
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
        {"\\ud83dx", "\xef\xbf\xbdx"},
        {"\\ud83d\\u0041", "\xef\xbf\xbd"
                           "A"},
        {"\\ude00", "\xef\xbf\xbd"},
        {"\\x", NULL},
        {"\\u12", NULL},
        {"\\u12g4", NULL},
    };
    for (size_t i = 0; i < sizeof(STRINGS) / sizeof(STRINGS[0]); i++) {
        char text[64], out[64];
        snprintf(text, sizeof(text), "{\"a\":\"%s\"}", STRINGS[i].text);
        assert_int_equal(parse_text(fixture, text), 0);
        assert_int_equal(fixture->values[A].escaped, strchr(STRINGS[i].text, '\\') != NULL);
        size_t len = json_unescape(&fixture->values[A], out);
        if (STRINGS[i].means == NULL) {
            assert_true(len == SIZE_MAX);
        } else {
            assert_int_equal(len, strlen(STRINGS[i].means));
            assert_memory_equal(out, STRINGS[i].means, len);
        }
    }
}

static void unsigned_integers_are_read_from_numbers_and_strings(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } NUMBERS[] = {
        {"0", true, 0},
        {"\"123\"", true, 123},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"\"99999999999999999999\"", false, 0},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"1e3", false, 0},
        {"\"\"", false, 0},
        {"\" 1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
    };
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        char text[64];
        uint64_t value = 0;
        snprintf(text, sizeof(text), "{\"a\":%s}", NUMBERS[i].text);
        assert_int_equal(parse_text(fixture, text), 0);
        assert_int_equal(json_u64(&fixture->values[A], &value), NUMBERS[i].ok);
        assert_true(value == NUMBERS[i].value);
    }
}

static void pointers_that_are_none_are_refused(void **state)
{
    struct json_paths *paths;
    static const char *const BAD[] = {"a", "//", "/a/", "/a//b"};
    static const char *const TWICE[] = {"/a/b", "/a/b"};
    char longest[80] = "/";
    const char *pointer = longest;
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(json_paths_new(&paths, &BAD[i], 1), -EINVAL);
        assert_null(paths);
    }
    assert_int_equal(json_paths_new(&paths, TWICE, 2), -EINVAL);
    memset(longest + 1, 'k', JSON_KEY_MAX);
    assert_int_equal(json_paths_new(&paths, &pointer, 1), 0);
    json_paths_free(&paths);
    longest[1 + JSON_KEY_MAX] = 'k';
    assert_int_equal(json_paths_new(&paths, &pointer, 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wanted_members_are_found_wherever_they_stand),
        cmocka_unit_test(keys_are_told_apart_beyond_their_first_eight_octets),
        cmocka_unit_test(of_a_repeated_key_the_first_counts_with_all_below_it),
        cmocka_unit_test(a_value_of_another_type_hides_what_is_asked_below_it),
        cmocka_unit_test(what_is_not_json_is_refused_with_a_reason),
        cmocka_unit_test(a_zero_octet_and_a_missing_end_are_no_json_at_any_length),
        cmocka_unit_test(depth_and_length_are_bounded),
        cmocka_unit_test(lines_of_a_batch_are_parsed_as_if_each_were_alone),
        cmocka_unit_test(escapes_are_told_and_resolved),
        cmocka_unit_test(unsigned_integers_are_read_from_numbers_and_strings),
        cmocka_unit_test(pointers_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
