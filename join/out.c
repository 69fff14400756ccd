/* join/out.c -- where named flows go to and stay: SINK of --out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "join/tail_log.h"

#define FILE_PREFIX "file:"

struct out {
    char *path; /* NULL: standard output */
    int fd;
    uint64_t len;
    size_t done; /* of a stream: octets of the write in hand that are out */
};

bool out_is_sink(const char *sink)
{
    size_t len = strlen(FILE_PREFIX);
    return strcmp(sink, "-") == 0 || (strncmp(sink, FILE_PREFIX, len) == 0 && sink[len] != '\0');
}

static int open_file(struct out *out, struct why *why)
{
    struct stat st;
    out->fd = open(out->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    int err = out->fd < 0 || fstat(out->fd, &st) != 0 ? -errno : 0;
    if (err != 0) {
        return why_set(why, err, "%s: %s", out->path, strerror(-err));
    }
    if (!S_ISREG(st.st_mode)) {
        return why_set(why, W_EUSAGE, "%s: not a regular file; use --out - for a stream",
                       out->path);
    }
    if (flock(out->fd, LOCK_EX | LOCK_NB) != 0) {
        return why_set(why, W_ELOCKED, "%s is being written by another process", out->path);
    }
    return 0;
}

int out_open(struct out **result, const char *sink, struct why *why)
{
    *result = NULL;
    if (!out_is_sink(sink)) {
        return why_set(why, W_EUSAGE, "%.100s: expected - or file:PATH", sink);
    }
    struct out *out = calloc(1, sizeof(*out));
    if (out == NULL) {
        return -ENOMEM;
    }
    out->fd = STDOUT_FILENO;
    int err = 0;
    if (strcmp(sink, "-") != 0) {
        out->path = strdup(sink + strlen(FILE_PREFIX));
        err = out->path == NULL ? -ENOMEM : open_file(out, why);
    }
    if (err != 0) {
        out_close(&out);
        return err;
    }
    *result = out;
    return 0;
}

void out_close(struct out **out)
{
    if (*out != NULL) {
        if ((*out)->path != NULL && (*out)->fd >= 0) {
            close((*out)->fd);
        }
        free((*out)->path);
        free(*out);
        *out = NULL;
    }
}

const char *out_path(const struct out *out)
{
    return out->path;
}

/* ---- Going on ---- */

/* The file that the checkpoint speaks of was renamed before anybody noticed: what was written to it
 * after the checkpoint is cut off. */
static bool cut_moved(const struct out *out, const struct out_state *state)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];
    const char *base = tail_base(out->path);
    bool found = false;
    snprintf(folder, sizeof(folder), "%.*s", base == out->path ? 1 : (int)(base - out->path),
             base == out->path ? "." : out->path);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        if (!tail_is_rotation(entry->d_name, base) ||
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= PATH_MAX) {
            continue;
        }
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        found = fd >= 0 && tail_head_matches(&state->head, fd, state->len) &&
                ftruncate(fd, (off_t)state->len) == 0 && fsync(fd) == 0;
        if (fd >= 0) {
            close(fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* The name has nothing, or a new file. */
static int resume_empty(struct out *out, const struct out_state *state, const char *checkpoint,
                        struct why *why)
{
    if (state->len == 0 || state->closed || cut_moved(out, state)) {
        out->len = 0;
        return 0;
    }
    return why_set(why, W_EDAMAGED,
                   "%s is gone, and %s says that it has %llu bytes; bring it back, or remove the "
                   "checkpoint to begin anew",
                   out->path, checkpoint, (unsigned long long)state->len);
}

static int resume_file(struct out *out, uint64_t size, const struct out_state *state,
                       const char *checkpoint, struct why *why)
{
    if (size < state->len) {
        return why_set(why, W_EDAMAGED,
                       "%s has %llu bytes, and %s says that it has at least %llu; bring it back, "
                       "or move both away to begin anew",
                       out->path, (unsigned long long)size, checkpoint,
                       (unsigned long long)state->len);
    }
    if (!tail_head_matches(&state->head, out->fd, state->len)) {
        return why_set(why, W_EDAMAGED,
                       "%s is not the file that %s was written for; name another --checkpoint, or "
                       "move it away to begin anew",
                       out->path, checkpoint);
    }
    out->len = state->len;
    return ftruncate(out->fd, (off_t)state->len) == 0
               ? 0
               : why_set(why, -errno, "%s: %s", out->path, strerror(errno));
}

int out_resume(struct out *out, const struct out_state *state, const char *checkpoint,
               struct why *why)
{
    struct stat st;
    if (out->path == NULL) {
        return 0;
    }
    if (fstat(out->fd, &st) != 0) {
        return why_set(why, -errno, "%s: %s", out->path, strerror(errno));
    }
    if (st.st_size > 0 && state == NULL) {
        return why_set(why, W_EDAMAGED,
                       "%s has content, but there is no checkpoint %s that says how far it got; "
                       "bring that back, or move the file away to begin anew",
                       out->path, checkpoint);
    }
    if (state == NULL) {
        return 0;
    }
    return st.st_size == 0 ? resume_empty(out, state, checkpoint, why)
                           : resume_file(out, (uint64_t)st.st_size, state, checkpoint, why);
}

/* ---- Writing ---- */

bool out_may_pass(int err)
{
    /* EFBIG: the limit of the process or the file system, which an operator may raise. */
    return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

static int write_file(struct out *out, const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t put = pwrite(out->fd, bytes + done, len - done, (off_t)(out->len + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            int err = -errno;
            /* Half a line must not stay where somebody may read it. */
            return ftruncate(out->fd, (off_t)out->len) == 0 ? err : -EIO;
        }
        done += (size_t)put;
    }
    out->len += len;
    return 0;
}

static int write_stream(struct out *out, const char *bytes, size_t len)
{
    while (out->done < len) {
        ssize_t put = write(out->fd, bytes + out->done, len - out->done);
        if (put < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = out->fd, .events = POLLOUT}, 1, -1);
        } else if (put < 0 && errno != EINTR) {
            return -errno;
        }
        out->done += put > 0 ? (size_t)put : 0;
    }
    out->done = 0;
    return 0;
}

int out_write(struct out *out, const char *bytes, size_t len)
{
    return out->path != NULL ? write_file(out, bytes, len) : write_stream(out, bytes, len);
}

int out_sync(struct out *out, struct out_state *state)
{
    *state = (struct out_state){.len = 0};
    if (out->path == NULL) {
        return 0;
    }
    if (fdatasync(out->fd) != 0) {
        return -errno;
    }
    state->len = out->len;
    return tail_head_of(out->fd, out->len, &state->head);
}

bool out_is_empty(const struct out *out)
{
    return out->len == 0;
}

bool out_moved(const struct out *out)
{
    struct stat named;
    struct stat ours;
    if (out->path == NULL || fstat(out->fd, &ours) != 0) {
        return false;
    }
    return stat(out->path, &named) != 0 || named.st_ino != ours.st_ino ||
           named.st_dev != ours.st_dev;
}

int out_reopen(struct out *out, struct why *why)
{
    struct stat st;
    close(out->fd);
    int err = open_file(out, why);
    if (err == 0 && fstat(out->fd, &st) == 0 && st.st_size > 0) {
        err = why_set(why, W_EDAMAGED, "%s is another file with content; it is not written to",
                      out->path);
    }
    out->len = 0;
    return err;
}
