/* tests/unit/store/test_run.c -- runs of answers and their packed form
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tables for the borders, and random answers held against a model that keeps every answer and
 * derives the runs anew.
 */
#include "store/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define START (INT64_C(20500) * US_PER_DAY)
#define MS INT64_C(1000)
#define S US_PER_S

static struct runs runs;

static void setup_runs(void)
{
    runs.count = 0;
    runs.older_chunks = 0;
}

/* Through the packed form and back. */
static void repack(struct runs *of)
{
    static uint8_t bytes[1 + RUNS_MAX * RUN_BYTES_MAX];
    size_t len = runs_encode(of, bytes, START);
    assert_true(len <= 1 + (size_t)of->count * RUN_BYTES_MAX);
    uint8_t *exact = malloc(len); /* so that a sanitizer sees one octet too far */
    memcpy(exact, bytes, len);
    memset(of, 0xa5, sizeof(*of));
    assert_int_equal(runs_decode(of, exact, len, START), 0);
    free(exact);
}

/* ---- The packed form ---- */

static void a_run_survives_packing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t first_us;
        int64_t expiry_us; /* after the last */
        uint32_t count;
        uint16_t times;
        bool approximate;
        int64_t step_us;
    } CASES[] = {
        {"one answer at midnight", 0, 30 * S, 1, 1, false, 0},
        {"one answer in the last microsecond of the day", US_PER_DAY - 1, 30 * S, 1, 1, false, 0},
        {"TTL 0", 5, 0, 1, 1, false, 0},
        {"the largest TTL", 5, INT64_C(4294967295) * S, 1, 1, false, 0},
        {"two answers", 5, 30 * S, 2, 2, false, 20 * S},
        {"neighbours in milliseconds", 7, 30 * S, 5, 5, false, MS},
        {"as many times as are kept", 7, 30 * S, 64, 64, false, 17 * S},
        {"thinned", 7, 30 * S, 65, 34, true, 17 * S},
        {"thinned, the count at its end", 7, 30 * S, UINT32_MAX, 64, true, 20 * 60 * S},
        {"more answers than times, all exact", 7, 30 * S, 9, 3, false, S},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        print_message("  %s\n", CASES[i].name);
        setup_runs();
        struct run *run = &runs.run[0];
        run->first_us = START + CASES[i].first_us;
        run->count = CASES[i].count;
        run->approximate = CASES[i].approximate;
        run->time_count = CASES[i].times;
        for (uint16_t t = 0; t < run->time_count; t++) {
            run->times[t] = run->first_us + t * CASES[i].step_us;
            run->times[t] -= t > 0 && t < run->time_count - 1 ? run->times[t] % MS : 0;
        }
        run->last_us = run->times[run->time_count - 1];
        run->expiry_us = run->last_us + CASES[i].expiry_us;
        runs.count = 1;
        runs.older_chunks = (uint8_t)(i * 28);
        static struct runs before;
        before = runs;
        repack(&runs);
        assert_int_equal(runs.older_chunks, before.older_chunks);
        assert_int_equal(runs.count, 1);
        assert_int_equal(run->first_us, before.run[0].first_us);
        assert_int_equal(run->last_us, before.run[0].last_us);
        assert_int_equal(run->expiry_us, before.run[0].expiry_us);
        assert_int_equal(run->count, before.run[0].count);
        assert_int_equal(run->approximate, before.run[0].approximate);
        assert_int_equal(run->time_count, before.run[0].time_count);
        assert_memory_equal(run->times, before.run[0].times,
                            run->time_count * sizeof(run->times[0]));
    }
}

static void the_first_and_the_last_time_keep_their_microseconds(void **state)
{
    (void)state;
    setup_runs();
    runs_add(&runs, START + 1234567, 30);
    runs_add(&runs, START + 2345678, 30);
    runs_add(&runs, START + 3456789, 30);
    repack(&runs);
    assert_int_equal(runs.run[0].times[0], START + 1234567);
    /* Cut to whole milliseconds, never later than the answer. */
    assert_int_equal(runs.run[0].times[1], START + 2345 * MS);
    assert_int_equal(runs.run[0].times[2], START + 3456789);
    assert_int_equal(runs.run[0].expiry_us, START + 3456789 + 30 * S);
}

