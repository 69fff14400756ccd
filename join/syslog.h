/* join/syslog.h -- what stands before the message in a line of a system log
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: a struct civil belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "join/text.h"

/* Civil time to UTC by the zone of the process (TZ). Remembers the last minute asked for, because
 * the lines of a log come in order and mktime(3) is slow. Zeroed memory is fine to begin with. */
struct civil {
    int year;
    int month; /* 1..12; 0: nothing remembered */
    int day;
    int hour;
    int minute;
    int64_t minute_us;
};

/* 0 if there is no such date. */
int64_t civil_to_us(struct civil *civil, int year, int month, int day, int hour, int minute,
                    int second);

/* Reads a whole text as RFC 3339 (by the zone of the process, where it names none; a space for the
 * T is fine) or as seconds since the epoch. Returns false if it is neither, or not within
 * TIME_MIN_US..TIME_MAX_US. */
bool civil_parse(struct civil *civil, struct text time, int64_t *time_us);

/* What a time of that text leaves open, in microseconds: 999999 without a fraction, nothing from
 * six digits on. */
int64_t civil_precision(struct text time);

struct syslog_head {
    int64_t time_us;      /* 0 if the line carries none */
    bool exact;           /* the time has its year; to the second only otherwise (RFC 3164) */
    int64_t precision_us; /* what it leaves open: 999999 where it is to the second */
    struct text host;
    struct text message; /* what follows */
};

/* Peels off <PRI>, the time (RFC 3164 without a year or a zone, RFC 3339 with or without one, epoch
 * seconds), the host, "kernel:" and the kernel's "[uptime]". A time without a year gets the one
 * that puts it nearest before `near_us`, a day's clock error allowed. What is not there is not
 * peeled off. Returns true if there was a time. */
bool syslog_peel(struct text line, struct civil *civil, int64_t near_us, struct syslog_head *head);
