/* join/syslog.c -- what stands before the message in a line of a system log
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/syslog.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int64_t civil_to_us(struct civil *civil, int year, int month, int day, int hour, int minute,
                    int second)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60 ||
        day > DAYS[month - 1] + (month == 2 && leap(year))) {
        return 0;
    }
    if (civil->year != year || civil->month != month || civil->day != day || civil->hour != hour ||
        civil->minute != minute) {
        struct tm tm = {
            .tm_year = year - 1900,
            .tm_mon = month - 1,
            .tm_mday = day,
            .tm_hour = hour,
            .tm_min = minute,
            .tm_isdst = -1,
        };
        *civil = (struct civil){year, month, day, hour, minute, (int64_t)mktime(&tm) * US_PER_S};
    }
    return civil->minute_us + second * US_PER_S;
}

/* A cursor over the line. */
struct scan {
    const char *at;
    const char *end;
};

static size_t left(const struct scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

static void skip_spaces(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at == ' ') {
        scan->at++;
    }
}

/* The word in hand, up to a space or the end. */
static struct text word(const struct scan *scan)
{
    if (scan->at >= scan->end) {
        return (struct text){scan->at, 0};
    }
    const char *space = memchr(scan->at, ' ', left(scan));
    return (struct text){scan->at, (size_t)((space != NULL ? space : scan->end) - scan->at)};
}

static bool is_word(struct text word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

/* One or two digits, or -1. */
static int two_digits(struct scan *scan, bool exactly)
{
    int value = -1;
    for (int i = 0; i < 2 && scan->at < scan->end && is_digit(*scan->at); i++) {
        value = (value < 0 ? 0 : value * 10) + (*scan->at++ - '0');
        if (exactly && i == 0 && (scan->at == scan->end || !is_digit(*scan->at))) {
            return -1;
        }
    }
    return value;
}

static bool expect(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c) {
        return false;
    }
    scan->at++;
    return true;
}

static int year_of(int64_t time_us)
{
    time_t seconds = (time_t)(time_us / US_PER_S);
    struct tm tm;
    return localtime_r(&seconds, &tm) != NULL ? tm.tm_year + 1900 : 1970;
}

/* Ten years hold a 29th of February for sure. What is remembered is usually right and saves asking
 * for the year of `near_us`. */
static int64_t nearest_year(struct civil *civil, int64_t near_us, int month, int day, int hour,
                            int minute, int second)
{
    if (civil->month == month) {
        int64_t guess = civil_to_us(civil, civil->year, month, day, hour, minute, second);
        if (guess != 0 && guess <= near_us + US_PER_DAY && guess > near_us - 300 * US_PER_DAY) {
            return guess;
        }
    }
    int newest = year_of(near_us) + 1;
    for (int year = newest; year > newest - 10; year--) {
        int64_t time_us = civil_to_us(civil, year, month, day, hour, minute, second);
        if (time_us != 0 && time_us <= near_us + US_PER_DAY) {
            return time_us;
        }
    }
    return 0;
}

/* "Sep  5 03:36:35" (RFC 3164 section 4.1.2). */
static int64_t peel_bsd_time(struct scan *scan, struct civil *civil, int64_t near_us)
{
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct scan s = *scan;
    int month = 0;
    for (int i = 0; i < 12 && left(&s) > 3 && month == 0; i++) {
        month = memcmp(s.at, MONTHS + i * 3, 3) == 0 ? i + 1 : 0;
    }
    if (month == 0) {
        return 0;
    }
    s.at += 3;
    if (!expect(&s, ' ')) {
        return 0;
    }
    skip_spaces(&s);
    int day = two_digits(&s, false);
    if (!expect(&s, ' ')) {
        return 0;
    }
    int hour = two_digits(&s, true);
    bool colons = expect(&s, ':');
    int minute = two_digits(&s, true);
    colons = expect(&s, ':') && colons;
    int second = two_digits(&s, true);
    if (!colons || day < 0 || hour < 0 || minute < 0 || second < 0 ||
        (s.at < s.end && *s.at != ' ')) {
        return 0;
    }
    int64_t time_us = nearest_year(civil, near_us, month, day, hour, minute, second);
    if (time_us != 0) {
        *scan = s;
    }
    return time_us;
}

