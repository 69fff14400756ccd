/* tests/unit/base/test_counters.c -- the numbers an operator sees
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/counters.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_row_is_named_as_prometheus_wants_it(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_info *info = counter_info((enum counter)i);
        size_t len = strlen(info->name);
        assert_memory_equal(info->name, "whither_", 8);
        for (size_t at = 0; at < len; at++) {
            assert_true(islower((unsigned char)info->name[at]) || info->name[at] == '_');
        }
        bool total = len > 6 && strcmp(info->name + len - 6, "_total") == 0;
        assert_int_equal(total, !info->gauge);
        assert_true(info->help[strlen(info->help) - 1] == '.');
    }
}

static void rows_of_one_name_stand_together_and_differ_by_label(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_info *a = counter_info((enum counter)i);
        for (int j = i + 1; j < COUNTER_COUNT; j++) {
            const struct counter_info *b = counter_info((enum counter)j);
            if (strcmp(a->name, b->name) != 0) {
                continue;
            }
            assert_string_not_equal(a->labels, b->labels);
            assert_string_equal(a->help, b->help);
            assert_string_equal(counter_info((enum counter)(j - 1))->name, a->name);
        }
    }
}

static void a_counter_adds_and_a_gauge_goes_up_and_down(void **state)
{
    (void)state;
    uint64_t before = counter_get(COUNT_TRUNCATED);
    counter_add(COUNT_TRUNCATED, 3);
    counter_add(COUNT_TRUNCATED, 0);
    assert_int_equal(counter_get(COUNT_TRUNCATED), before + 3);
    counter_set(COUNT_CONNECTIONS, 5);
    counter_sub(COUNT_CONNECTIONS, 2);
    counter_add(COUNT_CONNECTIONS, 1);
    assert_int_equal(counter_get(COUNT_CONNECTIONS), 4);
}

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        counter_add(COUNT_DNSTAP_BYTES, 2);
    }
    return NULL;
}

static void additions_of_several_threads_all_count(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t before = counter_get(COUNT_DNSTAP_BYTES);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(counter_get(COUNT_DNSTAP_BYTES), before + 4 * 10000 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_named_as_prometheus_wants_it),
        cmocka_unit_test(rows_of_one_name_stand_together_and_differ_by_label),
        cmocka_unit_test(a_counter_adds_and_a_gauge_goes_up_and_down),
        cmocka_unit_test(additions_of_several_threads_all_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
