/* tests/unit/store/test_expected.c -- how many senders there were to hear, over time
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/expected.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct expected expected;

static uint64_t at(const char *cluster, int64_t at_us, int64_t *next_us)
{
    return expected_at(expected.rows, expected.count, cluster, at_us, next_us);
}

static void the_number_holds_until_the_next_of_its_cluster(void **state)
{
    int64_t next_us;
    (void)state;
    memset(&expected, 0, sizeof(expected));
    expected_add(&expected, "a", 100, 2);
    expected_add(&expected, "b", 150, 7);
    expected_add(&expected, "a", 200, 3);
    assert_int_equal(at("a", 99, &next_us), 0);
    assert_int_equal(next_us, 100);
    assert_int_equal(at("a", 100, &next_us), 2);
    assert_int_equal(next_us, 200);
    assert_int_equal(at("a", 5000, &next_us), 3);
    assert_int_equal(next_us, INT64_MAX);
    assert_int_equal(at("b", 5000, &next_us), 7);
    assert_int_equal(at("c", 5000, &next_us), 0);
}

static void what_says_nothing_new_is_passed_over(void **state)
{
    (void)state;
    memset(&expected, 0, sizeof(expected));
    expected_add(&expected, "a", 100, 0);
    assert_int_equal(expected.count, 0);
    assert_false(expected.changed);
    expected_add(&expected, "a", 100, 2);
    expected_add(&expected, "a", 120, 2);
    expected_add(&expected, "b", 120, 2);
    expected_add(&expected, "a", 130, 0);
    assert_int_equal(expected.count, 3);
    assert_true(expected.changed);
}

static void the_oldest_make_room(void **state)
{
    int64_t next_us;
    (void)state;
    memset(&expected, 0, sizeof(expected));
    for (uint32_t i = 0; i < EXPECTED_MAX + 10; i++) {
        expected_add(&expected, "a", 100 + i, 1 + i % 2);
    }
    assert_int_equal(expected.count, EXPECTED_MAX);
    assert_int_equal(at("a", 109, &next_us), 0);
    assert_int_equal(next_us, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_holds_until_the_next_of_its_cluster),
        cmocka_unit_test(what_says_nothing_new_is_passed_over),
        cmocka_unit_test(the_oldest_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
