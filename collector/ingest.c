/* collector/ingest.c -- capture files into an index that no service is writing
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/apply.h"

#define READ_BYTES (256 * 1024)

struct ingest {
    struct applier applier;
    struct outlet outlet;
    uint8_t *buffer;
    int err; /* the index could not take something */
    ingest_progress_fn progress;
    void *progress_ctx;
};

/* Applies the batch in place and goes on with the same one. */
static int flush_outlet(struct outlet *outlet)
{
    struct ingest *ingest = outlet->ctx;
    applier_apply(&ingest->applier, outlet->batch);
    if (ingest->err == 0) {
        ingest->err = ingest->applier.refused != 0 ? ingest->applier.refused : ingest->applier.err;
    }
    return 0;
}

int ingest_new(struct ingest **out, struct store *store, ingest_progress_fn progress,
               void *progress_ctx)
{
    *out = NULL;
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL) {
        return -ENOMEM;
    }
    applier_init(&ingest->applier, store);
    ingest->outlet.flush = flush_outlet;
    ingest->outlet.ctx = ingest;
    ingest->outlet.batch = batch_new();
    ingest->buffer = malloc(READ_BYTES);
    ingest->progress = progress;
    ingest->progress_ctx = progress_ctx;
    if (ingest->outlet.batch == NULL || ingest->buffer == NULL) {
        ingest_free(&ingest);
        return -ENOMEM;
    }
    *out = ingest;
    return 0;
}

void ingest_free(struct ingest **out)
{
    struct ingest *ingest = *out;
    *out = NULL;
    if (ingest != NULL) {
        free(ingest->outlet.batch);
        free(ingest->buffer);
        free(ingest);
    }
}

static int open_file(const char *path, uint64_t *size, struct why *why)
{
    struct stat stat;
    *size = 0;
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        return why_set(why, -errno, "%s", strerror(errno));
    }
    if (S_ISREG(stat.st_mode)) {
        *size = (uint64_t)stat.st_size;
        /* Advice only. */
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    return fd;
}

static int unwritable(const struct ingest *ingest, struct why *why)
{
    return why_set(why, W_ELIMIT, "the index cannot be written: %s", err_str(ingest->err));
}

static int read_all(struct ingest *ingest, struct capture *capture, int fd, uint64_t size,
                    struct why *why)
{
    uint64_t octets = 0;
    for (;;) {
        ssize_t len = read(fd, ingest->buffer, READ_BYTES);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len < 0) {
            return why_set(why, -errno, "%s", strerror(errno));
        }
        if (len == 0) {
            return 0;
        }
        octets += (uint64_t)len;
        int err = capture_push(capture, ingest->buffer, (size_t)len, why);
        if (ingest->err != 0) {
            return unwritable(ingest, why);
        }
        if (err != 0) {
            return err;
        }
        if (ingest->progress != NULL) {
            ingest->progress(ingest->progress_ctx, &capture->summary, octets, size);
        }
    }
}

int ingest_file(struct ingest *ingest, const char *path, const struct capture_options *options,
                struct capture_summary *summary, struct why *why)
{
    struct capture capture;
    struct why end_why = {""};
    uint64_t size;
    *summary = (struct capture_summary){0};
    int fd = open_file(path, &size, why);
    if (fd < 0) {
        return fd;
    }
    capture_init(&capture, options, &ingest->outlet);
    int err = read_all(ingest, &capture, fd, size, why);
    int end = capture_end(&capture, &end_why);
    flush_outlet(&ingest->outlet);
    *summary = capture.summary;
    capture_fini(&capture);
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    if (err == 0 && end != 0) {
        *why = end_why;
        err = end;
    }
    return err == 0 && ingest->err != 0 ? unwritable(ingest, why) : err;
}

int ingest_finish(struct ingest *ingest, struct why *why)
{
    int err = applier_commit(&ingest->applier);
    return err == 0 ? 0 : why_set(why, err, "the index cannot be committed: %s", err_str(err));
}
