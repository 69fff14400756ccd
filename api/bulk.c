/* api/bulk.c -- POST /v1/lookup: a question a line in, an attribution a line out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/held.h"
#include "api/json_lookup.h"
#include "api/question.h"
#include "api/service.h"
#include "base/clock.h"

struct bulk {
    struct worker *worker;
    struct question_reader *reader;
    struct held lines;
    size_t at; /* octets of the lines that are answered */
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
    held_free(&bulk->lines, bulk->worker->api);
    question_reader_free(&bulk->reader);
    buf_fini(&bulk->out);
    free(bulk);
}

int bulk_add(void *ctx, const char *bytes, size_t len)
{
    struct bulk *bulk = ctx;
    return held_add(&bulk->lines, bulk->worker->api, bytes, len);
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
    while (bulk->at < bulk->lines.len) {
        *line = bulk->lines.bytes + bulk->at;
        const char *newline = memchr(*line, '\n', bulk->lines.len - bulk->at);
        *len = newline == NULL ? bulk->lines.len - bulk->at : (size_t)(newline - *line);
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
