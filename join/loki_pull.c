/* join/loki_pull.c -- log lines out of Loki, page by page, forward in time
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_pull.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "join/arena.h"
#include "join/loki.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_S INT64_C(1000000000)
/* The range of one query: no smaller than this where Loki refuses larger ones. */
#define STEP_MIN_NS NS_PER_S
#define STEP_MAX_NS (30 * 24 * 3600 * NS_PER_S)
/* Tries of one query where Loki is busy or away; the pause doubles each time. */
enum { TRIES_MAX = 5 };

struct entry {
    int64_t time_ns;
    XXH128_hash_t hash;
    struct text labels;
    struct text line; /* a JSON string with its quotes */
    size_t number;    /* in the page */
};

struct loki_pull {
    const struct loki_source *source;
    struct loki_fetch fetch;
    uint32_t limit;
    int64_t at_ns;   /* where the next page begins */
    int64_t step_ns; /* how far a query reaches */
    bool answered;   /* it was there: when it is away it will come back */
    uint64_t capped;
    struct log_limit warnings;
    /* what was given out at at_ns */
    XXH128_hash_t *seen;
    size_t seen_count;
    size_t seen_cap;
    /* the page in hand */
    struct buf url;
    struct buf body;
    struct arena arena;
    struct entry *entries;
    size_t count;
    size_t cap;
};

int loki_pull_new(struct loki_pull **out, const struct loki_source *source,
                  const struct loki_fetch *fetch)
{
    struct loki_pull *pull = calloc(1, sizeof(*pull));
    *out = pull;
    if (pull == NULL) {
        return -ENOMEM;
    }
    pull->source = source;
    pull->fetch = *fetch;
    pull->limit = source->limit;
    pull->at_ns = source->from_us * NS_PER_US;
    pull->step_ns = STEP_MAX_NS;
    pull->body.max = LOKI_PAGE_MAX;
    pull->warnings = (struct log_limit){.interval_us = 60 * US_PER_S, .burst = 3};
    return 0;
}

void loki_pull_free(struct loki_pull **out)
{
    struct loki_pull *pull = *out;
    *out = NULL;
    if (pull != NULL) {
        buf_fini(&pull->url);
        buf_fini(&pull->body);
        arena_fini(&pull->arena);
        free(pull->entries);
        free(pull->seen);
        free(pull);
    }
}

uint64_t loki_pull_capped(const struct loki_pull *pull)
{
    return pull->capped;
}

/* ---- One query ---- */

static void put_escaped(struct buf *url, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_char(url, (char)c);
        } else {
            buf_printf(url, "%%%02X", c);
        }
    }
}

static int put_url(struct loki_pull *pull, int64_t end_ns)
{
    struct buf *url = &pull->url;
    buf_reset(url);
    buf_printf(url,
               "%s?direction=forward&limit=%" PRIu32 "&start=%" PRId64 "&end=%" PRId64 "&query=",
               pull->source->url, pull->limit, pull->at_ns, end_ns);
    put_escaped(url, pull->source->query);
    buf_char(url, '\0');
    return url->err;
}

static bool body_has(const struct buf *body, const char *text)
{
    return body->len > 0 && memmem(body->data, body->len, text, strlen(text)) != NULL;
}

/* What to do about an answer. */
enum remedy { TAKE_IT, LOWER_LIMIT, NARROW, TRY_AGAIN, GIVE_UP };

static enum remedy remedy_of(int err, long status, const struct buf *body)
{
    if (err == -ETIMEDOUT || err == W_ELIMIT) {
        return NARROW;
    }
    if (err != 0) {
        return err == -ENOMEM ? GIVE_UP : TRY_AGAIN;
    }
    switch (status) {
    case 200:
        return TAKE_IT;
    case 400:
        /* max_entries_limit_per_query; max_query_series, max_query_length and others */
        return body_has(body, "max entries limit") ? LOWER_LIMIT
               : body_has(body, "maximum") || body_has(body, "exceed") || body_has(body, "limit")
                   ? NARROW
                   : GIVE_UP;
    case 408:
    case 504:
        return NARROW;
    case 429:
    case 500:
    case 502:
    case 503:
        return TRY_AGAIN;
    default:
        return GIVE_UP;
    }
}

static int refused(const struct loki_pull *pull, int err, long status, struct why *why)
{
    const struct buf *body = &pull->body;
    int len = body->len < 200 ? (int)body->len : 200;
    if (err != 0) {
        struct why what = *why;
        return why_set(why, err, "%s: %s", pull->source->name,
                       what.text[0] != '\0' ? what.text : err_str(err));
    }
    while (len > 0 && body->data[len - 1] == '\n') {
        len--;
    }
    return why_set(why, status == 401 || status == 403 ? -EACCES : -EIO, "%s: answered %ld: %.*s",
                   pull->source->name, status, len, body->data != NULL ? body->data : "");
}

