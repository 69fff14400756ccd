/* join/tail_marks.c -- what a restart must know of the files, and finding them again
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/clock.h"
#include "join/tail_log.h"

/* ---- Marks ---- */

void tail_keep(struct tail_file *file, const struct tail_place *place)
{
    if (!file->kept) {
        file->kept = true;
        file->keep = *place;
    }
}

void tail_keep_none(struct tail *tail)
{
    for (size_t i = 0; i < tail->log_count; i++) {
        for (size_t k = 0; k < tail->logs[i]->count; k++) {
            tail->logs[i]->files[k]->kept = false;
        }
    }
}

/* All that was written to it is given out, and another file has followed it. */
static bool is_whole(const struct tail_file *file)
{
    return file->state == TAIL_FOLLOWED && file->followed && tail_is_read(file) &&
           file->at.offset == file->size;
}

int tail_marks(const struct tail *tail, int (*fn)(void *ctx, const struct tail_mark *mark),
               void *ctx)
{
    int err = 0;
    for (size_t i = 0; i < tail->log_count; i++) {
        const struct tail_log *log = tail->logs[i];
        for (size_t k = 0; k < log->count && err == 0; k++) {
            const struct tail_file *file = log->files[k];
            const struct tail_mark mark = {
                .log = log->path,
                .path = file->path,
                .state = file->kept       ? TAIL_FOLLOWED
                         : is_whole(file) ? TAIL_DONE
                                          : file->state,
                .dev = file->dev,
                .ino = file->ino,
                .mtime_ns = file->mtime_ns,
                .head = file->head,
                .place = file->kept ? file->keep : file->at,
            };
            err = file->state != TAIL_IGNORED ? fn(ctx, &mark) : 0;
        }
    }
    return err;
}

/* The source that stands for that name; NULL if there is none. */
static const struct tail_source *covering(const struct tail *tail, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    for (size_t i = 0; i < tail->source_count; i++) {
        const char *source = tail->sources[i]->path;
        if (strcmp(source, path) == 0 || fnmatch(source, path, FNM_PATHNAME) == 0 ||
            (slash != NULL && strlen(source) == len && strncmp(source, path, len) == 0)) {
            return tail->sources[i];
        }
    }
    return NULL;
}

/* Opens the file where it was, or where it has gone to. */
static int reopen(struct tail *tail, const struct tail_log *log, struct tail_file *file)
{
    file->state = TAIL_GONE;
    int err = tail_relocate(tail, log, file);
    if (err == -ENOENT && file->head.len == 0) {
        /* There was nothing in it: whatever is not older is found as files that were missed. */
        err = 0;
    } else if (err == -ENOENT) {
        tail->totals.lost++;
        tail_say(tail,
                 "%s: what was read of it before is gone: rotated away and removed, or "
                 "truncated; anything after byte %llu is lost",
                 file->path, (unsigned long long)file->at.offset);
        err = 0;
    }
    return err;
}

/* A file that was done with is followed again only if something was written to it since. */
static int reopen_done(struct tail *tail, const struct tail_log *log, struct tail_file *file)
{
    struct stat st;
    file->size = file->at.offset;
    if (!tail_still_there(log, file) || stat(file->path, &st) != 0) {
        file->state = TAIL_GONE;
        return 0;
    }
    if (file->state == TAIL_DONE && (uint64_t)st.st_size > file->at.offset) {
        int err = tail_relocate(tail, log, file);
        return err == -ENOENT ? 0 : err;
    }
    return 0;
}

int tail_restore(struct tail *tail, const struct tail_mark *mark)
{
    struct tail_log *log;
    const struct tail_source *source = covering(tail, mark->log);
    if (source == NULL) {
        tail_say(tail, "%s: no longer among the sources; it is not read on", mark->path);
        return 0;
    }
    int err = tail_log_add(tail, mark->log, false, tail_cluster_of(source), &log);
    struct tail_file *file = err == 0 ? tail_file_new(mark->path) : NULL;
    if (file == NULL) {
        return -ENOMEM;
    }
    file->dev = mark->dev;
    file->ino = mark->ino;
    file->mtime_ns = mark->mtime_ns;
    file->head = mark->head;
    file->at = mark->place;
    file->state = mark->state;
    file->admitted = mark->place.offset > 0;
    file->quiet_us = clock_monotonic_us();
    if (mark->state == TAIL_FOLLOWED) {
        err = reopen(tail, log, file);
    } else if (mark->state != TAIL_GONE) {
        err = reopen_done(tail, log, file);
    }
    if (err != 0) {
        tail_file_free(&file);
        return err;
    }
    return tail_log_insert(tail, log, log->count, file);
}