/* True if an RFC 3339 time ends with Z or an offset. */
static bool has_zone(struct text time)
{
    char last = time.data[time.len - 1];
    return last == 'Z' || last == 'z' || memchr(time.data, '+', time.len) != NULL ||
           (time.len > 11 && memchr(time.data + 11, '-', time.len - 11) != NULL);
}

bool civil_parse(struct civil *civil, struct text time, int64_t *time_us)
{
    if (time.len < 10 || !time_parse(time_us, time.data, time.len, 0)) {
        return false;
    }
    if (time.data[4] == '-' && !has_zone(time)) {
        time_t seconds = (time_t)(*time_us / US_PER_S);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        *time_us = civil_to_us(civil, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                               tm.tm_min, tm.tm_sec) +
                   *time_us % US_PER_S;
    }
    return true;
}

int64_t civil_precision(struct text time)
{
    int64_t unit = US_PER_S;
    size_t at = 0;
    while (at < time.len && time.data[at] != '.' && time.data[at] != ',') {
        at++;
    }
    for (at++; at < time.len && is_digit(time.data[at]) && unit > 1; at++) {
        unit /= 10;
    }
    return unit - 1;
}

/* RFC 3339 or epoch seconds. */
static int64_t peel_exact_time(struct scan *scan, struct civil *civil, int64_t *precision_us)
{
    struct text time = word(scan);
    int64_t time_us;
    if (!civil_parse(civil, time, &time_us)) {
        return 0;
    }
    *precision_us = civil_precision(time);
    scan->at += time.len;
    return time_us;
}

/* <PRI>, and the version that follows it in RFC 5424. */
static void peel_priority(struct scan *scan)
{
    struct scan s = *scan;
    if (!expect(&s, '<')) {
        return;
    }
    const char *digits = s.at;
    while (s.at < s.end && is_digit(*s.at)) {
        s.at++;
    }
    if (s.at == digits || s.at - digits > 3 || !expect(&s, '>')) {
        return;
    }
    if (left(&s) > 2 && s.at[0] == '1' && s.at[1] == ' ') {
        s.at += 2;
    }
    *scan = s;
}

/* The host and the tag of the kernel. A word that ends with ':' is no host but already part of the
 * message: "Jan  8 03:37:09 DENY: IN=eth0". */
static void peel_host(struct scan *scan, struct syslog_head *head)
{
    skip_spaces(scan);
    struct text host = word(scan);
    if (host.len > 0 && host.data[host.len - 1] != ':' &&
        memchr(host.data, '=', host.len) == NULL) {
        head->host = host;
        scan->at += host.len;
        skip_spaces(scan);
    }
    struct text tag = word(scan);
    if (is_word(tag, "kernel:")) {
        scan->at += tag.len;
        skip_spaces(scan);
    }
}

/* "[10821.860593] ", "[ 1156.246182] " */
static void peel_uptime(struct scan *scan)
{
    struct scan s = *scan;
    if (!expect(&s, '[')) {
        return;
    }
    skip_spaces(&s);
    const char *digits = s.at;
    while (s.at < s.end && (is_digit(*s.at) || *s.at == '.')) {
        s.at++;
    }
    if (s.at == digits || !expect(&s, ']')) {
        return;
    }
    skip_spaces(&s);
    *scan = s;
}

bool syslog_peel(struct text line, struct civil *civil, int64_t near_us, struct syslog_head *head)
{
    struct scan scan = {line.data, line.data + line.len};
    *head = (struct syslog_head){.message = line};
    peel_priority(&scan);
    if (scan.at < scan.end && is_digit(*scan.at)) {
        head->time_us = peel_exact_time(&scan, civil, &head->precision_us);
        head->exact = head->time_us != 0;
    } else {
        head->time_us = peel_bsd_time(&scan, civil, near_us);
        head->precision_us = head->time_us != 0 ? US_PER_S - 1 : 0;
    }
    if (head->time_us != 0) {
        peel_host(&scan, head);
    } else if (is_word(word(&scan), "kernel:")) {
        scan.at += strlen("kernel:");
        skip_spaces(&scan);
    }
    peel_uptime(&scan);
    head->message = (struct text){scan.at, left(&scan)};
    return head->time_us != 0;
}
