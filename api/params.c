/* api/params.c -- the parameters of a request
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/params.h"

#include <string.h>

#include "base/clock.h"

/* Enough of a bad value to recognise it; the rest would only repeat what the client knows. */
#define SHOWN_MAX 64

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t params_decode(char *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return SIZE_MAX;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            return SIZE_MAX;
        }
        text[out++] = c;
    }
    text[out] = '\0';
    return out;
}

/* The length of the piece at `text` up to `end` or the first `stop`. */
static size_t piece_len(const char *text, const char *end, char stop)
{
    const char *at = memchr(text, stop, (size_t)(end - text));
    return (size_t)((at == NULL ? end : at) - text);
}

static bool add_pair(struct params *params, char *pair, size_t len, struct problem *problem)
{
    size_t name_len = piece_len(pair, pair + len, '=');
    char *value = name_len < len ? pair + name_len + 1 : pair + len;
    size_t value_len = params_decode(value, (size_t)(pair + len - value));
    name_len = params_decode(pair, name_len);
    if (name_len == SIZE_MAX) {
        return problem_set(problem, 400, NULL, "the query holds a bad percent escape");
    }
    if (value_len == SIZE_MAX) {
        return problem_set(problem, 400, pair, "the value of %.*s holds a bad percent escape",
                           SHOWN_MAX, pair);
    }
    if (params_find(params, pair) != NULL) {
        return problem_set(problem, 400, pair, "%.*s is given more than once", SHOWN_MAX, pair);
    }
    if (params->count == PARAMS_MAX) {
        return problem_set(problem, 400, NULL, "more than %d parameters", PARAMS_MAX);
    }
    params->items[params->count++] = (struct param){pair, value, value_len};
    return true;
}

bool params_parse(struct params *params, char *query, size_t len, struct problem *problem)
{
    params->count = 0;
    char *end = query + len;
    for (char *at = query; at < end;) {
        size_t pair_len = piece_len(at, end, '&');
        if (pair_len > 0 && !add_pair(params, at, pair_len, problem)) {
            return false;
        }
        at += pair_len + 1;
    }
    return true;
}

const struct param *params_find(const struct params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++) {
        if (strcmp(params->items[i].name, name) == 0) {
            return &params->items[i];
        }
    }
    return NULL;
}

/* As params_find, but an empty value counts as not given. */
static const struct param *find_given(const struct params *params, const char *name)
{
    const struct param *param = params_find(params, name);
    return param != NULL && param->value_len > 0 ? param : NULL;
}

bool params_only(const struct params *params, const char *const *known, struct problem *problem)
{
    for (size_t i = 0; i < params->count; i++) {
        const char *const *at = known;
        while (at != NULL && *at != NULL && strcmp(*at, params->items[i].name) != 0) {
            at++;
        }
        if (at == NULL || *at == NULL) {
            return problem_set(problem, 400, params->items[i].name,
                               "%.*s is not a parameter of this resource", SHOWN_MAX,
                               params->items[i].name);
        }
    }
    return true;
}

bool value_addr(const char *name, const char *text, size_t len, struct addr *value,
                struct problem *problem)
{
    if (!addr_parse(value, text, len)) {
        return problem_set(problem, 400, name, "%s: '%.*s' is not an IP address", name,
                           (int)(len < SHOWN_MAX ? len : SHOWN_MAX), text);
    }
    return true;
}

bool value_time(const char *name, const char *text, size_t len, int64_t *time_us,
                struct problem *problem)
{
    if (!time_parse(time_us, text, len, 0)) {
        return problem_set(problem, 400, name,
                           "%s: '%.*s' is not a time: expected RFC 3339 "
                           "(2026-05-22T10:00:01.5Z) or epoch seconds, from 2000 to 2099",
                           name, (int)(len < SHOWN_MAX ? len : SHOWN_MAX), text);
    }
    return true;
}

bool value_cluster(const char *name, const char *text, size_t len, struct problem *problem)
{
    if (len == 0 || len > STORE_CLUSTER_MAX || memchr(text, '\0', len) != NULL) {
        return problem_set(problem, 400, name, "%s: expected 1 to %d octets", name,
                           STORE_CLUSTER_MAX);
    }
    return true;
}

bool value_name(const char *name, const char *text, size_t len, struct name *value,
                struct problem *problem)
{
    if (name_from_text(value, text, len) != 0) {
        return problem_set(problem, 400, name,
                           "%s: '%.*s' is not a domain name: expected labels of 1 to 63 octets "
                           "joined by dots, at most 255 octets",
                           name, (int)(len < SHOWN_MAX ? len : SHOWN_MAX), text);
    }
    return true;
}

bool params_addr(const struct params *params, const char *name, struct addr *value,
                 struct problem *problem)
{
    const struct param *param = find_given(params, name);
    return param != NULL && value_addr(name, param->value, param->value_len, value, problem);
}

bool params_time(const struct params *params, const char *name, int64_t *time_us,
                 struct problem *problem)
{
    const struct param *param = find_given(params, name);
    return param != NULL && value_time(name, param->value, param->value_len, time_us, problem);
}

bool params_duration(const struct params *params, const char *name, int64_t *duration_us,
                     struct problem *problem)
{
    const struct param *param = params_find(params, name);
    int64_t value;
    if (param == NULL) {
        return true;
    }
    if (!duration_parse(&value, param->value, param->value_len) || value <= 0 ||
        value > 3650 * US_PER_DAY) {
        problem_set(problem, 400, name, "%s: expected a duration as 90s, 24h or 7d", name);
        return false;
    }
    *duration_us = value;
    return true;
}

bool params_count(const struct params *params, const char *name, uint32_t max, uint32_t *value,
                  struct problem *problem)
{
    const struct param *param = find_given(params, name);
    if (param == NULL) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < param->value_len && number <= max; i++) {
        char c = param->value[i];
        number = c >= '0' && c <= '9' ? number * 10 + (uint64_t)(c - '0') : UINT64_MAX;
    }
    if (number < 1 || number > max) {
        return problem_set(problem, 400, name, "%s: '%.*s' is not a number from 1 to %u", name,
                           SHOWN_MAX, param->value, max);
    }
    *value = (uint32_t)number;
    return true;
}

bool params_bool(const struct params *params, const char *name, bool *value,
                 struct problem *problem)
{
    const struct param *param = find_given(params, name);
    if (param == NULL) {
        return false;
    }
    bool is_true = strcmp(param->value, "true") == 0;
    if (!is_true && strcmp(param->value, "false") != 0) {
        return problem_set(problem, 400, name, "%s: '%.*s' is neither true nor false", name,
                           SHOWN_MAX, param->value);
    }
    *value = is_true;
    return true;
}

bool params_cluster(const struct params *params, const char *name, const char **value,
                    struct problem *problem)
{
    const struct param *param = find_given(params, name);
    if (param == NULL || !value_cluster(name, param->value, param->value_len, problem)) {
        return false;
    }
    *value = param->value;
    return true;
}
