/* tests/unit/join/test_syslog.c -- what stands before the message in a line of a system log
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/syslog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static int64_t us(const char *text)
{
    int64_t time_us;
    assert_true(time_parse(&time_us, text, strlen(text), 0));
    return time_us;
}

static void in_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static const struct {
    const char *line;
    const char *time; /* NULL: none */
    bool exact;
    const char *host;
    const char *message;
} LINES[] = {
    {"Sep 25 03:36:35 host kernel: text", "2025-09-25T03:36:35Z", false, "host", "text"},
    {"Apr  3 10:12:30 host kernel: [10821.860593] text", "2026-04-03T10:12:30Z", false, "host",
     "text"},
    {"Apr 3 10:12:30 host kernel: text", "2026-04-03T10:12:30Z", false, "host", "text"},
    {"<161>Oct 10 07:25:12 host kernel: [x]IN=e", "2025-10-10T07:25:12Z", false, "host", "[x]IN=e"},
    {"<4>1 2026-03-12T14:10:18Z host kernel: text", "2026-03-12T14:10:18Z", true, "host", "text"},
    {"2026-03-12T14:10:18Z host kernel: text", "2026-03-12T14:10:18Z", true, "host", "text"},
    {"2026-03-12T14:10:18.023805-08:00 host kernel: text", "2026-03-12T22:10:18.023805Z", true,
     "host", "text"},
    {"2026-03-12T14:10:18,5+0200 host kernel: text", "2026-03-12T12:10:18.5Z", true, "host",
     "text"},
    {"2026-03-12T14:10:18.25 host kernel: text", "2026-03-12T14:10:18.25Z", true, "host", "text"},
    {"1773324618.5 host kernel: text", "2026-03-12T14:10:18.5Z", true, "host", "text"},
    {"Jan  8 03:37:09 DENY: IN=eth0 OUT=", "2026-01-08T03:37:09Z", false, NULL,
     "DENY: IN=eth0 OUT="},
    {"Jan  8 03:37:09 kernel: text", "2026-01-08T03:37:09Z", false, NULL, "text"},
    {"Jan  8 03:37:09 host prefix: IN=", "2026-01-08T03:37:09Z", false, "host", "prefix: IN="},
    {"Feb 29 12:00:00 host kernel: text", "2024-02-29T12:00:00Z", false, "host", "text"},
    {"kernel: [ 12.5] text", NULL, false, NULL, "text"},
    {"[ 12.5] text", NULL, false, NULL, "text"},
    {"text", NULL, false, NULL, "text"},
    {"", NULL, false, NULL, ""},
    /* Not quite: nothing is peeled off. */
    {"Sep 31 03:36:35 host kernel: text", NULL, false, NULL, "Sep 31 03:36:35 host kernel: text"},
    {"Feb 30 03:36:35 host kernel: text", NULL, false, NULL, "Feb 30 03:36:35 host kernel: text"},
    {"Sep 25 24:36:35 host", NULL, false, NULL, "Sep 25 24:36:35 host"},
    {"Sep 25 3:36:35 host", NULL, false, NULL, "Sep 25 3:36:35 host"},
    {"Sep 25 03:36 host", NULL, false, NULL, "Sep 25 03:36 host"},
    {"Sep 25 03:36:35host", NULL, false, NULL, "Sep 25 03:36:35host"},
    {"September", NULL, false, NULL, "September"},
    {"2026-03-12 host", NULL, false, NULL, "2026-03-12 host"},
    {"<>text", NULL, false, NULL, "<>text"},
    {"<12345>text", NULL, false, NULL, "<12345>text"},
};

static void assert_text(struct text text, const char *expected)
{
    if (expected == NULL) {
        assert_null(text.data);
        return;
    }
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void headers_are_peeled_off(void **state)
{
    struct civil civil = {0};
    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        struct syslog_head head;
        size_t len = strlen(LINES[i].line);
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, LINES[i].line, len);
        bool timed =
            syslog_peel((struct text){copy, len}, &civil, us("2026-06-01T00:00:00Z"), &head);
        assert_int_equal(timed, LINES[i].time != NULL);
        assert_true(head.time_us == (timed ? us(LINES[i].time) : 0));
        assert_int_equal(head.exact, LINES[i].exact);
        assert_text(head.host, LINES[i].host);
        assert_text(head.message, LINES[i].message);
        free(copy);
    }
}

