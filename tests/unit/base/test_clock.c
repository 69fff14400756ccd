/* tests/unit/base/test_clock.c -- times and durations
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* 2026-05-22T10:00:01Z */
#define T INT64_C(1779444001)

static bool parse(int64_t *time_us, const char *text, int32_t zone_s)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool ok = time_parse(time_us, copy, len, zone_s);
    free(copy);
    return ok;
}

static const struct {
    const char *text;
    int32_t zone_s;
    int64_t time_us;
} TIMES[] = {
    {"2026-05-22T10:00:01Z", 0, T *US_PER_S},
    {"2026-05-22T10:00:01z", 3600, T *US_PER_S},
    {"2026-05-22t10:00:01.5Z", 0, T *US_PER_S + 500000},
    {"2026-05-22 10:00:01.123456Z", 0, T *US_PER_S + 123456},
    {"2026-05-22T10:00:01.123456789Z", 0, T *US_PER_S + 123456},
    {"2026-05-22T10:00:01.000001Z", 0, T *US_PER_S + 1},
    {"2026-05-22T10:00:01,25Z", 0, T *US_PER_S + 250000},
    {"2026-05-22T12:00:01+02:00", 0, T *US_PER_S},
    {"2026-05-22T12:00:01+0200", 0, T *US_PER_S},
    {"2026-05-22T04:30:01-05:30", 7200, T *US_PER_S},
    {"2026-05-22T10:00:01", 0, T *US_PER_S},
    {"2026-05-22T12:00:01", 7200, T *US_PER_S},
    {"2026-05-22T08:00:01", -7200, T *US_PER_S},
    {"2026-05-22T10:00:00.999Z", 0, T *US_PER_S - 1000},
    {"2024-02-29T00:00:00Z", 0, INT64_C(1709164800) * US_PER_S},
    {"2016-12-31T23:59:60Z", 0, INT64_C(1483228800) * US_PER_S},
    {"2000-01-01T00:00:00Z", 0, TIME_MIN_US},
    {"2099-12-31T23:59:59.999999Z", 0, TIME_MAX_US - 1},
    {"1779444001", 7200, T *US_PER_S},
    {"1779444001.25", 0, T *US_PER_S + 250000},
    {"1779444001.1234567890123", 0, T *US_PER_S + 123456},
};

static void times_are_parsed_as_rfc_3339_or_epoch_seconds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        int64_t time_us = 0;
        if (!parse(&time_us, TIMES[i].text, TIMES[i].zone_s) || time_us != TIMES[i].time_us) {
            fail_msg("'%s': %lld, expected %lld", TIMES[i].text, (long long)time_us,
                     (long long)TIMES[i].time_us);
        }
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const INVALID[] = {
        "",
        "now",
        "2026",
        "2026-05-22",
        "2026-05-22T10:00",
        "2026-05-22T10:00:01.",
        "2026-05-22T10:00:01.Z",
        "2026-05-22T10:00:01ZZ",
        "2026-05-22T10:00:01 Z",
        "2026-05-22T10:00:01+2",
        "2026-05-22T10:00:01+24:00",
        "2026-05-22T10:00:01+02:60",
        "2026-05-22T24:00:00Z",
        "2026-05-22T10:60:00Z",
        "2026-05-22T10:00:61Z",
        "2026-00-22T10:00:01Z",
        "2026-13-22T10:00:01Z",
        "2026-05-00T10:00:01Z",
        "2026-05-32T10:00:01Z",
        "2026-04-31T10:00:01Z",
        "2026-5-22T10:00:01Z",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "0",
        "-1779444001",
        "1779444001.",
        "1779444001.x",
        "1779444001s",
        "1779444001 ",
        "4102444800",
        "946684799",
        "99999999999",
        "999999999999999999999999",
        "1779444001000",
        "1e9",
        "0x6a102861",
    };
    int64_t time_us;
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        if (parse(&time_us, INVALID[i], 0)) {
            fail_msg("'%s' was taken", INVALID[i]);
        }
    }
}

