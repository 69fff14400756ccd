/* base/log.h -- what the program says about itself, on stderr
 * SPDX-License-Identifier: Apache-2.0
 *
 * One logfmt line an event: `time=… level=warn msg="…" key=value`. Under systemd (JOURNAL_STREAM
 * set) the time is left out and the line starts with <PRIORITY>, as sd-daemon(3) describes. Data
 * never goes to stderr and logs never to stdout. Messages caused by a peer go through a limiter,
 * so that nothing from outside can fill the log.
 *
 * Threads: log_* may be called from any thread; a line is written by one write(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. The start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* `format` is a whole message without newline; quotes and control characters are escaped. */
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Lets at most `burst` events pass in each `interval_us`. Zeroed counters are a fresh limiter. Not
 * locked: one limiter belongs to one thread. */
struct log_limit {
    int64_t interval_us;
    uint32_t burst;
    uint32_t seen;       /* in this interval */
    uint32_t suppressed; /* since the last event that passed */
    int64_t start_us;    /* monotonic */
};

/* True if the event may be logged now; `*suppressed` then tells how many were not since the last.
 */
bool log_limit_pass(struct log_limit *limit, int64_t monotonic_us, uint32_t *suppressed);
