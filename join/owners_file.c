/* join/owners_file.c -- reads owners from a file, a pipe or standard input
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "join/owners_k8s.h"
#include "join/owners_ksm.h"
#include "join/source.h"

enum {
    CHUNK = 128 * 1024,
    LINE_MAX_LEN = 1024 * 1024, /* of kube-state-metrics */
    WARNINGS_MAX = 5,           /* of one file; what is beyond is only counted */
};

struct owners_feed {
    struct owners *owners;
    const char *cluster;
    const char *name;
    owners_warn_fn warn;
    void *ctx;
    struct owners_read *read;
    uint64_t faults; /* since the beginning of the file */
    int64_t received_us;
    bool begun; /* what it is is known */
    bool json;

    struct owners_k8s *k8s; /* stays from one file to the next */
    struct k8s_stream *stream;
    struct owners_ksm *ksm;
    uint64_t counted; /* of the objects */
    struct buf line;
    uint64_t line_number;
};

int owners_feed_new(struct owners_feed **out, struct owners *owners, const char *cluster,
                    const char *name, owners_warn_fn warn, void *ctx, struct owners_read *read)
{
    struct owners_feed *feed = calloc(1, sizeof(*feed));
    *out = feed;
    if (feed == NULL) {
        return -ENOMEM;
    }
    *feed = (struct owners_feed){.owners = owners,
                                 .cluster = cluster,
                                 .name = name,
                                 .warn = warn,
                                 .ctx = ctx,
                                 .read = read,
                                 .line = {.max = LINE_MAX_LEN}};
    return 0;
}

void owners_feed_free(struct owners_feed **out)
{
    struct owners_feed *feed = *out;
    *out = NULL;
    if (feed != NULL) {
        k8s_stream_free(&feed->stream);
        owners_k8s_free(&feed->k8s);
        owners_ksm_free(&feed->ksm);
        buf_fini(&feed->line);
        free(feed);
    }
}

static void fault(struct owners_feed *feed, uint64_t line, const char *what)
{
    char text[768];
    feed->read->faults++;
    feed->faults++;
    if (feed->warn != NULL && feed->faults <= WARNINGS_MAX) {
        snprintf(text, sizeof(text), "%s: line %" PRIu64 ": %s", feed->name, line, what);
        feed->warn(feed->ctx, text);
    } else if (feed->warn != NULL && feed->faults == WARNINGS_MAX + 1) {
        snprintf(text, sizeof(text), "%s: more that cannot be read, which is counted only",
                 feed->name);
        feed->warn(feed->ctx, text);
    }
}

/* A fault costs one object; anything else ends the reading. */
static int judge(struct owners_feed *feed, int err, uint64_t line, const struct why *why)
{
    if (err == W_ESYNTAX) {
        fault(feed, line, why->text);
        return 0;
    }
    return err;
}

static int on_piece(void *ctx, const struct k8s_piece *piece)
{
    struct owners_feed *feed = ctx;
    struct why why = {""};
    int err = owners_k8s_piece(feed->k8s, piece, feed->received_us, &why);
    return judge(feed, err, piece->line, &why);
}

/* ---- Metrics, line by line ---- */

static int end_line(struct owners_feed *feed)
{
    struct why why = {""};
    int err;
    feed->line_number++;
    if (feed->line.err == W_ELIMIT) {
        fault(feed, feed->line_number, "longer than a metric is");
        err = 0;
    } else if (feed->line.err != 0) {
        err = feed->line.err;
    } else {
        err = owners_ksm_line(feed->ksm, feed->line.data, feed->line.len, &why);
        err = judge(feed, err, feed->line_number, &why);
    }
    buf_reset(&feed->line);
    return err;
}

static int push_lines(struct owners_feed *feed, const char *bytes, size_t len)
{
    const char *end = bytes + len;
    int err = 0;
    while (bytes < end && err == 0) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        buf_add(&feed->line, bytes, (size_t)((stop != NULL ? stop : end) - bytes));
        if (stop == NULL) {
            break;
        }
        err = end_line(feed);
        bytes = stop + 1;
    }
    return err;
}