static void february_has_29_days_in_leap_years_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } DAYS[] = {{"2024-02-29T00:00:00Z", true},
                {"2023-02-29T00:00:00Z", false},
                {"2000-02-29T00:00:00Z", true},
                {"2026-02-29T00:00:00Z", false},
                {"2024-02-30T00:00:00Z", false}};
    int64_t time_us;
    for (size_t i = 0; i < sizeof(DAYS) / sizeof(DAYS[0]); i++) {
        if (parse(&time_us, DAYS[i].text, 0) != DAYS[i].valid) {
            fail_msg("'%s'", DAYS[i].text);
        }
    }
}

static void times_are_printed_with_six_decimals_and_read_back(void **state)
{
    (void)state;
    static const struct {
        int64_t time_us;
        const char *text;
    } PRINTED[] = {
        {T * US_PER_S + 123456, "2026-05-22T10:00:01.123456Z"},
        {TIME_MIN_US, "2000-01-01T00:00:00.000000Z"},
        {TIME_MAX_US - 1, "2099-12-31T23:59:59.999999Z"},
        {INT64_C(1709251199999999), "2024-02-29T23:59:59.999999Z"},
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < sizeof(PRINTED) / sizeof(PRINTED[0]); i++) {
        char text[TIME_TEXT_MAX];
        int64_t again;
        assert_int_equal(time_print(PRINTED[i].time_us, text), strlen(PRINTED[i].text));
        assert_string_equal(text, PRINTED[i].text);
        if (PRINTED[i].time_us >= TIME_MIN_US) {
            assert_true(parse(&again, text, 0));
            assert_int_equal(again, PRINTED[i].time_us);
        }
    }
}

static void every_day_of_a_century_is_the_one_of_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = TIME_MIN_US / US_PER_DAY; day < TIME_MAX_US / US_PER_DAY; day++) {
        time_t seconds = (time_t)(day * 86400);
        struct tm tm;
        char expected[40], text[TIME_TEXT_MAX];
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        time_print(day * US_PER_DAY, text);
        assert_string_equal(text, expected);
        assert_int_equal(
            days_from_civil(tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday), day);
    }
}

static void durations_have_a_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } VALID[] = {
        {"0", 0},
        {"0s", 0},
        {"1us", 1},
        {"250ms", 250000},
        {"2s", 2 * US_PER_S},
        {"60s", US_PER_MIN},
        {"10m", 10 * US_PER_MIN},
        {"24h", US_PER_DAY},
        {"8d", 8 * US_PER_DAY},
        {"007s", 7 * US_PER_S},
        {"99999999d", 99999999 * US_PER_DAY},
    };
    static const char *const INVALID[] = {
        "",     "s",   "1",   "10",    "-1s",         "+1s",        "1.5s",
        "1 s",  " 1s", "1s ", "1h30m", "1w",          "1S",         "1sec",
        "1min", "1m1", "s1",  "ms",    "1234567890s", "999999999d", "99999999999999999999s",
    };
    int64_t us;
    for (size_t i = 0; i < sizeof(VALID) / sizeof(VALID[0]); i++) {
        if (!duration_parse(&us, VALID[i].text, strlen(VALID[i].text)) || us != VALID[i].us) {
            fail_msg("'%s'", VALID[i].text);
        }
    }
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        if (duration_parse(&us, INVALID[i], strlen(INVALID[i]))) {
            fail_msg("'%s' was taken", INVALID[i]);
        }
    }
}

static void the_clocks_go_on(void **state)
{
    (void)state;
    int64_t now = clock_now_us();
    assert_true(now > TIME_MIN_US && now < TIME_MAX_US);
    int64_t before = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_parsed_as_rfc_3339_or_epoch_seconds),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(february_has_29_days_in_leap_years_alone),
        cmocka_unit_test(times_are_printed_with_six_decimals_and_read_back),
        cmocka_unit_test(every_day_of_a_century_is_the_one_of_the_c_library),
        cmocka_unit_test(durations_have_a_number_and_a_unit),
        cmocka_unit_test(the_clocks_go_on),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
