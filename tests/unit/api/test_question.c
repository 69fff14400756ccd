/* tests/unit/api/test_question.c -- lines of a bulk lookup
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/question.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc.h"

#define NOW_US INT64_C(1779444000000000)
#define MAX_LINE 512

static struct question_reader *reader;

/* Reads a copy of exactly the line's size. */
static bool read_line(const char *line, struct question *question, struct problem *problem)
{
    size_t len = strlen(line);
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, line, len);
    *problem = (struct problem){0};
    bool good = question_read(reader, copy, len, "home", NOW_US, question, problem);
    free(copy);
    return good;
}

static void a_line_becomes_a_question(void **state)
{
    static const struct {
        const char *line;
        int64_t start_us;
        int64_t end_us;
        bool shows_start;
        const char *cluster;
    } TESTS[] = {
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\"}", NOW_US, NOW_US, true, "home"},
        {" { \"dst\" : \"192.0.2.1\" , \"src\" : \"10.0.0.7\" } ", NOW_US, NOW_US, true, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":\"2026-05-22T10:00:01.5Z\"}",
         NOW_US + 1500000, NOW_US + 1500000, true, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":1779444001.25}", NOW_US + 1250000,
         NOW_US + 1250000, true, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":\"1779444001\",\"end\":1779444002}",
         NOW_US + 1000000, NOW_US + 2000000, true, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"shows_start\":false}", NOW_US, NOW_US,
         false, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"cluster\":\"prod-1\"}", NOW_US, NOW_US,
         true, "prod-1"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"cluster\":\"pr\\u006fd\"}", NOW_US, NOW_US,
         true, "prod"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":null,\"end\":null,\"cluster\":null}",
         NOW_US, NOW_US, true, "home"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"other\":{\"src\":5}}", NOW_US, NOW_US, true,
         "home"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct question question;
        struct problem problem;
        char text[ADDR_TEXT_MAX];
        assert_true(read_line(TESTS[i].line, &question, &problem));
        assert_int_equal(problem.status, 0);
        addr_print(&question.source, text);
        assert_string_equal(text, "10.0.0.7");
        addr_print(&question.destination, text);
        assert_string_equal(text, "192.0.2.1");
        assert_int_equal(question.start_us, TESTS[i].start_us);
        assert_int_equal(question.end_us, TESTS[i].end_us);
        assert_int_equal(question.shows_start, TESTS[i].shows_start);
        assert_string_equal(question.cluster, TESTS[i].cluster);
    }
}

static bool is_text(struct text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.data, expected, text.len) == 0;
}

static void a_line_may_say_what_a_flow_record_says(void **state)
{
    struct question question;
    struct problem problem;
    char text[ADDR_TEXT_MAX];
    (void)state;
    assert_true(read_line("{\"src\":\"10.0.0.7\",\"dst\":\"10.0.1.7\",\"aggregated\":true,"
                          "\"alternate\":\"10.96.0.20\",\"not_before\":1779444001,"
                          "\"own_cluster\":\"prod-2\",\"src_kind\":\"pod\","
                          "\"src_namespace\":\"shop\",\"src_pod\":\"a\\u002d1\","
                          "\"dst_kind\":\"service\",\"dst_namespace\":\"data\","
                          "\"dst_pod\":\"db-0\",\"dst_service\":\"db\"}",
                          &question, &problem));
    assert_true(question.aggregated);
    assert_true(question.has_alternate);
    addr_print(&question.alternate, text);
    assert_string_equal(text, "10.96.0.20");
    assert_int_equal(question.not_before_us, NOW_US + 1000000);
    assert_true(is_text(question.source_cluster, "prod-2"));
    assert_int_equal(question.source_id->end, FLOW_END_POD);
    assert_true(is_text(question.source_id->namespace, "shop"));
    assert_true(is_text(question.source_id->pod, "a-1"));
    assert_int_equal(question.destination_id->end, FLOW_END_SERVICE);
    assert_true(is_text(question.destination_id->namespace, "data"));
    assert_true(is_text(question.destination_id->pod, "db-0"));
    assert_true(is_text(question.destination_id->service, "db"));
    /* And the next line says nothing of it. */
    assert_true(read_line("{\"src\":\"10.0.0.7\",\"dst\":\"10.0.1.7\",\"alternate\":null}",
                          &question, &problem));
    assert_false(question.aggregated || question.has_alternate);
    assert_int_equal(question.not_before_us, 0);
    assert_int_equal(question.source_cluster.len, 0);
    assert_int_equal(question.destination_id->end, FLOW_END_UNKNOWN);
    assert_int_equal(question.destination_id->service.len, 0);
}

