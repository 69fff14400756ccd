/* tests/unit/api/test_params.c -- query strings
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses a copy of exactly its size, so that a read beyond it shows. The caller frees. */
static char *parse(const char *query, struct params *params, struct problem *problem)
{
    size_t len = strlen(query);
    char *copy = malloc(len + 1);
    memcpy(copy, query, len + 1);
    *problem = (struct problem){0};
    params_parse(params, copy, len, problem);
    return copy;
}

static void a_query_is_split_and_decoded(void **state)
{
    static const struct {
        const char *query;
        size_t count;
        const char *name; /* of the last parameter */
        const char *value;
    } TESTS[] = {
        {"", 0, NULL, NULL},
        {"&&", 0, NULL, NULL},
        {"a=b", 1, "a", "b"},
        {"a", 1, "a", ""},
        {"a=", 1, "a", ""},
        {"=b", 1, "", "b"},
        {"x=1&a=b", 2, "a", "b"},
        {"x=1&&a=b&", 2, "a", "b"},
        {"a=b=c", 1, "a", "b=c"},
        {"%61=%62%63", 1, "a", "bc"},
        {"a=%3d%26%25", 1, "a", "=&%"},
        {"a=1%2B2+3", 1, "a", "1+2+3"},
        {"at=2026-05-22T10:00:01+02:00", 1, "at", "2026-05-22T10:00:01+02:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct params params;
        struct problem problem;
        char *copy = parse(TESTS[i].query, &params, &problem);
        assert_int_equal(problem.status, 0);
        assert_int_equal(params.count, TESTS[i].count);
        if (TESTS[i].count > 0) {
            const struct param *last = &params.items[params.count - 1];
            assert_string_equal(last->name, TESTS[i].name);
            assert_string_equal(last->value, TESTS[i].value);
            assert_int_equal(last->value_len, strlen(TESTS[i].value));
        }
        free(copy);
    }
}

static void a_query_that_can_be_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        const char *query;
        const char *field;
    } TESTS[] = {
        {"a=1&a=2", "a"},   /* which one? */
        {"a=1&%61=2", "a"}, /* the same, hidden */
        {"a=%", "a"},       /* an escape cut short */
        {"a=%4", "a"},
        {"a=%zz", "a"},
        {"a=%0", "a"},
        {"a=x%00y", "a"}, /* NUL would end the text for others */
        {"%00=x", ""},
        {"%=x", ""},
        {"a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", ""}, /* 17 parameters */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct params params;
        struct problem problem;
        char *copy = parse(TESTS[i].query, &params, &problem);
        assert_int_equal(problem.status, 400);
        assert_string_equal(problem.field, TESTS[i].field);
        free(copy);
    }
}

enum reader { ADDR, TIME, COUNT, BOOL, CLUSTER };

static bool read_value(enum reader reader, const struct params *params, struct problem *problem)
{
    struct addr addr;
    int64_t time_us;
    uint32_t count;
    bool truth;
    const char *cluster;
    switch (reader) {
    case ADDR:
        return params_addr(params, "v", &addr, problem);
    case TIME:
        return params_time(params, "v", &time_us, problem);
    case COUNT:
        return params_count(params, "v", 1000, &count, problem);
    case BOOL:
        return params_bool(params, "v", &truth, problem);
    case CLUSTER:
        return params_cluster(params, "v", &cluster, problem);
    }
    return false;
}

static void readers_take_what_is_right_and_name_the_field_that_is_not(void **state)
{
    static const struct {
        enum reader reader;
        const char *query;
        bool given;
        unsigned status;
    } TESTS[] = {
        {ADDR, "v=192.0.2.1", true, 0},
        {ADDR, "v=2001:db8::1", true, 0},
        {ADDR, "v=", false, 0},
        {ADDR, "", false, 0},
        {ADDR, "v=192.0.2.256", false, 400},
        {ADDR, "v=192.0.2.1%20", false, 400},
        {ADDR, "v=[2001:db8::1]", false, 400},
        {TIME, "v=2026-05-22T10:00:01Z", true, 0},
        {TIME, "v=1779444001.5", true, 0},
        {TIME, "v=yesterday", false, 400},
        {TIME, "v=1", false, 400},
        {COUNT, "v=1", true, 0},
        {COUNT, "v=1000", true, 0},
        {COUNT, "v=1001", false, 400},
        {COUNT, "v=0", false, 400},
        {COUNT, "v=-1", false, 400},
        {COUNT, "v=4294967297", false, 400},
        {COUNT, "v=99999999999999999999999", false, 400},
        {COUNT, "v=1x", false, 400},
        {BOOL, "v=true", true, 0},
        {BOOL, "v=false", true, 0},
        {BOOL, "v=1", false, 400},
        {CLUSTER, "v=prod-1", true, 0},
        {CLUSTER, "v=0123456789012345678901234567890123456789012345678901234567890123", false, 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct params params;
        struct problem problem;
        char *copy = parse(TESTS[i].query, &params, &problem);
        assert_int_equal(problem.status, 0);
        assert_int_equal(read_value(TESTS[i].reader, &params, &problem), TESTS[i].given);
        assert_int_equal(problem.status, TESTS[i].status);
        assert_string_equal(problem.field, TESTS[i].status != 0 ? "v" : "");
        free(copy);
    }
}

static void parameters_that_nobody_knows_are_refused(void **state)
{
    static const char *const KNOWN[] = {"src", "dst", NULL};
    struct params params;
    struct problem problem;
    (void)state;
    char *copy = parse("src=1&dst=2", &params, &problem);
    assert_true(params_only(&params, KNOWN, &problem));
    free(copy);
    copy = parse("src=1&dts=2", &params, &problem);
    assert_false(params_only(&params, KNOWN, &problem));
    assert_int_equal(problem.status, 400);
    assert_string_equal(problem.field, "dts");
    free(copy);
    copy = parse("src=1", &params, &problem);
    assert_false(params_only(&params, NULL, &problem));
    free(copy);
}

static void the_first_problem_stays_and_is_valid_json_whatever_it_holds(void **state)
{
    struct problem problem = {0};
    struct buf buf = {0};
    (void)state;
    assert_false(problem_set(&problem, 400, "a\"b", "first \x01\xff"));
    assert_false(problem_set(&problem, 500, NULL, "second"));
    problem_json(&buf, &problem);
    buf_char(&buf, '\0');
    assert_string_equal(buf.data,
                        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
                        "\"detail\":\"first \\u0001\xef\xbf\xbd\",\"field\":\"a\\\"b\"}");
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_split_and_decoded),
        cmocka_unit_test(a_query_that_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(readers_take_what_is_right_and_name_the_field_that_is_not),
        cmocka_unit_test(parameters_that_nobody_knows_are_refused),
        cmocka_unit_test(the_first_problem_stays_and_is_valid_json_whatever_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