static void an_expiry_never_moves_before_that_of_the_answer(void **state)
{
    (void)state;
    setup_runs();
    runs_add(&runs, START + 1, 300);
    runs_add(&runs, START + 1000 * MS + 2, 1);
    for (int i = 0; i < 3; i++) {
        repack(&runs);
        assert_true(runs.run[0].expiry_us >= START + 1 + 300 * S);
        assert_true(runs.run[0].expiry_us < START + 1 + 300 * S + MS);
    }
}

static void a_single_answer_takes_ten_octets_at_most(void **state)
{
    (void)state;
    uint8_t bytes[1 + RUN_BYTES_MAX];
    setup_runs();
    runs_add(&runs, START + 12 * US_PER_HOUR, 300);
    assert_in_range(runs_encode(&runs, bytes, START), 8, 1 + 10);
}

static void damaged_octets_are_refused_or_read_but_never_crash(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t bytes[16];
        size_t len;
        int err;
    } CASES[] = {
        {"no octets", {0}, 0, W_EDAMAGED},
        {"no runs", {0}, 1, 0},
        {"count of zero", {0, 0, 1, 1, 1, 1, 1, 1}, 8, W_EDAMAGED},
        {"65 times", {0, 4 | 1, 65, 1, 1, 1, 1, 1, 1}, 9, W_EDAMAGED},
        {"cut in the first time", {0, 4, 1, 1, 1, 1}, 6, W_EDAMAGED},
        {"cut before the expiry", {0, 4, 1, 1, 1, 1, 1}, 7, W_EDAMAGED},
        {"an endless varint",
         {0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         12,
         W_EDAMAGED},
        {"cut in a delta", {0, 8, 1, 1, 1, 1, 1, 1, 0x80}, 9, W_EDAMAGED},
        {"cut in the last microseconds", {0, 8, 1, 1, 1, 1, 1, 1, 1, 1}, 10, W_EDAMAGED},
        {"two times", {0, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0}, 11, 0},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        print_message("  %s\n", CASES[i].name);
        uint8_t *exact = malloc(CASES[i].len + 1);
        memcpy(exact, CASES[i].bytes, CASES[i].len);
        exact = realloc(exact, CASES[i].len > 0 ? CASES[i].len : 1);
        assert_int_equal(runs_decode(&runs, exact, CASES[i].len, START), CASES[i].err);
        free(exact);
    }
}

/* A fixed generator: a failure can be seen again. */
static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(random_next() >> 16) % limit;
}

static void random_octets_never_crash(void **state)
{
    (void)state;
    random_state = 0x1234567;
    uint8_t bytes[300];
    for (int round = 0; round < 200000; round++) {
        size_t len = below(sizeof(bytes));
        for (size_t i = 0; i < len; i++) {
            /* Small octets get further: large ones are mostly endless varints. */
            bytes[i] = (uint8_t)(below(3) == 0 ? random_next() : below(16));
        }
        uint8_t *exact = malloc(len + (len == 0));
        memcpy(exact, bytes, len);
        int err = runs_decode(&runs, exact, len, START);
        free(exact);
        assert_true(err == 0 || err == W_EDAMAGED);
        if (err == 0 && runs.count > 0) {
            assert_in_range(runs.count, 1, RUNS_MAX);
            for (uint16_t i = 0; i < runs.count; i++) {
                assert_in_range(runs.run[i].time_count, 1, STORE_TIMES_MAX);
            }
        }
    }
}

static void flipped_bits_of_a_real_row_never_crash(void **state)
{
    (void)state;
    static uint8_t bytes[1 + RUNS_MAX * RUN_BYTES_MAX];
    setup_runs();
    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 1 + i * 5; j++) {
            runs_add(&runs, START + i * US_PER_HOUR + j * 10 * S, 30);
        }
    }
    size_t len = runs_encode(&runs, bytes, START);
    uint8_t *exact = malloc(len);
    for (size_t at = 0; at < len * 8; at++) {
        memcpy(exact, bytes, len);
        exact[at / 8] ^= (uint8_t)(1 << at % 8);
        (void)runs_decode(&runs, exact, len, START);
    }
    free(exact);
}

/* ---- Adding ---- */

struct add {
    int64_t at_ms;
    uint32_t ttl_s;
};

