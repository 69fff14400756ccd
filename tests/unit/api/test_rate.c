/* tests/unit/api/test_rate.c -- how often one client may ask
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/rate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"

#define START_US INT64_C(1000000000)

static struct addr addr_of(const char *text)
{
    struct addr addr;
    assert_true(addr_parse(&addr, text, strlen(text)));
    return addr;
}

/* How many requests of a client pass when `count` come `step_us` apart. */
static uint32_t passed(struct rate *rate, const char *client, int64_t from_us, int64_t step_us,
                       uint32_t count)
{
    struct addr addr = addr_of(client);
    uint32_t pass = 0;
    for (uint32_t i = 0; i < count; i++) {
        pass += rate_take(rate, &addr, from_us + i * step_us) == 0;
    }
    return pass;
}

static void a_burst_of_one_second_passes_and_then_the_rate(void **state)
{
    struct rate *rate = NULL;
    (void)state;
    assert_int_equal(rate_new(&rate, 10), 0);
    assert_int_equal(passed(rate, "192.0.2.1", START_US, 0, 100), 10);
    /* 10 seconds at 100 a second: the rate is 10. */
    assert_in_range(passed(rate, "192.0.2.1", START_US, 10000, 1000), 99, 101);
    /* A client that kept within it is never refused. */
    assert_int_equal(passed(rate, "192.0.2.2", START_US, 100000, 100), 100);
    rate_free(&rate);
    assert_null(rate);
}

static void what_is_refused_is_told_how_long_to_wait(void **state)
{
    struct rate *rate = NULL;
    struct addr addr = addr_of("192.0.2.1");
    (void)state;
    assert_int_equal(rate_new(&rate, 1), 0);
    assert_int_equal(rate_take(rate, &addr, START_US), 0);
    assert_int_equal(rate_take(rate, &addr, START_US), US_PER_S);
    assert_int_equal(rate_take(rate, &addr, START_US + 400000), 600000);
    assert_int_equal(rate_take(rate, &addr, START_US + US_PER_S), 0);
    rate_free(&rate);
}

static void clients_are_counted_apart_and_a_slash_64_is_one(void **state)
{
    struct rate *rate = NULL;
    (void)state;
    assert_int_equal(rate_new(&rate, 5), 0);
    assert_int_equal(passed(rate, "192.0.2.1", START_US, 0, 9), 5);
    assert_int_equal(passed(rate, "192.0.2.2", START_US, 0, 9), 5);
    assert_int_equal(passed(rate, "2001:db8:0:1::1", START_US, 0, 3), 3);
    assert_int_equal(passed(rate, "2001:db8:0:1::2", START_US, 0, 9), 2);
    assert_int_equal(passed(rate, "2001:db8:0:2::1", START_US, 0, 9), 5);
    rate_free(&rate);
}

static void more_clients_than_the_table_holds_only_ever_pass_more(void **state)
{
    struct rate *rate = NULL;
    (void)state;
    assert_int_equal(rate_new(&rate, 2), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t v4[4] = {198, (uint8_t)(18 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i};
        struct addr addr = addr_from_v4(v4);
        assert_int_equal(rate_take(rate, &addr, START_US), 0);
    }
    assert_int_equal(passed(rate, "192.0.2.1", START_US, 0, 9), 2);
    rate_free(&rate);
}

static void a_limiter_without_memory_is_not_made(void **state)
{
    struct rate *rate = NULL;
    (void)state;
    alloc_fail_at(1);
    assert_int_equal(rate_new(&rate, 1), -ENOMEM);
    alloc_fail_at(0);
    assert_null(rate);
    rate_free(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_of_one_second_passes_and_then_the_rate),
        cmocka_unit_test(what_is_refused_is_told_how_long_to_wait),
        cmocka_unit_test(clients_are_counted_apart_and_a_slash_64_is_one),
        cmocka_unit_test(more_clients_than_the_table_holds_only_ever_pass_more),
        cmocka_unit_test(a_limiter_without_memory_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