static void a_line_that_is_wrong_names_the_key_at_fault(void **state)
{
    static const struct {
        const char *line;
        const char *field;
    } TESTS[] = {
        {"", ""},
        {"nonsense", ""},
        {"{\"src\":\"10.0.0.7\"", ""},
        {"{}", "src"},
        {"[]", "src"},
        {"5", "src"},
        {"{\"src\":\"10.0.0.7\"}", "dst"},
        {"{\"src\":\"10.0.0.x\",\"dst\":\"192.0.2.1\"}", "src"},
        {"{\"src\":null,\"dst\":\"192.0.2.1\"}", "src"},
        {"{\"src\":7,\"dst\":\"192.0.2.1\"}", "src"},
        {"{\"src\":\"10.0.0.7\",\"dst\":[\"192.0.2.1\"]}", "dst"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":\"today\"}", "at"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":true}", "at"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":-1}", "at"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":1e9}", "at"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"at\":1779444002,\"end\":1779444001}",
         "end"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"shows_start\":\"yes\"}", "shows_start"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"cluster\":\"\"}", "cluster"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"cluster\":\"a\\u0000b\"}", "cluster"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"cluster\":5}", "cluster"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"alternate\":\"x\"}", "alternate"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"not_before\":\"x\"}", "not_before"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"src_kind\":\"host\"}", "src_kind"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"dst_pod\":5}", "dst_pod"},
        {"{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\",\"aggregated\":1}", "aggregated"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct question question;
        struct problem problem;
        assert_false(read_line(TESTS[i].line, &question, &problem));
        assert_int_equal(problem.status, 400);
        assert_string_equal(problem.field, TESTS[i].field);
        assert_true(problem.detail[0] != '\0');
    }
}

static void a_line_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    static const char HEAD[] = "{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.1\"";
    char line[MAX_LINE + 2];
    struct question question;
    struct problem problem;
    (void)state;
    for (size_t len = MAX_LINE - 1; len <= MAX_LINE + 1; len++) {
        memset(line, ' ', len);
        memcpy(line, HEAD, sizeof(HEAD) - 1);
        line[len - 1] = '}';
        line[len] = '\0';
        assert_int_equal(read_line(line, &question, &problem), len <= MAX_LINE);
        assert_int_equal(problem.status, len <= MAX_LINE ? 0 : 413);
    }
}

static void a_reader_without_memory_is_not_made(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct question_reader *made = NULL;
        alloc_fail_at(n);
        int err = question_reader_new(&made, 1024);
        bool reached = alloc_failed() > 0;
        alloc_fail_at(0);
        question_reader_free(&made);
        if (!reached) {
            assert_int_equal(err, 0);
            assert_true(n > 1);
            break;
        }
        assert_int_equal(err, -ENOMEM);
    }
}

static int make_reader(void **state)
{
    (void)state;
    return question_reader_new(&reader, MAX_LINE);
}

static int free_reader(void **state)
{
    (void)state;
    question_reader_free(&reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_becomes_a_question),
        cmocka_unit_test(a_line_may_say_what_a_flow_record_says),
        cmocka_unit_test(a_line_that_is_wrong_names_the_key_at_fault),
        cmocka_unit_test(a_line_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(a_reader_without_memory_is_not_made),
    };
    return cmocka_run_group_tests(tests, make_reader, free_reader);
}
