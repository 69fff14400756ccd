/* base/clock.h -- times and durations
 * SPDX-License-Identifier: Apache-2.0
 *
 * A time is int64_t microseconds since the Unix epoch, UTC. A duration is int64_t microseconds or,
 * where its name says so, milliseconds. Functions that judge take the time as a parameter; only the
 * edges of the program ask clock_now_us.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_MIN (60 * US_PER_S)
#define US_PER_HOUR (60 * US_PER_MIN)
#define US_PER_DAY (24 * US_PER_HOUR)

/* The years a frame, flow or question may name; what lies outside is refused as nonsense. */
#define TIME_MIN_US (INT64_C(946684800) * US_PER_S)  /* 2000-01-01 */
#define TIME_MAX_US (INT64_C(4102444800) * US_PER_S) /* 2100-01-01 */

/* Room for "2026-05-22T10:00:01.123456Z" and the NUL. */
#define TIME_TEXT_MAX 32

/* Wall clock. */
int64_t clock_now_us(void);
/* Monotonic clock, for intervals and timeouts. */
int64_t clock_monotonic_us(void);

/* Parses RFC 3339 (any fraction, Z or an offset, 'T' or a space; without a zone it is taken as
 * `zone_s` seconds east of UTC) or epoch seconds with an optional fraction. Nanoseconds are cut.
 * Returns false if it is neither or lies outside TIME_MIN_US..TIME_MAX_US. */
bool time_parse(int64_t *time_us, const char *text, size_t len, int32_t zone_s);

/* RFC 3339 in UTC with 6 decimals. Returns the length. */
size_t time_print(int64_t time_us, char text[TIME_TEXT_MAX]);

/* Parses "250ms", "2s", "60s", "10m", "24h", "8d", "0s". A bare number other than 0 is refused,
 * because nobody can tell its unit. Returns false if it is no duration or does not fit. */
bool duration_parse(int64_t *duration_us, const char *text, size_t len);

/* Days since the epoch of a civil date (proleptic Gregorian). */
int64_t days_from_civil(int year, unsigned month, unsigned day);
