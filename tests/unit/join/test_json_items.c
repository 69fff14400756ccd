/* tests/unit/join/test_json_items.c -- the elements of a JSON array
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/json_items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    enum json_type type;
    const char *text;
    const char *items; /* each as type letter and text, followed by ';' */
} ARRAYS[] = {
    {JSON_ARRAY, "[]", ""},
    {JSON_ARRAY, "[ ]", ""},
    {JSON_ARRAY, "[\"a\",\"\"]", "s a;s ;"},
    {JSON_ARRAY, "[\n \"a\" ,\t1.5e3, true,false,null ]", "s a;n 1.5e3;t true;f false;0 null;"},
    {JSON_ARRAY, "[\"a\\\"b,\\\\\",2]", "S a\\\"b,\\\\;n 2;"},
    {JSON_ARRAY, "[{\"a\":[\"]\",{}]},[[1],\"}\"],3]", "o {\"a\":[\"]\",{}]};a [[1],\"}\"];n 3;"},
    {JSON_STRING, "[1]", ""},
    {JSON_OBJECT, "{\"a\":1}", ""},
    {JSON_ABSENT, "", ""},
    /* Not what json_parse lets through: read to its end and no further. */
    {JSON_ARRAY, "[\"a]", "s a;"},
    {JSON_ARRAY, "[\"a\\]", "S a\\;"},
    {JSON_ARRAY, "[{\"a\"]", "o {\"a\";"},
    {JSON_ARRAY, "[", ""},
};

static const char LETTERS[] = {
    [JSON_NULL] = '0',   [JSON_TRUE] = 't',  [JSON_FALSE] = 'f',  [JSON_NUMBER] = 'n',
    [JSON_STRING] = 's', [JSON_ARRAY] = 'a', [JSON_OBJECT] = 'o',
};

static void every_element_comes_out_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ARRAYS) / sizeof(ARRAYS[0]); i++) {
        char out[256] = "";
        size_t len = strlen(ARRAYS[i].text);
        /* Exactly as long, so that a sanitizer sees a read beyond it. */
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, ARRAYS[i].text, len);
        struct json_value value = {.type = ARRAYS[i].type, .text = {copy, len}};
        struct json_items items = json_items(&value);
        struct json_value item;
        while (json_items_next(&items, &item)) {
            size_t at = strlen(out);
            snprintf(out + at, sizeof(out) - at, "%c %.*s;",
                     item.escaped ? 'S' : LETTERS[item.type], (int)item.text.len, item.text.data);
        }
        assert_string_equal(out, ARRAYS[i].items);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_comes_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