struct expected_run {
    int64_t first_ms;
    int64_t last_ms;
    int64_t expiry_ms;
    uint32_t count;
};

static void answers_make_runs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct add adds[8];
        int add_count;
        struct expected_run runs[8];
        int run_count;
    } CASES[] = {
        {"one answer", {{1000, 30}}, 1, {{1000, 1000, 31000, 1}}, 1},
        {"a repeat within the TTL", {{0, 30}, {10000, 30}}, 2, {{0, 10000, 40000, 2}}, 1},
        {"a repeat at the expiry and grace exactly",
         {{0, 30}, {90000, 30}},
         2,
         {{0, 90000, 120000, 2}},
         1},
        {"a repeat one millisecond after the expiry and grace",
         {{0, 30}, {90001, 30}},
         2,
         {{0, 0, 30000, 1}, {90001, 90001, 120001, 1}},
         2},
        {"TTL 0 lasts for the grace", {{0, 0}, {60000, 0}}, 2, {{0, 60000, 60000, 2}}, 1},
        {"a shorter TTL does not shorten the run",
         {{0, 300}, {1000, 5}, {360000, 5}},
         3,
         {{0, 360000, 365000, 3}},
         1},
        {"out of order within a run",
         {{0, 30}, {20000, 30}, {10000, 30}},
         3,
         {{0, 20000, 50000, 3}},
         1},
        {"before the first", {{20000, 30}, {10000, 30}}, 2, {{10000, 20000, 50000, 2}}, 1},
        {"before the first, its grace ending exactly there",
         {{200000, 30}, {110000, 30}},
         2,
         {{110000, 200000, 230000, 2}},
         1},
        {"before the first by one millisecond too much",
         {{200000, 30}, {109999, 30}},
         2,
         {{109999, 109999, 139999, 1}, {200000, 200000, 230000, 1}},
         2},
        {"a late answer joins two runs",
         {{0, 30}, {170000, 30}, {85000, 30}},
         3,
         {{0, 170000, 200000, 3}},
         1},
        {"a late answer with a long TTL joins three runs",
         {{0, 30}, {200000, 30}, {400000, 30}, {10000, 600}},
         4,
         {{0, 400000, 610000, 4}},
         1},
        {"an earlier answer with a long TTL joins the runs after it",
         {{200000, 30}, {400000, 30}, {600000, 30}, {100000, 250}},
         4,
         {{100000, 400000, 430000, 3}, {600000, 600000, 630000, 1}},
         2},
        {"between two runs and part of neither",
         {{0, 30}, {400000, 30}, {200000, 30}},
         3,
         {{0, 0, 30000, 1}, {200000, 200000, 230000, 1}, {400000, 400000, 430000, 1}},
         3},
        {"the same time again is not counted again",
         {{0, 30}, {10000, 30}, {10000, 30}, {0, 30}},
         4,
         {{0, 10000, 40000, 2}},
         1},
        {"the same time again may have the longer TTL",
         {{0, 30}, {0, 60}},
         2,
         {{0, 0, 60000, 1}},
         1},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (int packed = 0; packed < 2; packed++) {
            print_message("  %s%s\n", CASES[i].name, packed ? ", packed in between" : "");
            setup_runs();
            for (int j = 0; j < CASES[i].add_count; j++) {
                runs_add(&runs, START + CASES[i].adds[j].at_ms * MS, CASES[i].adds[j].ttl_s);
                if (packed) {
                    repack(&runs);
                }
            }
            assert_int_equal(runs.count, CASES[i].run_count);
            for (int j = 0; j < CASES[i].run_count; j++) {
                const struct expected_run *want = &CASES[i].runs[j];
                assert_int_equal((runs.run[j].first_us - START) / MS, want->first_ms);
                assert_int_equal((runs.run[j].last_us - START) / MS, want->last_ms);
                assert_int_equal((runs.run[j].expiry_us - START) / MS, want->expiry_ms);
                assert_int_equal(runs.run[j].count, want->count);
                assert_int_equal(runs.run[j].time_count, want->count);
            }
        }
    }
}

