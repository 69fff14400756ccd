/* join/loki_source.c -- loki:URL?query=...: what stands in a SOURCE
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cluster.h"
#include "join/loki_pull.h"

static const char SCHEME[] = "loki:";

bool loki_source_is(const char *text)
{
    return strncmp(text, SCHEME, sizeof(SCHEME) - 1) == 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A copy with %XX decoded; what is no such escape stands for itself, as LogQL is full of them. */
static char *decoded(const char *text, size_t len)
{
    char *out = malloc(len + 1);
    size_t at = 0;
    for (size_t i = 0; out != NULL && i < len; i++) {
        if (text[i] == '%' && len - i > 2 && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            out[at++] = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out[at++] = text[i];
        }
    }
    if (out != NULL) {
        out[at] = '\0';
    }
    return out;
}

static int keep(char **field, char *text)
{
    free(*field);
    *field = text;
    return text == NULL ? -ENOMEM : 0;
}

/* "http://u:p@host:3100/base" becomes url, user and name. */
static int read_url(struct loki_source *source, const char *text, size_t len, struct why *why)
{
    static const char PATH[] = "/loki/api/v1/query_range";
    const char *host = len > 7 && strncmp(text, "http://", 7) == 0    ? text + 7
                       : len > 8 && strncmp(text, "https://", 8) == 0 ? text + 8
                                                                      : NULL;
    const char *end = text + len;
    if (host == NULL || host == end) {
        return why_set(why, W_EUSAGE,
                       "loki: expected loki:http://HOST:PORT?query=... or loki:https://...");
    }
    const char *slash = memchr(host, '/', (size_t)(end - host));
    const char *stop = slash != NULL ? slash : end;
    const char *at = memrchr(host, '@', (size_t)(stop - host));
    if (at != NULL && keep(&source->user, decoded(host, (size_t)(at - host))) != 0) {
        return -ENOMEM;
    }
    int scheme = (int)(host - text);
    host = at != NULL ? at + 1 : host;
    while (end > stop && end[-1] == '/') {
        end--;
    }
    bool whole = (size_t)(end - stop) >= sizeof(PATH) - 1 &&
                 memcmp(end - (sizeof(PATH) - 1), PATH, sizeof(PATH) - 1) == 0;
    if (asprintf(&source->url, "%.*s%.*s%s", scheme, text, (int)(end - host), host,
                 whole ? "" : PATH) < 0) {
        source->url = NULL;
        return -ENOMEM;
    }
    if (asprintf(&source->name, "loki:%.*s%.*s", scheme, text, (int)(stop - host), host) < 0) {
        source->name = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int read_limit(struct loki_source *source, const char *value, struct why *why)
{
    char *end;
    unsigned long limit = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || limit == 0 || limit > LOKI_LIMIT_MAX) {
        return why_set(why, W_EUSAGE, "loki: limit: expected a number from 1 to %d",
                       LOKI_LIMIT_MAX);
    }
    source->limit = (uint32_t)limit;
    return 0;
}

static int read_time(int64_t *time_us, const char *key, const char *value, struct why *why)
{
    return time_parse(time_us, value, strlen(value), 0)
               ? 0
               : why_set(why, W_EUSAGE,
                         "loki: %s: expected a time, as 2026-05-22T10:00:00Z or seconds since the "
                         "epoch",
                         key);
}

static int read_since(struct loki_source *source, const char *value, int64_t now_us,
                      struct why *why)
{
    int64_t since_us;
    if (!duration_parse(&since_us, value, strlen(value)) || since_us <= 0) {
        return why_set(why, W_EUSAGE, "loki: since: expected a duration, as 90m, 24h or 7d");
    }
    source->from_us = now_us - since_us;
    return 0;
}

/* Takes the value over. */
static int read_param(struct loki_source *source, const char *key, char *value, int64_t now_us,
                      struct why *why)
{
    char **const fields[] = {&source->query, &source->token_file, &source->org, &source->cluster};
    static const char *const NAMES[] = {"query", "token-file", "org", "cluster"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcmp(key, NAMES[i]) == 0) {
            return keep(fields[i], value);
        }
    }
    int err = strcmp(key, "since") == 0   ? read_since(source, value, now_us, why)
              : strcmp(key, "from") == 0  ? read_time(&source->from_us, key, value, why)
              : strcmp(key, "to") == 0    ? read_time(&source->to_us, key, value, why)
              : strcmp(key, "limit") == 0 ? read_limit(source, value, why)
                                          : why_set(why, W_EUSAGE,
                                                    "loki: %.40s: expected query, since, from, to, "
                                                    "limit, org, cluster or token-file",
                                                    key);
    free(value);
    return err;
}

static int read_params(struct loki_source *source, const char *text, int64_t now_us,
                       struct why *why)
{
    int err = 0;
    while (*text != '\0' && err == 0) {
        char key[48];
        size_t len = strcspn(text, "&");
        const char *equals = memchr(text, '=', len);
        size_t key_len = equals != NULL ? (size_t)(equals - text) : len;
        snprintf(key, sizeof(key), "%.*s", (int)key_len, text);
        char *value = equals != NULL ? decoded(equals + 1, len - key_len - 1) : decoded("", 0);
        err = value == NULL ? -ENOMEM : read_param(source, key, value, now_us, why);
        text += len + (text[len] == '&');
    }
    return err;
}

int loki_source_parse(struct loki_source *source, const char *text, int64_t now_us, struct why *why)
{
    *source = (struct loki_source){.limit = LOKI_LIMIT_MAX, .from_us = now_us - US_PER_HOUR};
    text += sizeof(SCHEME) - 1;
    size_t len = strcspn(text, "?");
    int err = read_url(source, text, len, why);
    err = err == 0 && text[len] == '?' ? read_params(source, text + len + 1, now_us, why) : err;
    if (err == 0 && (source->query == NULL || source->query[0] == '\0')) {
        err = why_set(why, W_EUSAGE,
                      "loki: query: expected a LogQL query, as query={job=\"node-journal\"}");
    }
    if (err == 0 && source->cluster != NULL &&
        !cluster_name_ok(source->cluster, strlen(source->cluster))) {
        err = why_set(why, W_EUSAGE, "loki: cluster: expected a name of 1 to %d octets",
                      CLUSTER_NAME_MAX);
    }
    if (err == 0 && source->to_us != 0 && source->to_us <= source->from_us) {
        err = why_set(why, W_EUSAGE, "loki: to: expected a time after `from`");
    }
    if (err != 0) {
        loki_source_fini(source);
    }
    return err;
}

void loki_source_fini(struct loki_source *source)
{
    char *const owned[] = {source->url, source->name,  source->user,   source->token_file,
                           source->org, source->query, source->cluster};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        free(owned[i]);
    }
    *source = (struct loki_source){0};
}