/* Makes the next query smaller. Returns false where it cannot be. */
static bool narrow(struct loki_pull *pull, int64_t range_ns)
{
    if (range_ns <= STEP_MIN_NS) {
        return false;
    }
    pull->step_ns = range_ns / 2 > STEP_MIN_NS ? range_ns / 2 : STEP_MIN_NS;
    return true;
}

/* Fetches a page from at_ns on into `body`; `*end_ns` is how far it reaches. */
static int fetch_page(struct loki_pull *pull, int64_t until_ns, int64_t *end_ns, struct why *why)
{
    int64_t pause_us = US_PER_S;
    for (int tries = 1;;) {
        long status = 0;
        *end_ns = until_ns - pull->at_ns > pull->step_ns ? pull->at_ns + pull->step_ns : until_ns;
        if (put_url(pull, *end_ns) != 0) {
            return -ENOMEM;
        }
        buf_reset(&pull->body);
        why->text[0] = '\0';
        int err = pull->fetch.get(pull->fetch.ctx, pull->url.data, &pull->body, &status, why);
        enum remedy remedy = remedy_of(err, status, &pull->body);
        if (remedy == TAKE_IT) {
            pull->answered = true;
            return 0;
        }
        bool mended = false;
        if (remedy == LOWER_LIMIT) {
            mended = pull->limit > 1;
            pull->limit = mended ? pull->limit / 2 : 1;
        } else if (remedy == NARROW) {
            mended = narrow(pull, *end_ns - pull->at_ns);
        } else if (remedy == TRY_AGAIN && tries < TRIES_MAX && (err == 0 || pull->answered)) {
            pull->fetch.sleep(pull->fetch.ctx, pause_us);
            pause_us *= 2;
            tries++;
            mended = true;
        }
        if (!mended) {
            return refused(pull, err, status, why);
        }
    }
}

/* ---- Its entries ---- */

/* The JSON string that begins at `at`, with its quotes; data is NULL if there is none. */
static struct text string_at(const char *at, const char *end)
{
    const char *start = at;
    if (at == end || *at != '"') {
        return (struct text){NULL, 0};
    }
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' && end - at > 1;
    }
    return at < end ? (struct text){start, (size_t)(at + 1 - start)} : (struct text){NULL, 0};
}

static const char *skip(const char *at, const char *end, const char *set)
{
    while (at < end && strchr(set, *at) != NULL) {
        at++;
    }
    return at;
}

/* ["1779444001123456789","line",...] */
static bool read_entry(struct text text, struct entry *entry)
{
    const char *end = text.data + text.len;
    const char *at = skip(text.data, end, "[ \t\r\n");
    struct text time = string_at(at, end);
    if (time.data == NULL || time.len > 21) {
        return false;
    }
    entry->time_ns = 0;
    for (size_t i = 1; i + 1 < time.len; i++) {
        if (time.data[i] < '0' || time.data[i] > '9' || entry->time_ns > INT64_MAX / 10 - 1) {
            return false;
        }
        entry->time_ns = entry->time_ns * 10 + (time.data[i] - '0');
    }
    entry->line = string_at(skip(time.data + time.len, end, ", \t\r\n"), end);
    return entry->line.data != NULL;
}

static int add_entry(struct loki_pull *pull, struct text text, struct text labels)
{
    struct entry entry = {.labels = labels, .number = pull->count};
    if (pull->count == pull->cap) {
        size_t cap = pull->cap == 0 ? 1024 : pull->cap * 2;
        struct entry *entries = reallocarray(pull->entries, cap, sizeof(*entries));
        if (entries == NULL) {
            return -ENOMEM;
        }
        pull->entries = entries;
        pull->cap = cap;
    }
    text = arena_copy(&pull->arena, text);
    if (text.data == NULL) {
        return -ENOMEM;
    }
    if (!read_entry(text, &entry)) {
        return W_ESYNTAX;
    }
    entry.hash =
        XXH3_128bits_withSeed(entry.line.data, entry.line.len,
                              labels.data != NULL ? XXH3_64bits(labels.data, labels.len) : 0);
    pull->entries[pull->count++] = entry;
    return 0;
}

