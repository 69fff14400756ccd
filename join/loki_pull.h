/* join/loki_pull.h -- log lines out of Loki, page by page, forward in time
 * SPDX-License-Identifier: Apache-2.0
 *
 *   loki:http://[USER:PASSWORD@]HOST:PORT[/PATH]?query=LOGQL[&since=24h][&limit=5000]...
 *
 * Asks query_range with direction=forward, `limit` lines at a time, each page from the time of the
 * last line on: Loki's start is inclusive, so the lines of that nanosecond come again and are left
 * out the second time. A page that is full is therefore never the end, and no line is lost or given
 * twice at a border, but for one case, which is told: as many lines at one nanosecond as a page
 * holds, or more. Where Loki refuses a query (too many series, entries or octets, too long a time
 * range) or takes too long, the range asked for is halved, and grows again later.
 *
 * Lines come out as `logcli --output=jsonl` writes them, in the order of their time.
 *
 * Memory: one page. Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Octets of one page; a longer one is asked for in smaller pieces. */
#define LOKI_PAGE_MAX ((size_t)64 * 1024 * 1024)
#define LOKI_LIMIT_MAX 5000

/* What stands in the SOURCE. All owned. */
struct loki_source {
    char *url;        /* of query_range, without user and password */
    char *name;       /* for messages: "loki:http://HOST:PORT" */
    char *user;       /* "USER:PASSWORD", decoded; NULL: none */
    char *token_file; /* for `Authorization: Bearer`; NULL: none */
    char *org;        /* for `X-Scope-OrgID`; NULL: none */
    char *query;      /* decoded */
    char *cluster;    /* whose they are; NULL: not said */
    int64_t from_us;
    int64_t to_us; /* 0: until now */
    uint32_t limit;
};

/* True if the text is of this kind of SOURCE. */
bool loki_source_is(const char *text);
/* Reads one; `now_us` is what `since` counts from. Returns 0, W_EUSAGE with a sentence that names
 * the part and what was expected (never a password), or -ENOMEM. */
int loki_source_parse(struct loki_source *source, const char *text, int64_t now_us,
                      struct why *why);
void loki_source_fini(struct loki_source *source);

/* How a page is fetched. Returns 0 with the HTTP status and the body, whatever the status;
 * -ETIMEDOUT, W_ELIMIT (the body is longer than body->max), another negative error with a sentence
 * in `why`. */
struct loki_fetch {
    int (*get)(void *ctx, const char *url, struct buf *body, long *status, struct why *why);
    void (*sleep)(void *ctx, int64_t us); /* between tries */
    void *ctx;
};

struct loki_pull;

/* `source` and `fetch` are borrowed until loki_pull_free. Returns 0 or -ENOMEM. */
int loki_pull_new(struct loki_pull **pull, const struct loki_source *source,
                  const struct loki_fetch *fetch);
void loki_pull_free(struct loki_pull **pull);

/* Appends the next lines before `until_us` to `lines`. Returns 1; 0 when there are none up to then
 * (ask again later with a later time); or a negative error with a sentence in `why`, after which it
 * may be asked again. */
int loki_pull_next(struct loki_pull *pull, int64_t until_us, struct buf *lines, struct why *why);

/* Nanoseconds with as many lines as a page holds, where others may have been left out. */
uint64_t loki_pull_capped(const struct loki_pull *pull);
