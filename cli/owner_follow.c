/* cli/owner_follow.c -- a service reads its --owners FILE again when it changes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/owner_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "join/owners_file.h"
#include "join/source.h"

enum { LOOK_EVERY_MS = 1000, CHUNK = 64 * 1024, TAIL_LEN = 64 };

struct followed {
    const char *path; /* of the list */
    struct owners_feed *feed;
    int fd; /* -1: not open, or no longer read */
    bool regular;
    bool once; /* compressed: not followed */
    dev_t device;
    ino_t inode;
    off_t at;
    struct timespec written;
    char tail[TAIL_LEN]; /* the last octets that were read */
    size_t tail_len;
};

struct owner_follow {
    struct owners *owners;
    void (*changed)(void *ctx);
    void *ctx;
    struct source_list list;
    struct followed *files;
    struct owners_read read;
    struct log_limit limit;
    int stop; /* an eventfd */
    bool running;
    pthread_t thread;
};

static void warn(void *ctx, const char *text)
{
    struct owner_follow *follow = ctx;
    uint32_t suppressed;
    if (log_limit_pass(&follow->limit, clock_monotonic_us(), &suppressed)) {
        log_warn("owners: %s", text);
    }
}

/* ---- One file ---- */

static int open_file(struct followed *file)
{
    struct stat st;
    file->fd = strcmp(file->path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                            : open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &st) != 0) {
        return -errno;
    }
    file->regular = S_ISREG(st.st_mode);
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->written = st.st_mtim;
    file->at = 0;
    file->tail_len = 0;
    return 0;
}

static void close_file(struct followed *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = -1;
}

static void keep_tail(struct followed *file, const char *bytes, size_t len)
{
    size_t kept = len < TAIL_LEN ? TAIL_LEN - len : 0;
    kept = kept < file->tail_len ? kept : file->tail_len;
    size_t added = len < TAIL_LEN ? len : TAIL_LEN;
    memmove(file->tail, file->tail + file->tail_len - kept, kept);
    memcpy(file->tail + kept, bytes + len - added, added);
    file->tail_len = kept + added;
}

/* Is there something to read? Standard input would be waited for. */
static bool is_ready(const struct followed *file)
{
    struct pollfd ready = {.fd = file->fd, .events = POLLIN};
    return file->regular || poll(&ready, 1, 0) > 0;
}

