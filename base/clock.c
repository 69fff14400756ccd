/* base/clock.c -- times and durations
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* A year is counted from March, so that the leap day is its last; an era is 400 years. */
int64_t days_from_civil(int year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

/* A sticky cursor over the text of a time. */
struct scan {
    const char *at;
    const char *end;
    bool bad;
};

static int64_t scan_digits(struct scan *scan, int count)
{
    int64_t value = 0;
    if (scan->end - scan->at < count) {
        scan->bad = true;
    }
    for (int i = 0; i < count && !scan->bad; i++) {
        if (*scan->at < '0' || *scan->at > '9') {
            scan->bad = true;
            break;
        }
        value = value * 10 + (*scan->at++ - '0');
    }
    return value;
}

static bool scan_char(struct scan *scan, const char *any)
{
    if (scan->bad || scan->at == scan->end || strchr(any, *scan->at) == NULL || *scan->at == '\0') {
        scan->bad = true;
        return false;
    }
    scan->at++;
    return true;
}

/* ".123456789" to microseconds; what is finer is cut. */
static int64_t scan_fraction(struct scan *scan)
{
    if (scan->at == scan->end || (*scan->at != '.' && *scan->at != ',')) {
        return 0;
    }
    scan->at++;
    int64_t value = 0;
    int digits = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        if (digits < 6) {
            value = value * 10 + (*scan->at - '0');
        }
        digits++;
        scan->at++;
    }
    scan->bad |= digits == 0;
    for (; digits < 6; digits++) {
        value *= 10;
    }
    return value;
}

static int64_t scan_zone(struct scan *scan, int32_t default_s)
{
    if (scan->at == scan->end) {
        return default_s;
    }
    if (*scan->at == 'Z' || *scan->at == 'z') {
        scan->at++;
        return 0;
    }
    int sign = *scan->at == '-' ? -1 : 1;
    scan_char(scan, "+-");
    int64_t hours = scan_digits(scan, 2);
    if (scan->at < scan->end && *scan->at == ':') {
        scan->at++;
    }
    int64_t minutes = scan_digits(scan, 2);
    scan->bad |= hours > 23 || minutes > 59;
    return sign * (hours * 3600 + minutes * 60);
}

static bool parse_rfc3339(int64_t *time_us, struct scan *scan, int32_t zone_s)
{
    int year = (int)scan_digits(scan, 4);
    scan_char(scan, "-");
    unsigned month = (unsigned)scan_digits(scan, 2);
    scan_char(scan, "-");
    unsigned day = (unsigned)scan_digits(scan, 2);
    scan_char(scan, "Tt ");
    int64_t hour = scan_digits(scan, 2);
    scan_char(scan, ":");
    int64_t minute = scan_digits(scan, 2);
    scan_char(scan, ":");
    int64_t second = scan_digits(scan, 2);
    if (scan->bad) {
        return false;
    }
    int64_t fraction = scan_fraction(scan);
    int64_t zone = scan_zone(scan, zone_s);
    static const uint8_t DAYS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    /* Second 60 is a leap second and is counted into the next minute (RFC 3339 section 5.7). */
    if (scan->bad || scan->at != scan->end || month < 1 || month > 12 || day < 1 ||
        day > DAYS[month - 1] || (month == 2 && day == 29 && !leap_year) || hour > 23 ||
        minute > 59 || second > 60) {
        return false;
    }
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *time_us = (seconds - zone) * US_PER_S + fraction;
    return true;
}

static bool parse_epoch(int64_t *time_us, struct scan *scan)
{
    int64_t seconds = 0;
    int digits = 0;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; digits++) {
        if (digits == 11) {
            return false;
        }
        seconds = seconds * 10 + (*scan->at++ - '0');
    }
    int64_t fraction = scan_fraction(scan);
    *time_us = seconds * US_PER_S + fraction;
    return digits > 0 && !scan->bad && scan->at == scan->end;
}

bool time_parse(int64_t *time_us, const char *text, size_t len, int32_t zone_s)
{
    struct scan scan = {text, text + len, false};
    bool dated = len > 5 && text[4] == '-';
    bool ok = dated ? parse_rfc3339(time_us, &scan, zone_s) : parse_epoch(time_us, &scan);
    return ok && *time_us >= TIME_MIN_US && *time_us < TIME_MAX_US;
}

/* Two digits; one pair does not wait for another. */
static void print_pair(char *at, uint32_t value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
}

size_t time_print(int64_t time_us, char text[TIME_TEXT_MAX])
{
    int64_t days = time_us / US_PER_DAY - (time_us % US_PER_DAY < 0);
    int64_t rest = time_us - days * US_PER_DAY;
    int year;
    unsigned month, day;
    civil_from_days(days, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000000Z", 28);
    uint32_t second = (uint32_t)(rest / US_PER_S);
    uint32_t micro = (uint32_t)(rest % US_PER_S);
    print_pair(text, (uint32_t)year / 100);
    print_pair(text + 2, (uint32_t)year % 100);
    print_pair(text + 5, month);
    print_pair(text + 8, day);
    print_pair(text + 11, second / 3600);
    print_pair(text + 14, second / 60 % 60);
    print_pair(text + 17, second % 60);
    print_pair(text + 20, micro / 10000);
    print_pair(text + 22, micro / 100 % 100);
    print_pair(text + 24, micro % 100);
    return 27;
}

bool duration_parse(int64_t *duration_us, const char *text, size_t len)
{
    static const struct {
        const char *unit;
        int64_t us;
    } UNITS[] = {{"us", 1},         {"ms", 1000},       {"s", US_PER_S},
                 {"m", US_PER_MIN}, {"h", US_PER_HOUR}, {"d", US_PER_DAY}};
    int64_t value = 0;
    size_t at = 0;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
        if (at == 9) {
            return false;
        }
        value = value * 10 + (text[at] - '0');
    }
    if (at == 0) {
        return false;
    }
    if (at == len) {
        *duration_us = 0;
        return value == 0;
    }
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        if (strlen(UNITS[i].unit) == len - at && memcmp(UNITS[i].unit, text + at, len - at) == 0) {
            return !__builtin_mul_overflow(value, UNITS[i].us, duration_us);
        }
    }
    return false;
}
