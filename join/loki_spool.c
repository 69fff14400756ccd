/* join/loki_spool.c -- Loki as a file that grows, for whoever follows files
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "join/loki_input.h"

enum { LOOK_S = 1, AFTER_ERROR_S = 5, TAIL_LEN = 1024 * 1024 };

struct loki_spool {
    struct loki_spool_options options;
    char *path;
    int fd;
    int64_t len;
    struct loki_source source;
    struct loki_http *http;
    struct loki_pull *pull;
    char *tail; /* the last lines there were at the start; NULL: they are of no more use */
    size_t tail_len;
    int64_t tail_us; /* the time of the last of them */
    struct log_limit limit;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool stopping;
};

/* ---- What is in the file ---- */

/* Reads the end of the file and cuts a piece of a line off it. */
static int read_tail(struct loki_spool *spool, int fd, bool cut)
{
    struct stat st;
    spool->tail_len = 0;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    off_t from = st.st_size > TAIL_LEN ? st.st_size - TAIL_LEN : 0;
    ssize_t len = pread(fd, spool->tail, TAIL_LEN, from);
    if (len < 0) {
        return -errno;
    }
    const char *end = memrchr(spool->tail, '\n', (size_t)len);
    spool->tail_len = end == NULL ? 0 : (size_t)(end + 1 - spool->tail);
    spool->len = from + (off_t)spool->tail_len;
    return cut && ftruncate(fd, spool->len) != 0 ? -errno : 0;
}

/* The time of the last line; false if there is none. */
static bool find_last(struct loki_spool *spool)
{
    static const char KEY[] = "\"timestamp\":\"";
    const char *at = NULL;
    const char *next = spool->tail;
    const char *end = spool->tail + spool->tail_len;
    while ((next = memmem(next, (size_t)(end - next), KEY, sizeof(KEY) - 1)) != NULL) {
        next += sizeof(KEY) - 1;
        at = next;
    }
    const char *quote = at == NULL ? NULL : memchr(at, '"', (size_t)(end - at));
    return quote != NULL && time_parse(&spool->tail_us, at, (size_t)(quote - at), 0);
}

/* Where to go on: at the last line of the file, or of the one before it. */
static int resume(struct loki_spool *spool)
{
    char *before;
    spool->tail = malloc(TAIL_LEN);
    if (spool->tail == NULL || asprintf(&before, "%s.1", spool->path) < 0) {
        return -ENOMEM;
    }
    int err = read_tail(spool, spool->fd, true);
    bool found = err == 0 && find_last(spool);
    if (err == 0 && !found) {
        int fd = open(before, O_RDONLY | O_CLOEXEC);
        int64_t len = spool->len;
        found = fd >= 0 && read_tail(spool, fd, false) == 0 && find_last(spool);
        spool->len = len;
        if (fd >= 0) {
            close(fd);
        }
    }
    free(before);
    if (found) {
        spool->source.from_us = spool->tail_us;
    } else {
        free(spool->tail);
        spool->tail = NULL;
    }
    return err;
}

/* Was this line, which begins anew, written before? */
static bool is_known(const struct loki_spool *spool, const char *line, size_t len)
{
    return memmem(spool->tail, spool->tail_len, line, len) != NULL;
}

/* ---- The thread ---- */

static bool wait_for(struct loki_spool *spool, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&spool->lock);
    int err = 0;
    while (!spool->stopping && err == 0) {
        err = pthread_cond_timedwait(&spool->changed, &spool->lock, &until);
    }
    bool go_on = !spool->stopping;
    pthread_mutex_unlock(&spool->lock);
    return go_on;
}

static bool is_stopping(struct loki_spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    bool stopping = spool->stopping;
    pthread_mutex_unlock(&spool->lock);
    return stopping;
}

static void complain(struct loki_spool *spool, const char *text)
{
    uint32_t suppressed;
    if (log_limit_pass(&spool->limit, clock_monotonic_us(), &suppressed)) {
        spool->options.warn(spool->options.ctx, text);
    }
}

/* Writes whole lines, however long the disk is full. Returns false where it is to stop. */
static bool write_lines(struct loki_spool *spool, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(spool->fd, data, len);
        if (done < 0 && errno != EINTR) {
            char text[512];
            snprintf(text, sizeof(text), "%s: %s", spool->path, strerror(errno));
            complain(spool, text);
            if (!wait_for(spool, AFTER_ERROR_S)) {
                return false;
            }
        }
        data += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
        spool->len += done > 0 ? done : 0;
    }
    return true;
}

