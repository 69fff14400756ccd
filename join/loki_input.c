/* join/loki_input.c -- Loki as an input: the pages of loki_pull.h over HTTP
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_input.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Loki's own limit of a query is a minute by default; whoever asks for more gets less at a time. */
enum { CONNECT_S = 10, QUERY_S = 90, TOKEN_MAX = 16 * 1024 };

/* ---- HTTP ---- */

struct loki_http {
    CURL *curl;
    struct curl_slist *headers;
    const struct loki_source *source;
    struct buf *body; /* of the response in hand */
    atomic_bool aborted;
    char error[CURL_ERROR_SIZE];
};

static size_t take_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct loki_http *http = ctx;
    buf_add(http->body, bytes, size * count);
    return http->body->err == 0 ? size * count : 0;
}

static int look(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct loki_http *http = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(&http->aborted);
}

static int add_header(struct loki_http *http, const char *name, const char *value)
{
    char *line;
    if (asprintf(&line, "%s%s", name, value) < 0) {
        return -ENOMEM;
    }
    struct curl_slist *all = curl_slist_append(http->headers, line);
    free(line);
    http->headers = all != NULL ? all : http->headers;
    return all != NULL ? 0 : -ENOMEM;
}

/* Read anew for each query: who keeps tokens short-lived replaces the file. */
static int add_token(struct loki_http *http, struct why *why)
{
    char token[TOKEN_MAX];
    const char *path = http->source->token_file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, token, sizeof(token) - 1);
    int err = len < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (err != 0) {
        return why_set(why, err, "token-file %s: %s", path, err_str(err));
    }
    token[len] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    err = add_header(http, "Authorization: Bearer ", token);
    explicit_bzero(token, sizeof(token));
    return err;
}

static int set_headers(struct loki_http *http, struct why *why)
{
    curl_slist_free_all(http->headers);
    http->headers = NULL;
    int err = add_header(http, "Accept: ", "application/json");
    if (err == 0 && http->source->org != NULL) {
        err = add_header(http, "X-Scope-OrgID: ", http->source->org);
    }
    if (err == 0 && http->source->token_file != NULL) {
        err = add_token(http, why);
    }
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, http->headers);
    return err;
}

static int get(void *ctx, const char *url, struct buf *body, long *status, struct why *why)
{
    struct loki_http *http = ctx;
    int err = set_headers(http, why);
    if (err != 0) {
        return err;
    }
    http->body = body;
    http->error[0] = '\0';
    if (curl_easy_setopt(http->curl, CURLOPT_URL, url) != CURLE_OK) {
        return -ENOMEM;
    }
    CURLcode code =
        atomic_load(&http->aborted) ? CURLE_ABORTED_BY_CALLBACK : curl_easy_perform(http->curl);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status);
    if (body->err != 0) {
        return body->err;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return why_set(why, -ETIMEDOUT, "no answer within %d s", QUERY_S);
    }
    return code == CURLE_OK
               ? 0
               : why_set(why, -EIO, "%s",
                         http->error[0] != '\0' ? http->error : curl_easy_strerror(code));
}

static void pause_for(void *ctx, int64_t us)
{
    struct loki_http *http = ctx;
    const int64_t step_us = 100000;
    for (; us > 0 && !atomic_load(&http->aborted); us -= step_us) {
        nanosleep(&(struct timespec){0, step_us * 1000}, NULL);
    }
}

static bool set_options(struct loki_http *http)
{
    CURL *curl = http->curl;
    const char *user = http->source->user;
    bool ok = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, http) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)QUERY_S) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    return ok && (user == NULL || curl_easy_setopt(curl, CURLOPT_USERPWD, user) == CURLE_OK);
}

int loki_http_new(struct loki_http **out, const struct loki_source *source, struct why *why)
{
    struct loki_http *http = calloc(1, sizeof(*http));
    *out = NULL;
    if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        return -ENOMEM;
    }
    http->source = source;
    http->curl = curl_easy_init();
    int err = http->curl != NULL && set_options(http) ? set_headers(http, why) : -ENOMEM;
    if (err != 0) {
        loki_http_free(&http);
        return err;
    }
    *out = http;
    return 0;
}

void loki_http_free(struct loki_http **out)
{
    struct loki_http *http = *out;
    *out = NULL;
    if (http != NULL) {
        curl_easy_cleanup(http->curl);
        curl_slist_free_all(http->headers);
        free(http);
    }
}

void loki_http_abort(struct loki_http *http)
{
    if (http != NULL) {
        atomic_store(&http->aborted, true);
    }
}

struct loki_fetch loki_http_fetch(struct loki_http *http)
{
    return (struct loki_fetch){get, pause_for, http};
}

/* ---- The input ---- */

struct feed {
    struct loki_source source;
    struct loki_http *http;
    struct loki_pull *pull;
    int64_t until_us;
    struct buf lines;
    size_t at;
};

static int64_t read_lines(void *ctx, char *data, size_t len, struct why *why)
{
    struct feed *feed = ctx;
    if (feed->at == feed->lines.len) {
        buf_reset(&feed->lines);
        feed->at = 0;
        int more = loki_pull_next(feed->pull, feed->until_us, &feed->lines, why);
        if (more <= 0) {
            return more;
        }
    }
    size_t left = feed->lines.len - feed->at;
    len = len < left ? len : left;
    memcpy(data, feed->lines.data + feed->at, len);
    feed->at += len;
    return (int64_t)len;
}

static void close_feed(void *ctx)
{
    struct feed *feed = ctx;
    loki_pull_free(&feed->pull);
    loki_http_free(&feed->http);
    loki_source_fini(&feed->source);
    buf_fini(&feed->lines);
    free(feed);
}

int loki_input_open(struct input **input, const char *text, struct why *why)
{
    int64_t now_us = clock_now_us();
    struct feed *feed = calloc(1, sizeof(*feed));
    *input = NULL;
    if (feed == NULL) {
        return -ENOMEM;
    }
    int err = loki_source_parse(&feed->source, text, now_us, why);
    err = err == 0 ? loki_http_new(&feed->http, &feed->source, why) : err;
    if (err == 0) {
        struct loki_fetch fetch = loki_http_fetch(feed->http);
        err = loki_pull_new(&feed->pull, &feed->source, &fetch);
    }
    if (err == 0) {
        feed->until_us = feed->source.to_us != 0 ? feed->source.to_us : now_us;
        const struct input_feed options = {
            .name = feed->source.name, .read = read_lines, .close = close_feed, .ctx = feed};
        err = input_open_feed(input, &options);
    }
    if (err != 0) {
        close_feed(feed);
    }
    return err;
}