/* ---- Octets ---- */

/* Which of the two it is, by its first octet. */
static int begin(struct owners_feed *feed, char first)
{
    int err = 0;
    feed->begun = true;
    feed->json = first != '#' && (first < 'a' || first > 'z');
    if (!feed->json && feed->ksm == NULL) {
        err = owners_ksm_new(&feed->ksm, feed->owners, feed->cluster);
    } else if (feed->json && feed->k8s == NULL) {
        err = owners_k8s_new(&feed->k8s, feed->owners, feed->cluster);
        err = err != 0 ? err : k8s_stream_new(&feed->stream, K8S_OBJECT_MAX, on_piece, feed);
    }
    return err;
}

static void count_objects(struct owners_feed *feed)
{
    uint64_t count = feed->k8s != NULL ? owners_k8s_count(feed->k8s) : 0;
    count += feed->ksm != NULL ? owners_ksm_count(feed->ksm) : 0;
    feed->read->objects += count - feed->counted;
    feed->counted = count;
}

int owners_feed_push(struct owners_feed *feed, const char *bytes, size_t len, int64_t received_us)
{
    size_t blank = 0;
    int err = 0;
    while (!feed->begun && blank < len && memchr(" \t\r\n", bytes[blank], 4) != NULL) {
        blank++;
    }
    if (!feed->begun && blank == len) {
        return 0;
    }
    feed->received_us = received_us;
    if (!feed->begun) {
        err = begin(feed, bytes[blank]);
    }
    if (err == 0) {
        err = feed->json ? k8s_stream_push(feed->stream, bytes, len) : push_lines(feed, bytes, len);
    }
    count_objects(feed);
    return err;
}

int owners_feed_settle(struct owners_feed *feed)
{
    int err = feed->ksm != NULL ? owners_ksm_end(feed->ksm) : 0;
    count_objects(feed);
    return err;
}

int owners_feed_end(struct owners_feed *feed)
{
    int err = 0;
    if (feed->begun && feed->json) {
        err = k8s_stream_end(feed->stream);
    } else if (feed->begun && feed->line.len > 0) {
        err = end_line(feed);
    }
    err = err != 0 ? err : owners_feed_settle(feed);
    feed->begun = false;
    feed->faults = 0;
    feed->line_number = 0;
    buf_reset(&feed->line);
    return err;
}

/* ---- A whole file ---- */

static int read_all(struct owners_feed *feed, struct input *input, char *chunk, struct why *why)
{
    for (;;) {
        int64_t len = input_read(input, chunk, CHUNK, why);
        if (len < 0) {
            /* What was read before stays, and so does what it says. */
            fault(feed, 0, why->text);
        }
        int err = len <= 0 ? owners_feed_end(feed) : owners_feed_push(feed, chunk, (size_t)len, 0);
        if (len <= 0 || err != 0) {
            return err;
        }
    }
}

int owners_read_file(struct owners *owners, const char *cluster, const char *path,
                     owners_warn_fn warn, void *ctx, struct owners_read *read, struct why *why)
{
    struct owners_feed *feed = NULL;
    struct input *input;
    int err = input_open(&input, path, why);
    if (err != 0) {
        return err;
    }
    char *chunk = malloc(CHUNK);
    err = chunk == NULL
              ? -ENOMEM
              : owners_feed_new(&feed, owners, cluster, input_name(input), warn, ctx, read);
    err = err != 0 ? err : read_all(feed, input, chunk, why);
    if (err != 0) {
        why_set(why, err, "%s: %s", input_name(input),
                err == W_ELIMIT ? "more owners than the table holds" : err_str(err));
    }
    owners_feed_free(&feed);
    free(chunk);
    input_close(&input);
    return err;
}