static void a_time_without_a_year_gets_the_nearest_before(void **state)
{
    static const struct {
        const char *near;
        const char *line;
        const char *time;
    } CASES[] = {
        {"2026-01-01T00:10:00Z", "Dec 31 23:59:59 h k", "2025-12-31T23:59:59Z"},
        {"2026-01-01T00:10:00Z", "Jan  1 00:05:00 h k", "2026-01-01T00:05:00Z"},
        /* A clock may be ahead, by less than a day. */
        {"2026-01-01T00:10:00Z", "Jan  1 20:00:00 h k", "2026-01-01T20:00:00Z"},
        {"2026-01-01T00:10:00Z", "Jan  3 00:00:00 h k", "2025-01-03T00:00:00Z"},
        {"2025-12-31T23:50:00Z", "Jan  1 00:00:01 h k", "2026-01-01T00:00:01Z"},
        {"2028-02-29T12:00:00Z", "Feb 29 11:00:00 h k", "2028-02-29T11:00:00Z"},
        {"2027-02-28T12:00:00Z", "Feb 29 11:00:00 h k", "2024-02-29T11:00:00Z"},
    };
    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        /* With and without what is remembered from a line of that month. */
        struct civil civil = {0};
        for (int round = 0; round < 2; round++) {
            struct syslog_head head;
            syslog_peel((struct text){CASES[i].line, strlen(CASES[i].line)}, &civil,
                        us(CASES[i].near), &head);
            assert_true(head.time_us == us(CASES[i].time));
        }
    }
}

static void what_is_remembered_does_not_carry_a_year_along(void **state)
{
    static const struct {
        const char *line;
        const char *time;
    } LINES_IN_ORDER[] = {
        {"Feb 29 12:00:00 h k", "2024-02-29T12:00:00Z"},
        {"Feb 28 12:00:00 h k", "2026-02-28T12:00:00Z"},
        {"Dec 31 12:00:00 h k", "2025-12-31T12:00:00Z"},
        {"Jan  1 12:00:00 h k", "2026-01-01T12:00:00Z"},
    };
    struct civil civil = {0};
    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < sizeof(LINES_IN_ORDER) / sizeof(LINES_IN_ORDER[0]); i++) {
        const char *line = LINES_IN_ORDER[i].line;
        struct syslog_head head;
        syslog_peel((struct text){line, strlen(line)}, &civil, us("2026-06-01T00:00:00Z"), &head);
        assert_true(head.time_us == us(LINES_IN_ORDER[i].time));
    }
}

static void the_zone_of_the_process_counts_where_the_line_has_none(void **state)
{
    struct civil civil = {0};
    struct syslog_head head;
    static const struct {
        const char *line;
        const char *time;
    } CASES[] = {
        {"Jan 15 12:00:00 h kernel: x", "2026-01-15T11:00:00Z"},
        {"May 15 12:00:00 h kernel: x", "2026-05-15T10:00:00Z"},
        {"2026-05-15T12:00:00.5 h kernel: x", "2026-05-15T10:00:00.5Z"},
        {"2026-05-15T12:00:00Z h kernel: x", "2026-05-15T12:00:00Z"},
    };
    (void)state;
    /* Central European time with its rules, so that no zone files are needed. */
    in_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        syslog_peel((struct text){CASES[i].line, strlen(CASES[i].line)}, &civil,
                    us("2026-06-01T00:00:00Z"), &head);
        assert_true(head.time_us == us(CASES[i].time));
    }
    in_zone("UTC0");
}

static void what_a_clock_leaves_open_is_known(void **state)
{
    static const struct {
        const char *line;
        int64_t precision_us;
    } CASES[] = {
        {"Sep 25 03:36:35 host kernel: text", 999999},
        {"2026-03-12T14:10:18Z host", 999999},
        {"2026-03-12T14:10:18+02:00 host", 999999},
        {"2026-03-12T14:10:18.5Z host", 99999},
        {"2026-03-12T14:10:18,023-08:00 host", 999},
        {"2026-03-12T14:10:18.023805-08:00 host", 0},
        {"2026-03-12T14:10:18.023805123Z host", 0},
        {"1773324618 host", 999999},
        {"1773324618.25 host", 9999},
        {"[ 12.5] text", 0},
    };
    struct civil civil = {0};
    (void)state;
    in_zone("UTC0");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct syslog_head head;
        syslog_peel((struct text){CASES[i].line, strlen(CASES[i].line)}, &civil,
                    us("2026-06-01T00:00:00Z"), &head);
        assert_int_equal(head.precision_us, CASES[i].precision_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_peeled_off),
        cmocka_unit_test(a_time_without_a_year_gets_the_nearest_before),
        cmocka_unit_test(what_is_remembered_does_not_carry_a_year_along),
        cmocka_unit_test(the_zone_of_the_process_counts_where_the_line_has_none),
        cmocka_unit_test(what_a_clock_leaves_open_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
