/* tests/unit/store/test_days.c -- which days the index ever had a window for
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/days.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

static int64_t day(int number)
{
    return (20000 + number) * US_PER_DAY;
}

static void days_are_kept_by_time_whatever_the_order(void **state)
{
    static const int ORDER[] = {5, 1, 3, 5, 2, 4, 1};
    struct days *days = calloc(1, sizeof(*days));
    (void)state;
    for (size_t i = 0; i < sizeof(ORDER) / sizeof(ORDER[0]); i++) {
        days_mark(days, day(ORDER[i]), false);
    }
    assert_int_equal(days->count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(days->items[i].row.start_us, day(i + 1));
        assert_true(days_expected(days, day(i + 1)));
    }
    assert_false(days_expected(days, day(6)));
    free(days);
}

static void a_dropped_day_is_not_expected_until_something_is_committed_again(void **state)
{
    struct days *days = calloc(1, sizeof(*days));
    (void)state;
    days_mark(days, day(1), false);
    days_settle(days);
    days_mark(days, day(1), false);
    assert_false(days->items[0].changed);
    days_mark(days, day(1), true);
    assert_true(days->items[0].changed);
    assert_false(days_expected(days, day(1)));
    days_mark(days, day(1), false);
    assert_true(days_expected(days, day(1)));
    assert_int_equal(days->count, 1);
    free(days);
}

static void the_oldest_make_room(void **state)
{
    struct days *days = calloc(1, sizeof(*days));
    (void)state;
    for (int i = 0; i < DAYS_MAX + 10; i++) {
        days_mark(days, day(i), false);
    }
    assert_int_equal(days->count, DAYS_MAX);
    assert_int_equal(days->items[0].row.start_us, day(10));
    assert_true(days_expected(days, day(DAYS_MAX + 9)));
    /* One that is older than all is not worth another's place. */
    days_mark(days, day(0), false);
    assert_int_equal(days->items[0].row.start_us, day(10));
    free(days);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_are_kept_by_time_whatever_the_order),
        cmocka_unit_test(a_dropped_day_is_not_expected_until_something_is_committed_again),
        cmocka_unit_test(the_oldest_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
