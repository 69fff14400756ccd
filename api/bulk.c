/* api/bulk.c -- POST /v1/lookup: a question a line in, an attribution a line out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_lookup.h"
#include "api/question.h"
#include "api/service.h"
#include "base/clock.h"

#define FIRST_CAP 4096

struct bulk {
    struct worker *worker;
    struct question_reader *reader;
    char *lines;
    size_t len;
    size_t cap; /* counted in api->held */
    size_t at;  /* lines answered so far */
    struct buf out;
    size_t sent; /* of `out` */
};

void *bulk_new(struct worker *worker)
{
    struct bulk *bulk = calloc(1, sizeof(*bulk));
    if (bulk == NULL) {
        return NULL;
    }
    bulk->worker = worker;
    if (question_reader_new(&bulk->reader, (size_t)worker->api->options.max_line) != 0) {
        free(bulk);
        return NULL;
    }
    return bulk;
}

void bulk_free(void *ctx)
{
    struct bulk *bulk = ctx;
    atomic_fetch_sub(&bulk->worker->api->held, bulk->cap);
    question_reader_free(&bulk->reader);
    buf_fini(&bulk->out);
    free(bulk->lines);
    free(bulk);
}

static int grow(struct bulk *bulk, size_t need)
{
    struct api *api = bulk->worker->api;
    size_t cap = bulk->cap == 0 ? FIRST_CAP : bulk->cap;
    while (cap < need) {
        cap *= 2;
    }
    /* The last doubling stops at the longest body, which may be all there is room for. */
    if (cap > api->options.max_body && need <= api->options.max_body) {
        cap = (size_t)api->options.max_body;
    }
    size_t more = cap - bulk->cap;
    if (atomic_fetch_add(&api->held, more) + more > api->options.max_body) {
        atomic_fetch_sub(&api->held, more);
        return W_ELIMIT;
    }
    char *lines = realloc(bulk->lines, cap);
    if (lines == NULL) {
        atomic_fetch_sub(&api->held, more);
        return -ENOMEM;
    }
    bulk->lines = lines;
    bulk->cap = cap;
    return 0;
}

int bulk_add(void *ctx, const char *bytes, size_t len)
{
    struct bulk *bulk = ctx;
    int err = len > bulk->cap - bulk->len ? grow(bulk, bulk->len + len) : 0;
    if (err == 0) {
        memcpy(bulk->lines + bulk->len, bytes, len);
        bulk->len += len;
    }
    return err;
}

static void put_error(struct buf *out, const struct problem *problem)
{
    buf_str(out, "{\"error\":");
    problem_json(out, problem);
    buf_char(out, '}');
}

static void answer_line(struct bulk *bulk, const char *line, size_t len, int64_t now_us)
{
    const struct api_options *options = &bulk->worker->api->options;
    struct problem problem = {0};
    struct attribution attribution;
    struct question question;
    int err = 0;
    if (question_read(bulk->reader, line, len, options->cluster, now_us, &question, &problem)) {
        err = worker_attribute(bulk->worker, &question, now_us, &attribution);
    }
    if (err < 0) {
        problem_set(&problem, 500, NULL, "the index could not be read: %s", err_str(err));
    }
    if (problem.status != 0) {
        put_error(&bulk->out, &problem);
    } else {
        json_lookup(&bulk->out, &attribution);
    }
    buf_char(&bulk->out, '\n');
}

/* The next line that is not empty. Returns false at the end. */
static bool next_line(struct bulk *bulk, const char **line, size_t *len)
{
    while (bulk->at < bulk->len) {
        *line = bulk->lines + bulk->at;
        const char *newline = memchr(*line, '\n', bulk->len - bulk->at);
        *len = newline == NULL ? bulk->len - bulk->at : (size_t)(newline - *line);
        bulk->at += *len + 1;
        if (*len > 0 && (*line)[*len - 1] == '\r') {
            --*len;
        }
        if (*len > 0) {
            return true;
        }
    }
    return false;
}

static int fill(struct bulk *bulk, size_t want)
{
    struct problem problem = {0};
    buf_reset(&bulk->out);
    bulk->sent = 0;
    /* The replies of other connections are made between the blocks of this one: each block looks
     * at the latest commit, as they do. */
    if (worker_view(bulk->worker, &problem) == NULL) {
        return -EIO;
    }
    int64_t now_us = clock_now_us();
    const char *line;
    size_t len;
    while (bulk->out.len < want && next_line(bulk, &line, &len)) {
        answer_line(bulk, line, len, now_us);
    }
    worker_rest(bulk->worker);
    return bulk->out.err;
}

ssize_t bulk_read(void *ctx, char *bytes, size_t cap)
{
    struct bulk *bulk = ctx;
    if (bulk->sent == bulk->out.len && fill(bulk, cap) != 0) {
        return -1;
    }
    size_t len = bulk->out.len - bulk->sent;
    len = len < cap ? len : cap;
    if (len > 0) {
        memcpy(bytes, bulk->out.data + bulk->sent, len);
        bulk->sent += len;
    }
    return (ssize_t)len;
}