/* Takes the body apart. */
static int read_page(struct loki_pull *pull, struct why *why)
{
    struct loki loki;
    struct text text, labels = {NULL, 0};
    uint64_t stream = 0;
    enum loki_event event = LOKI_AGAIN;
    int err = 0;
    arena_reset(&pull->arena);
    pull->count = 0;
    loki_init(&loki);
    loki_push(&loki, pull->body.data, pull->body.len);
    while (err == 0 && (event = loki_next(&loki, &text)) == LOKI_ENTRY) {
        if (loki.stream != stream) {
            stream = loki.stream;
            labels = loki_labels(&loki);
            bool any = labels.data != NULL;
            labels = any ? arena_copy(&pull->arena, labels) : labels;
            err = any && labels.data == NULL ? -ENOMEM : 0;
        }
        err = err == 0 ? add_entry(pull, text, labels) : err;
    }
    bool whole = event == LOKI_AGAIN && loki_whole(&loki);
    loki_fini(&loki);
    if (err == W_ESYNTAX || (err == 0 && !whole)) {
        return why_set(why, W_ESYNTAX,
                       "%s: what it answered are no log lines; was this a metric query?",
                       pull->source->name);
    }
    return err;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool was_seen(const struct loki_pull *pull, const struct entry *entry)
{
    for (size_t i = 0; entry->time_ns == pull->at_ns && i < pull->seen_count; i++) {
        if (XXH128_isEqual(pull->seen[i], entry->hash)) {
            return true;
        }
    }
    return false;
}

static void put_line(struct buf *lines, const struct entry *entry)
{
    char time[TIME_TEXT_MAX];
    size_t len = time_print(entry->time_ns / NS_PER_US, time);
    buf_str(lines, "{\"labels\":");
    if (entry->labels.data != NULL) {
        buf_add(lines, entry->labels.data, entry->labels.len);
    } else {
        buf_str(lines, "{}");
    }
    buf_str(lines, ",\"line\":");
    buf_add(lines, entry->line.data, entry->line.len);
    /* Microseconds and three digits more. */
    buf_printf(lines, ",\"timestamp\":\"%.*s%03dZ\"}\n", (int)len - 1, time,
               (int)(entry->time_ns % NS_PER_US));
}

/* Appends what is new of the page. Returns how much. */
static size_t give_out(struct loki_pull *pull, struct buf *lines)
{
    size_t given = 0;
    if (pull->count > 0) {
        qsort(pull->entries, pull->count, sizeof(*pull->entries), compare);
    }
    for (size_t i = 0; i < pull->count; i++) {
        if (!was_seen(pull, &pull->entries[i])) {
            put_line(lines, &pull->entries[i]);
            given++;
        }
    }
    return given;
}

/* Remembers what was given out at the last nanosecond of a full page, where the next one begins. */
static int remember_last(struct loki_pull *pull)
{
    int64_t last_ns = pull->entries[pull->count - 1].time_ns;
    if (last_ns != pull->at_ns) {
        pull->seen_count = 0;
    }
    for (size_t i = pull->count; i > 0 && pull->entries[i - 1].time_ns == last_ns; i--) {
        if (last_ns == pull->at_ns && was_seen(pull, &pull->entries[i - 1])) {
            continue;
        }
        if (pull->seen_count == pull->seen_cap) {
            size_t cap = pull->seen_cap == 0 ? 16 : pull->seen_cap * 2;
            XXH128_hash_t *seen = reallocarray(pull->seen, cap, sizeof(*seen));
            if (seen == NULL) {
                return -ENOMEM;
            }
            pull->seen = seen;
            pull->seen_cap = cap;
        }
        pull->seen[pull->seen_count++] = pull->entries[i - 1].hash;
    }
    pull->at_ns = last_ns;
    return 0;
}

/* As many lines at one nanosecond as a page holds: Loki has no way to ask for others there. */
static void pass_over(struct loki_pull *pull)
{
    char time[TIME_TEXT_MAX];
    uint32_t suppressed;
    if (log_limit_pass(&pull->warnings, clock_monotonic_us(), &suppressed)) {
        time_print(pull->at_ns / NS_PER_US, time);
        log_warn("%s: a page was capped: at %s there are as many lines as one page holds (%" PRIu32
                 "), and others there, if any, cannot be asked for",
                 pull->source->name, time, pull->limit);
    }
    pull->capped++;
    pull->at_ns++;
    pull->seen_count = 0;
}

int loki_pull_next(struct loki_pull *pull, int64_t until_us, struct buf *lines, struct why *why)
{
    int64_t until_ns = until_us * NS_PER_US;
    while (pull->at_ns < until_ns) {
        int64_t end_ns;
        int err = fetch_page(pull, until_ns, &end_ns, why);
        err = err == 0 ? read_page(pull, why) : err;
        if (err != 0) {
            return err;
        }
        bool full = pull->count >= pull->limit;
        size_t given = give_out(pull, lines);
        if (!full) {
            pull->at_ns = end_ns;
            pull->seen_count = 0;
            pull->step_ns = pull->step_ns < STEP_MAX_NS / 2 ? pull->step_ns * 2 : STEP_MAX_NS;
        } else if (given == 0 && pull->entries[pull->count - 1].time_ns == pull->at_ns) {
            pass_over(pull);
        } else if (remember_last(pull) != 0) {
            return -ENOMEM;
        }
        if (lines->err != 0) {
            return lines->err;
        }
        if (given > 0) {
            return 1;
        }
    }
    return 0;
}