static void adding_tells_whether_a_run_was_opened(void **state)
{
    (void)state;
    setup_runs();
    assert_true(runs_add(&runs, START, 30));
    assert_false(runs_add(&runs, START + 90 * S, 30));
    assert_true(runs_add(&runs, START + 181 * S, 30));
    assert_false(runs_add(&runs, START + 100 * S, 30));
}

static void up_to_64_times_all_are_kept(void **state)
{
    (void)state;
    setup_runs();
    for (int i = 0; i < STORE_TIMES_MAX; i++) {
        runs_add(&runs, START + i * S, 30);
    }
    repack(&runs);
    assert_int_equal(runs.run[0].time_count, 64);
    assert_int_equal(runs.run[0].count, 64);
    assert_false(runs.run[0].approximate);
}

static void the_65th_time_thins_and_marks_the_run(void **state)
{
    (void)state;
    setup_runs();
    for (int i = 0; i <= STORE_TIMES_MAX; i++) {
        runs_add(&runs, START + i * S, 30);
    }
    repack(&runs);
    const struct run *run = &runs.run[0];
    assert_int_equal(run->count, 65);
    assert_true(run->approximate);
    assert_in_range(run->time_count, 16, 64);
    assert_int_equal(run->times[0], START);
    assert_int_equal(run->first_us, START);
    assert_int_equal(run->times[run->time_count - 1], START + 64 * S);
    assert_int_equal(run->last_us, START + 64 * S);
}

/* A flow at any moment of the day must find an answer not long before it: an hour is what an
 * attribution without an owner looks back (DESIGN section 3). */
static void a_run_of_a_whole_day_keeps_times_all_over_it(void **state)
{
    (void)state;
    static const int STEPS_S[] = {5, 30, 31, 77, 300};
    for (size_t i = 0; i < sizeof(STEPS_S) / sizeof(STEPS_S[0]); i++) {
        setup_runs();
        uint32_t count = 0;
        for (int64_t at = 0; at < 86400; at += STEPS_S[i], count++) {
            runs_add(&runs, START + at * S, 300);
            if (count % 100 == 0) {
                repack(&runs);
            }
        }
        assert_int_equal(runs.count, 1);
        assert_int_equal(runs.run[0].count, count);
        const struct run *run = &runs.run[0];
        for (uint16_t t = 1; t < run->time_count; t++) {
            assert_in_range(run->times[t] - run->times[t - 1], 1, US_PER_HOUR);
        }
    }
}

static void a_capture_added_again_changes_nothing(void **state)
{
    (void)state;
    static struct runs before;
    static const int ANSWERS[] = {1, 2, 63, 64, 65, 66, 200, 3000};
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        for (int first_us = 0; first_us < 3; first_us++) {
            print_message("  %d answers\n", ANSWERS[i]);
            setup_runs();
            for (int again = 0; again < 3; again++) {
                random_state = 42;
                int64_t at = START + first_us * 333;
                for (int j = 0; j < ANSWERS[i]; j++) {
                    runs_add(&runs, at, 30);
                    at += 1 * S + below(27 * 1000000);
                    if (j % 7 == 0) {
                        repack(&runs);
                    }
                }
                repack(&runs);
                if (again == 0) {
                    before = runs;
                }
                assert_int_equal(runs.count, before.count);
                assert_int_equal(runs.run[0].count, before.run[0].count);
                assert_int_equal(runs.run[0].time_count, before.run[0].time_count);
                assert_memory_equal(runs.run[0].times, before.run[0].times,
                                    sizeof(int64_t) * before.run[0].time_count);
            }
            assert_int_equal(runs.run[0].count, ANSWERS[i]);
        }
    }
}

/* ---- Against a model ---- */

struct model_answer {
    int64_t at_us;
    uint32_t ttl_s;
};

static int by_time(const void *a, const void *b)
{
    const struct model_answer *x = a;
    const struct model_answer *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

/* The runs of answers in order of time; times are different and few enough to be kept. */
static void model_runs(struct model_answer *answers, size_t count, struct runs *out)
{
    qsort(answers, count, sizeof(*answers), by_time);
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t expiry_us = answers[i].at_us + answers[i].ttl_s * S;
        struct run *run = out->count > 0 ? &out->run[out->count - 1] : NULL;
        if (run == NULL || answers[i].at_us > run->expiry_us + RUN_GRACE_US) {
            run = &out->run[out->count++];
            *run = (struct run){.first_us = answers[i].at_us, .expiry_us = expiry_us};
        }
        if (run->time_count == 0 || run->times[run->time_count - 1] != answers[i].at_us) {
            run->times[run->time_count++] = answers[i].at_us;
            run->count++;
        }
        run->last_us = answers[i].at_us;
        run->expiry_us = expiry_us > run->expiry_us ? expiry_us : run->expiry_us;
    }
}

