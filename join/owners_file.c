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

struct reading {
    const char *name;
    owners_warn_fn warn;
    void *ctx;
    struct owners_read *read;
    uint64_t faults; /* of this file */
    struct why why;

    struct owners_k8s *k8s;
    struct k8s_stream *stream; /* NULL: not JSON */
    struct owners_ksm *ksm;
    struct buf line;
    uint64_t line_number;
};

static void fault(struct reading *reading, uint64_t line, const char *what)
{
    char text[768];
    reading->read->faults++;
    reading->faults++;
    if (reading->warn != NULL && reading->faults <= WARNINGS_MAX) {
        snprintf(text, sizeof(text), "%s: line %" PRIu64 ": %s", reading->name, line, what);
        reading->warn(reading->ctx, text);
    } else if (reading->warn != NULL && reading->faults == WARNINGS_MAX + 1) {
        snprintf(text, sizeof(text), "%s: more that cannot be read, which is counted only",
                 reading->name);
        reading->warn(reading->ctx, text);
    }
}

/* A fault costs one object; anything else ends the reading. */
static int judge(struct reading *reading, int err, uint64_t line, const struct why *why)
{
    if (err == W_ESYNTAX) {
        fault(reading, line, why->text);
        return 0;
    }
    return err;
}

static int on_piece(void *ctx, const struct k8s_piece *piece)
{
    struct reading *reading = ctx;
    struct why why = {""};
    int err = owners_k8s_piece(reading->k8s, piece, 0, &why);
    return judge(reading, err, piece->line, &why);
}

/* ---- Metrics, line by line ---- */

static int end_line(struct reading *reading)
{
    struct why why = {""};
    int err;
    reading->line_number++;
    if (reading->line.err == W_ELIMIT) {
        fault(reading, reading->line_number, "longer than a metric is");
        err = 0;
    } else if (reading->line.err != 0) {
        err = reading->line.err;
    } else {
        err = owners_ksm_line(reading->ksm, reading->line.data, reading->line.len, &why);
        err = judge(reading, err, reading->line_number, &why);
    }
    buf_reset(&reading->line);
    return err;
}

static int push_lines(struct reading *reading, const char *bytes, size_t len)
{
    const char *end = bytes + len;
    int err = 0;
    while (bytes < end && err == 0) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        buf_add(&reading->line, bytes, (size_t)((stop != NULL ? stop : end) - bytes));
        if (stop == NULL) {
            break;
        }
        err = end_line(reading);
        bytes = stop + 1;
    }
    return err;
}

/* ---- The file ---- */

/* Which of the two it is, by its first octet. */
static int begin(struct reading *reading, struct owners *owners, const char *cluster, char first)
{
    if (first == '#' || (first >= 'a' && first <= 'z')) {
        reading->line.max = LINE_MAX_LEN;
        return owners_ksm_new(&reading->ksm, owners, cluster);
    }
    int err = owners_k8s_new(&reading->k8s, owners, cluster);
    return err != 0 ? err : k8s_stream_new(&reading->stream, K8S_OBJECT_MAX, on_piece, reading);
}

static int push(struct reading *reading, const char *bytes, size_t len)
{
    return reading->stream != NULL ? k8s_stream_push(reading->stream, bytes, len)
                                   : push_lines(reading, bytes, len);
}

static int end(struct reading *reading)
{
    int err = 0;
    if (reading->stream != NULL) {
        err = k8s_stream_end(reading->stream);
    } else if (reading->ksm != NULL) {
        err = reading->line.len > 0 ? end_line(reading) : 0;
        err = err != 0 ? err : owners_ksm_end(reading->ksm);
    }
    return err;
}

static int read_all(struct reading *reading, struct owners *owners, const char *cluster,
                    struct input *input, char *chunk, struct why *why)
{
    bool begun = false;
    for (;;) {
        int64_t len = input_read(input, chunk, CHUNK, why);
        size_t blank = 0;
        if (len < 0) {
            /* What was read before stays, and so does what it says. */
            fault(reading, 0, why->text);
        }
        if (len <= 0) {
            return end(reading);
        }
        while (!begun && blank < (size_t)len && strchr(" \t\r\n", chunk[blank]) != NULL) {
            blank++;
        }
        if (!begun && blank == (size_t)len) {
            continue;
        }
        int err = begun ? 0 : begin(reading, owners, cluster, chunk[blank]);
        begun = true;
        err = err != 0 ? err : push(reading, chunk, (size_t)len);
        if (err != 0) {
            return err;
        }
    }
}

int owners_read_file(struct owners *owners, const char *cluster, const char *path,
                     owners_warn_fn warn, void *ctx, struct owners_read *read, struct why *why)
{
    struct reading reading = {.warn = warn, .ctx = ctx, .read = read};
    struct input *input;
    int err = input_open(&input, path, why);
    if (err != 0) {
        return err;
    }
    reading.name = input_name(input);
    char *chunk = malloc(CHUNK);
    err = chunk == NULL ? -ENOMEM : read_all(&reading, owners, cluster, input, chunk, why);
    if (err != 0) {
        why_set(why, err, "%s: %s", reading.name,
                err == W_ELIMIT ? "more owners than the table holds" : err_str(err));
    }
    read->objects += reading.k8s != NULL ? owners_k8s_count(reading.k8s) : 0;
    read->objects += reading.ksm != NULL ? owners_ksm_count(reading.ksm) : 0;
    k8s_stream_free(&reading.stream);
    owners_k8s_free(&reading.k8s);
    owners_ksm_free(&reading.ksm);
    buf_fini(&reading.line);
    free(chunk);
    input_close(&input);
    return err;
}
