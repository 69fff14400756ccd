/* cli/flags.h -- the table of all flags, for settings.c, config.c and help.c
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row says everything about a flag once: how it is spelled, what it takes, within which limits,
 * which commands know it, where its value goes in struct settings.
 *
 * Threads: stateless; a struct settings belongs to one thread while it is filled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/settings.h"

enum flag_type {
    FLAG_TEXT,      /* const char * */
    FLAG_TEXTS,     /* struct string_list */
    FLAG_BOOL,      /* bool */
    FLAG_COUNT,     /* uint32_t, min..max */
    FLAG_SIZE,      /* uint64_t bytes, min..max */
    FLAG_DURATION,  /* int64_t microseconds, min..max */
    FLAG_TIME,      /* int64_t microseconds since the epoch */
    FLAG_RANGE,     /* struct time_range */
    FLAG_MODE,      /* uint32_t, octal */
    FLAG_ENDPOINT,  /* struct endpoint */
    FLAG_CIDRS,     /* struct cidr_list */
    FLAG_DOMAINS,   /* struct name_list */
    FLAG_VERDICTS,  /* struct verdict_list */
    FLAG_CLUSTERS,  /* struct cluster_rules */
    FLAG_OUTPUT,    /* enum output */
    FLAG_LOG_LEVEL, /* enum log_level */
    FLAG_REQUEST,   /* --help, --version: no value, no key */
};

enum flag_group {
    GROUP_DNSTAP,
    GROUP_HTTP,
    GROUP_INDEX,
    GROUP_INPUT,
    GROUP_ATTRIBUTION,
    GROUP_OUTPUT,
    GROUP_GENERAL,
    GROUP_COUNT,
};

struct flag {
    const char *name;        /* without the dashes */
    const char *key;         /* in the YAML file; NULL: none */
    const char *placeholder; /* NULL: takes no value */
    const char *fallback;    /* default, as it would be typed; NULL: none */
    const char *help;
    size_t offset; /* in struct settings */
    int64_t min;   /* COUNT, SIZE (bytes), DURATION (us) */
    int64_t max;
    uint32_t commands; /* bit per enum command */
    enum flag_type type;
    enum flag_group group;
};

extern const struct flag FLAGS[];
extern const size_t FLAG_COUNT_ALL;

/* True for the types that may be given more than once. */
bool flag_is_list(const struct flag *flag);
bool flag_fits(const struct flag *flag, enum command command);

/* Parses `text` (borrowed: texts are kept by pointer) into `settings`; a list grows by one item.
 * Returns 0; W_EUSAGE with "value: what is expected" in `why`; -ENOMEM. */
int flag_set(const struct flag *flag, struct settings *settings, const char *text, struct why *why);

/* Empties a list, so that a source of higher precedence starts anew; does nothing otherwise. */
void flag_clear(const struct flag *flag, struct settings *settings);