static void random_answers_make_the_runs_of_the_model(void **state)
{
    (void)state;
    static struct runs want;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        struct model_answer answers[60];
        random_state = seed * 0x9e3779b97f4a7c15;
        size_t count = 1 + below(60);
        uint32_t span_ms = 1000u << below(12);
        uint32_t ttl_max = 1 + below(400);
        bool packing = below(2) != 0;
        setup_runs();
        for (size_t i = 0; i < count; i++) {
            answers[i].at_us = START + below(span_ms) * MS;
            answers[i].ttl_s = below(ttl_max);
            if (i > 0 && below(10) == 0) {
                answers[i].at_us = answers[i - 1].at_us;
            }
            uint16_t before = runs.count;
            bool opened = runs_add(&runs, answers[i].at_us, answers[i].ttl_s);
            assert_true(opened == (runs.count == before + 1));
            if (packing) {
                repack(&runs);
            }
        }
        model_runs(answers, count, &want);
        bool same = runs.count == want.count;
        for (uint16_t i = 0; i < want.count && same; i++) {
            const struct run *a = &runs.run[i];
            const struct run *b = &want.run[i];
            same = a->first_us == b->first_us && a->last_us == b->last_us &&
                   a->expiry_us == b->expiry_us && a->count == b->count && !a->approximate &&
                   a->time_count == b->time_count &&
                   memcmp(a->times, b->times, a->time_count * sizeof(a->times[0])) == 0;
        }
        if (!same) {
            fail_msg("seed %llu", (unsigned long long)seed);
        }
    }
}

static void random_microseconds_keep_order_count_and_borders(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15;
        size_t count = 1 + below(200);
        int64_t first_us = INT64_MAX, last_us = 0, expiry_us = 0;
        setup_runs();
        for (size_t i = 0; i < count; i++) {
            int64_t at_us = START + below(100 * 1000000);
            uint32_t ttl_s = 100 + below(10);
            runs_add(&runs, at_us, ttl_s);
            if (below(3) == 0) {
                repack(&runs);
            }
            first_us = at_us < first_us ? at_us : first_us;
            last_us = at_us > last_us ? at_us : last_us;
            expiry_us = at_us + ttl_s * S > expiry_us ? at_us + ttl_s * S : expiry_us;
        }
        repack(&runs);
        const struct run *run = &runs.run[0];
        bool good = runs.count == 1 && run->first_us == first_us && run->last_us == last_us &&
                    run->count <= count && run->expiry_us >= expiry_us &&
                    run->expiry_us <= expiry_us + (int64_t)count * MS;
        for (uint16_t i = 1; i < run->time_count && good; i++) {
            good = run->times[i - 1] < run->times[i];
        }
        if (!good) {
            fail_msg("seed %llu", (unsigned long long)seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_survives_packing),
        cmocka_unit_test(the_first_and_the_last_time_keep_their_microseconds),
        cmocka_unit_test(an_expiry_never_moves_before_that_of_the_answer),
        cmocka_unit_test(a_single_answer_takes_ten_octets_at_most),
        cmocka_unit_test(damaged_octets_are_refused_or_read_but_never_crash),
        cmocka_unit_test(random_octets_never_crash),
        cmocka_unit_test(flipped_bits_of_a_real_row_never_crash),
        cmocka_unit_test(answers_make_runs),
        cmocka_unit_test(adding_tells_whether_a_run_was_opened),
        cmocka_unit_test(up_to_64_times_all_are_kept),
        cmocka_unit_test(the_65th_time_thins_and_marks_the_run),
        cmocka_unit_test(a_run_of_a_whole_day_keeps_times_all_over_it),
        cmocka_unit_test(a_capture_added_again_changes_nothing),
        cmocka_unit_test(random_answers_make_the_runs_of_the_model),
        cmocka_unit_test(random_microseconds_keep_order_count_and_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
