/* api/params.h -- the parameters of a request
 * SPDX-License-Identifier: Apache-2.0
 *
 * A query string is `name=value` pairs joined by '&', percent-encoded (RFC 3986 section 2.1). '+'
 * stands for itself, so that `at=2026-05-22T10:00:01+02:00` means what it says. Repeated names,
 * bad escapes and NUL octets are refused: a request that could be read in two ways is not answered
 * at all. A parameter given empty (`at=`) counts as not given.
 *
 * The typed readers leave *value alone where the parameter is not given, report what is wrong with
 * it through the sticky struct problem, and return true if it was given and is right.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/problem.h"
#include "base/addr.h"
#include "proto/name.h"
#include "store/store.h"

#define PARAMS_MAX 16

struct param {
    const char *name; /* terminated */
    const char *value;
    size_t value_len; /* `value` is terminated as well and holds no NUL */
};

struct params {
    size_t count;
    struct param items[PARAMS_MAX];
};

/* Decodes %XX in place and terminates the result, so text[len] must be writable. Returns the new
 * length, or SIZE_MAX for a bad escape or a NUL octet. */
size_t params_decode(char *text, size_t len);

/* Reads the query string (without '?') of `len` bytes, decoding it in place; text[len] must be
 * writable and `params` lives as long as the text. Returns false with a 400 in `problem`. */
bool params_parse(struct params *params, char *query, size_t len, struct problem *problem);

/* Refuses (400) every parameter that is not among the `known` (NULL-terminated list; NULL: none
 * is), so that a typing error shows. */
bool params_only(const struct params *params, const char *const *known, struct problem *problem);

/* NULL where it is not given. */
const struct param *params_find(const struct params *params, const char *name);

bool params_addr(const struct params *params, const char *name, struct addr *value,
                 struct problem *problem);
/* RFC 3339 (UTC where it carries no zone) or epoch seconds. */
bool params_time(const struct params *params, const char *name, int64_t *time_us,
                 struct problem *problem);
/* "90s", "24h", "7d": more than nothing, at most ten years. */
bool params_duration(const struct params *params, const char *name, int64_t *duration_us,
                     struct problem *problem);
/* A decimal number within 1..max. */
bool params_count(const struct params *params, const char *name, uint32_t max, uint32_t *value,
                  struct problem *problem);
/* "true" or "false". */
bool params_bool(const struct params *params, const char *name, bool *value,
                 struct problem *problem);
/* A cluster name: 1 to STORE_CLUSTER_MAX octets. *value points into the params. */
bool params_cluster(const struct params *params, const char *name, const char **value,
                    struct problem *problem);

/* The rules of the readers above for a value that came another way (a JSON key, a path segment). */
bool value_addr(const char *name, const char *text, size_t len, struct addr *value,
                struct problem *problem);
bool value_time(const char *name, const char *text, size_t len, int64_t *time_us,
                struct problem *problem);
bool value_cluster(const char *name, const char *text, size_t len, struct problem *problem);
bool value_name(const char *name, const char *text, size_t len, struct name *value,
                struct problem *problem);
