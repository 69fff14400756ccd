/* base/log.c -- what the program says about itself, on stderr
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static atomic_int max_level = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    int priority; /* syslog(3) */
} LEVELS[] = {{"error", 3}, {"warn", 4}, {"info", 6}, {"debug", 7}};

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

static size_t put_head(char *line, size_t size, enum log_level level)
{
    if (getenv("JOURNAL_STREAM") != NULL) {
        return (size_t)snprintf(line, size, "<%d>level=%s msg=\"", LEVELS[level].priority,
                                LEVELS[level].name);
    }
    char now[TIME_TEXT_MAX];
    time_print(clock_now_us(), now);
    return (size_t)snprintf(line, size, "time=%s level=%s msg=\"", now, LEVELS[level].name);
}

void log_at(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&max_level)) {
        return;
    }
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    char line[1024];
    size_t at = put_head(line, sizeof(line), level);
    for (const char *in = text; *in != '\0' && at < sizeof(line) - 8; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '"' || c == '\\') {
            line[at++] = '\\';
            line[at++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            at += (size_t)snprintf(line + at, 5, "\\x%02x", c);
        } else {
            line[at++] = (char)c;
        }
    }
    line[at++] = '"';
    line[at++] = '\n';
    /* A log that cannot be written has nobody to tell. */
    ssize_t written = write(STDERR_FILENO, line, at);
    (void)written;
}

bool log_limit_pass(struct log_limit *limit, int64_t monotonic_us, uint32_t *suppressed)
{
    if (limit->start_us == 0 || monotonic_us - limit->start_us >= limit->interval_us) {
        limit->start_us = monotonic_us;
        limit->seen = 0;
    }
    if (limit->seen >= limit->burst) {
        limit->suppressed++;
        return false;
    }
    limit->seen++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