/* The first lines after a start may be in the file already: those of the microsecond it ends with.
 */
static bool write_first(struct loki_spool *spool, const struct buf *lines)
{
    const char *at = lines->data;
    const char *end = at + lines->len;
    bool go_on = true;
    while (at < end && go_on) {
        const char *stop = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        if (!is_known(spool, at, (size_t)(stop - at))) {
            go_on = write_lines(spool, at, (size_t)(stop - at));
        }
        at = stop;
    }
    free(spool->tail);
    spool->tail = NULL;
    return go_on;
}

/* Begins a new file where this one is full. */
static void rotate(struct loki_spool *spool)
{
    char *before;
    if (spool->len < LOKI_SPOOL_MAX || asprintf(&before, "%s.1", spool->path) < 0) {
        return;
    }
    if (rename(spool->path, before) == 0) {
        int fd = open(spool->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            close(spool->fd);
            spool->fd = fd;
            spool->len = 0;
        } else {
            (void)!rename(before, spool->path);
        }
    }
    free(before);
}

static void *work(void *ctx)
{
    struct loki_spool *spool = ctx;
    struct buf lines = {0};
    bool go_on = true;
    while (go_on && !is_stopping(spool)) {
        struct why why = {""};
        int64_t until_us = clock_now_us() - LOKI_DELAY_US;
        bool ends = spool->source.to_us != 0 && spool->source.to_us < until_us;
        buf_reset(&lines);
        int more = loki_pull_next(spool->pull, ends ? spool->source.to_us : until_us, &lines, &why);
        if (more > 0) {
            go_on = spool->tail != NULL ? write_first(spool, &lines)
                                        : write_lines(spool, lines.data, lines.len);
            rotate(spool);
        } else {
            if (more < 0) {
                complain(spool, why.text[0] != '\0' ? why.text : err_str(more));
            }
            go_on = wait_for(spool, more < 0 ? AFTER_ERROR_S : LOOK_S);
        }
    }
    buf_fini(&lines);
    return NULL;
}

/* ---- Start and stop ---- */

static int start(struct loki_spool *spool, struct why *why)
{
    const struct loki_spool_options *options = &spool->options;
    int err = loki_source_parse(&spool->source, options->source, clock_now_us(), why);
    if (err != 0) {
        return err;
    }
    /* Reading for the tail at the start, then only appending. */
    spool->fd = open(spool->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    err = spool->fd < 0 ? -errno : resume(spool);
    if (err != 0) {
        return why_set(why, err, "%s: %s", spool->path, err_str(err));
    }
    err = loki_http_new(&spool->http, &spool->source, why);
    if (err == 0) {
        struct loki_fetch fetch = loki_http_fetch(spool->http);
        err = loki_pull_new(&spool->pull, &spool->source, &fetch);
    }
    err = err == 0 ? -pthread_create(&spool->thread, NULL, work, spool) : err;
    spool->started = err == 0;
    return err;
}

int loki_spool_start(struct loki_spool **out, const struct loki_spool_options *options,
                     struct why *why)
{
    struct loki_spool *spool = calloc(1, sizeof(*spool));
    *out = NULL;
    if (spool == NULL || (spool->path = strdup(options->path)) == NULL) {
        free(spool);
        return -ENOMEM;
    }
    spool->options = *options;
    spool->fd = -1;
    spool->limit = (struct log_limit){.interval_us = US_PER_MIN, .burst = 2};
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->changed, NULL);
    int err = start(spool, why);
    if (err != 0) {
        loki_spool_stop(&spool);
        return err;
    }
    *out = spool;
    return 0;
}

void loki_spool_stop(struct loki_spool **out)
{
    struct loki_spool *spool = *out;
    *out = NULL;
    if (spool == NULL) {
        return;
    }
    pthread_mutex_lock(&spool->lock);
    spool->stopping = true;
    pthread_cond_signal(&spool->changed);
    pthread_mutex_unlock(&spool->lock);
    loki_http_abort(spool->http);
    if (spool->started) {
        pthread_join(spool->thread, NULL);
    }
    loki_pull_free(&spool->pull);
    loki_http_free(&spool->http);
    loki_source_fini(&spool->source);
    if (spool->fd >= 0) {
        close(spool->fd);
    }
    pthread_mutex_destroy(&spool->lock);
    pthread_cond_destroy(&spool->changed);
    free(spool->tail);
    free(spool->path);
    free(spool);
}