/* Reads what there is. Returns 0 or a negative error. */
static int read_on(struct followed *file, int64_t received_us)
{
    char chunk[CHUNK];
    struct stat st;
    while (is_ready(file)) {
        ssize_t len = read(file->fd, chunk, sizeof(chunk));
        if (len < 0 && errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        if (len <= 0) {
            break;
        }
        int err = owners_feed_push(file->feed, chunk, (size_t)len, received_us);
        if (err != 0) {
            return err;
        }
        file->at += len;
        keep_tail(file, chunk, (size_t)len);
    }
    if (fstat(file->fd, &st) == 0) {
        file->written = st.st_mtim;
    }
    return owners_feed_settle(file->feed);
}

static void complain(struct owner_follow *follow, const struct followed *file, int result)
{
    if (result < 0) {
        char text[300];
        snprintf(text, sizeof(text), "%.200s: %s", file->path, err_str(result));
        warn(follow, text);
    }
}

/* Is the file by that name another one, or one that was written anew? */
static bool is_new(const struct followed *file, const struct stat *st)
{
    bool other = st->st_dev != file->device || st->st_ino != file->inode;
    bool rewritten = st->st_size < file->at ||
                     (st->st_size == file->at && (st->st_mtim.tv_sec != file->written.tv_sec ||
                                                  st->st_mtim.tv_nsec != file->written.tv_nsec));
    return other || rewritten;
}

/* What was read last must still be where it was. */
static bool was_appended(const struct followed *file)
{
    char tail[TAIL_LEN];
    ssize_t len = (ssize_t)file->tail_len;
    return pread(file->fd, tail, file->tail_len, file->at - len) == len &&
           memcmp(tail, file->tail, file->tail_len) == 0;
}

static void look_at_regular(struct owner_follow *follow, struct followed *file)
{
    struct stat st;
    if (file->once || stat(file->path, &st) != 0) {
        return; /* between two files of its name; the owners stay as they are */
    }
    if (file->fd >= 0 && !is_new(file, &st) && st.st_size == file->at) {
        return;
    }
    if (file->fd < 0 || is_new(file, &st) || !was_appended(file)) {
        complain(follow, file, owners_feed_end(file->feed));
        close_file(file);
        if (open_file(file) != 0) {
            return;
        }
    }
    complain(follow, file, read_on(file, clock_now_us()));
}

static void look_at_all(struct owner_follow *follow)
{
    for (size_t i = 0; i < follow->list.count; i++) {
        struct followed *file = &follow->files[i];
        if (file->regular) {
            look_at_regular(follow, file);
        } else if (file->fd >= 0) {
            complain(follow, file, read_on(file, clock_now_us()));
        }
    }
}

static void *follow_all(void *ctx)
{
    struct owner_follow *follow = ctx;
    struct pollfd stop = {.fd = follow->stop, .events = POLLIN};
    uint64_t version = owners_version(follow->owners);
    while (poll(&stop, 1, LOOK_EVERY_MS) <= 0) {
        look_at_all(follow);
        uint64_t now = owners_version(follow->owners);
        if (now != version) {
            follow->changed(follow->ctx);
        }
        version = now;
    }
    return NULL;
}

/* ---- Start and end ---- */

static bool is_compressed(int fd)
{
    unsigned char magic[4] = {0};
    ssize_t len = pread(fd, magic, sizeof(magic), 0);
    return len == 4 && ((magic[0] == 0x1f && magic[1] == 0x8b) ||
                        (magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f));
}

/* Reads what is there at the start: a recording. */
static int begin(struct owner_follow *follow, struct followed *file, const char *cluster,
                 struct why *why)
{
    int err = owners_feed_new(&file->feed, follow->owners, cluster, file->path, warn, follow,
                              &follow->read);
    err = err != 0 ? err : open_file(file);
    if (err != 0) {
        return why_set(why, err, "%s: %s", file->path, err_str(err));
    }
    if (!file->regular) {
        return 0;
    }
    file->once = is_compressed(file->fd);
    if (file->once) {
        close_file(file);
        return owners_read_file(follow->owners, cluster, file->path, warn, follow, &follow->read,
                                why);
    }
    err = read_on(file, 0);
    return err < 0 ? why_set(why, err, "%s: %s", file->path, err_str(err)) : 0;
}

static int begin_all(struct owner_follow *follow, const struct settings *settings, struct why *why)
{
    int err = 0;
    for (size_t i = 0; i < settings->owners.count && err == 0; i++) {
        err = source_list_add(&follow->list, settings->owners.items[i], why);
    }
    follow->files = calloc(follow->list.count + 1, sizeof(*follow->files));
    if (err != 0 || follow->files == NULL) {
        return err != 0 ? err : -ENOMEM;
    }
    for (size_t i = 0; i < follow->list.count; i++) {
        follow->files[i].fd = -1;
        follow->files[i].path = follow->list.paths[i];
    }
    for (size_t i = 0; i < follow->list.count && err == 0; i++) {
        const char *own = follow->list.clusters[i].text;
        err = begin(follow, &follow->files[i], own[0] != '\0' ? own : settings->cluster, why);
    }
    return err;
}

int owner_follow_new(struct owner_follow **out, struct owners *owners,
                     const struct settings *settings, struct why *why)
{
    struct owner_follow *follow = calloc(1, sizeof(*follow));
    *out = NULL;
    if (follow == NULL) {
        return why_set(why, -ENOMEM, "out of memory");
    }
    *follow = (struct owner_follow){.owners = owners, .stop = eventfd(0, EFD_CLOEXEC)};
    follow->limit = (struct log_limit){.interval_us = US_PER_MIN, .burst = 5};
    int err = follow->stop < 0 ? why_set(why, -errno, "eventfd: %s", strerror(errno))
                               : begin_all(follow, settings, why);
    if (err != 0) {
        owner_follow_free(&follow);
        return err;
    }
    *out = follow;
    return 0;
}

int owner_follow_start(struct owner_follow *follow, void (*changed)(void *ctx), void *ctx,
                       struct why *why)
{
    if (follow->list.count == 0) {
        return 0;
    }
    follow->changed = changed;
    follow->ctx = ctx;
    int err = -pthread_create(&follow->thread, NULL, follow_all, follow);
    follow->running = err == 0;
    return err == 0 ? 0 : why_set(why, err, "a thread for --owners: %s", err_str(err));
}

void owner_follow_stop(struct owner_follow *follow)
{
    uint64_t one = 1;
    if (follow != NULL && follow->running &&
        write(follow->stop, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        pthread_join(follow->thread, NULL);
        follow->running = false;
    }
}

void owner_follow_free(struct owner_follow **out)
{
    struct owner_follow *follow = *out;
    *out = NULL;
    if (follow == NULL) {
        return;
    }
    owner_follow_stop(follow);
    for (size_t i = 0; i < follow->list.count && follow->files != NULL; i++) {
        owners_feed_free(&follow->files[i].feed);
        close_file(&follow->files[i]);
    }
    free(follow->files);
    source_list_fini(&follow->list);
    if (follow->stop >= 0) {
        close(follow->stop);
    }
    free(follow);
}
