/* tests/unit/join/test_repeat.c -- the same 5-tuple again
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define T INT64_C(1779444001000000)

static struct flow make_flow(int64_t time_us)
{
    struct flow flow = {.has_pair = true, .has_ports = true, .start_us = time_us};
    assert_true(addr_parse(&flow.source, "192.0.2.7", 9));
    assert_true(addr_parse(&flow.destination, "198.51.100.9", 12));
    flow.source_port = 40000;
    flow.destination_port = 443;
    strcpy(flow.transport, "tcp");
    return flow;
}

static bool seen(struct repeats *repeats, const struct flow *flow)
{
    return repeats_seen(repeats, flow, repeats_expect(repeats, flow));
}

static void a_repeat_is_within_five_seconds_of_the_first_in_either_direction(void **state)
{
    struct repeats *repeats;
    static const struct {
        int64_t at_us;
        bool repeat;
    } STEPS[] = {
        {0, false},
        {0, true},
        {1 * US_PER_S, true},
        {3 * US_PER_S, true},
        {5 * US_PER_S, true},
        {5 * US_PER_S + 1, false}, /* counted from the first, not from the last repeat */
        {10 * US_PER_S, true},
        {0, false}, /* more than five seconds before */
        {-5 * US_PER_S, true},
    };
    (void)state;
    assert_int_equal(repeats_new(&repeats), 0);
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct flow flow = make_flow(T + STEPS[i].at_us);
        assert_int_equal(seen(repeats, &flow), STEPS[i].repeat);
    }
    repeats_free(&repeats);
}

static void any_other_part_of_the_tuple_makes_another_flow(void **state)
{
    struct repeats *repeats;
    struct flow flows[7];
    (void)state;
    assert_int_equal(repeats_new(&repeats), 0);
    for (size_t i = 0; i < 7; i++) {
        flows[i] = make_flow(T);
    }
    flows[1].source.b[15]++;
    flows[2].destination.b[15]++;
    flows[3].source_port++;
    flows[4].destination_port++;
    strcpy(flows[5].transport, "udp");
    flows[6].has_ports = false;
    for (size_t i = 0; i < 7; i++) {
        assert_false(seen(repeats, &flows[i]));
    }
    for (size_t i = 0; i < 7; i++) {
        assert_true(seen(repeats, &flows[i]));
    }
    repeats_free(&repeats);
}

static void what_has_no_pair_or_time_or_is_an_aggregate_never_repeats(void **state)
{
    struct repeats *repeats;
    struct flow flows[3];
    (void)state;
    assert_int_equal(repeats_new(&repeats), 0);
    for (size_t i = 0; i < 3; i++) {
        flows[i] = make_flow(T);
    }
    flows[0].has_pair = false;
    flows[1].start_us = 0;
    flows[2].aggregated = true;
    for (size_t i = 0; i < 6; i++) {
        assert_false(seen(repeats, &flows[i % 3]));
    }
    repeats_free(&repeats);
}

static void the_oldest_are_forgotten_when_there_are_too_many(void **state)
{
    struct repeats *repeats;
    struct flow flow = make_flow(T);
    (void)state;
    assert_int_equal(repeats_new(&repeats), 0);
    assert_false(seen(repeats, &flow));
    for (uint32_t i = 0; i < 4000000; i++) {
        struct flow other = make_flow(T + 1 + i);
        memcpy(other.source.b + 12, &i, sizeof(i));
        seen(repeats, &other);
    }
    assert_false(seen(repeats, &flow));
    repeats_free(&repeats);
}

/* What is saved of two memories is the same; order does not matter. */
static void what_is_saved_makes_the_same_repeats(void **state)
{
    enum { FLOWS = 3000 };
    struct repeats *before;
    struct repeats *after;
    struct buf saved = {0};
    (void)state;
    assert_int_equal(repeats_new(&before), 0);
    for (int i = 0; i < FLOWS; i++) {
        struct flow flow = make_flow(T + i * (US_PER_S / 100));
        flow.source_port = (uint16_t)(i % 700); /* again after 7 s, which is no repeat */
        assert_false(seen(before, &flow));
    }
    repeats_save(before, T + FLOWS * (US_PER_S / 100), &saved);
    assert_int_equal(repeats_new(&after), 0);
    assert_int_equal(repeats_load(after, saved.data, saved.len), 0);
    for (int i = FLOWS - 700; i < FLOWS + 700; i++) {
        struct flow flow = make_flow(T + i * (US_PER_S / 100));
        flow.source_port = (uint16_t)(i % 700);
        bool due = seen(before, &flow);
        assert_int_equal(seen(after, &flow), due);
    }
    repeats_free(&before);
    repeats_free(&after);
    buf_fini(&saved);
}

static void what_is_long_past_is_not_saved(void **state)
{
    static const struct {
        int64_t at_us;
        bool saved;
    } ROWS[] = {
        {0, true},
        {-REPEATS_SAVED_US, true},
        {-REPEATS_SAVED_US - 1, false},
        {-US_PER_HOUR, false},
        {US_PER_DAY, true}, /* nobody's present: the others are not past because of it */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct repeats *before;
        struct repeats *after;
        struct buf saved = {0};
        struct flow latest = make_flow(T);
        struct flow flow = make_flow(T + ROWS[i].at_us);
        flow.source_port = 1;
        assert_int_equal(repeats_new(&before), 0);
        assert_int_equal(repeats_new(&after), 0);
        assert_false(seen(before, &latest));
        assert_false(seen(before, &flow));
        repeats_save(before, T + US_PER_S, &saved);
        assert_int_equal(repeats_load(after, saved.data, saved.len), 0);
        assert_true(seen(after, &latest));
        assert_int_equal(seen(after, &flow), ROWS[i].saved);
        repeats_free(&before);
        repeats_free(&after);
        buf_fini(&saved);
    }
}

static void what_was_not_saved_by_us_is_refused(void **state)
{
    struct repeats *repeats;
    static const char DATA[25] = "";
    (void)state;
    assert_int_equal(repeats_new(&repeats), 0);
    assert_int_equal(repeats_load(repeats, DATA, 0), 0);
    assert_int_equal(repeats_load(repeats, DATA, 24), 0);
    assert_int_equal(repeats_load(repeats, DATA, 23), W_EDAMAGED);
    assert_int_equal(repeats_load(repeats, DATA, 25), W_EDAMAGED);
    repeats_free(&repeats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_is_within_five_seconds_of_the_first_in_either_direction),
        cmocka_unit_test(any_other_part_of_the_tuple_makes_another_flow),
        cmocka_unit_test(what_has_no_pair_or_time_or_is_an_aggregate_never_repeats),
        cmocka_unit_test(the_oldest_are_forgotten_when_there_are_too_many),
        cmocka_unit_test(what_is_saved_makes_the_same_repeats),
        cmocka_unit_test(what_is_long_past_is_not_saved),
        cmocka_unit_test(what_was_not_saved_by_us_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
