/* join/tail_find.c -- where a file has gone to, and which others belong to its log
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join/tail_log.h"

/* Names looked at in one folder: more is no folder of logs. */
enum { NAMES_MAX = 10000 };

bool tail_is_rotation(const char *name, const char *base)
{
    size_t len = strlen(base);
    return strncmp(name, base, len) == 0 && name[len] != '\0' && strchr(".-_~", name[len]) != NULL;
}

const char *tail_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* "." for a bare name. */
static void folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    snprintf(folder, PATH_MAX, "%.*s", len == 0 ? 1 : (int)len, len == 0 ? "." : path);
}

/* A walk over the folders of a log: those of its name and of the file's. */
struct walk {
    char folders[2][PATH_MAX];
    size_t folder_count;
    size_t at;
    DIR *dir;
    unsigned names;
    char path[PATH_MAX]; /* of the name in hand */
    const char *base;
    uint64_t ino;
};

static void walk_begin(struct walk *walk, const char *first, const char *second)
{
    *walk = (struct walk){.folder_count = 1};
    folder_of(first, walk->folders[0]);
    folder_of(second, walk->folders[1]);
    walk->folder_count += strcmp(walk->folders[0], walk->folders[1]) != 0;
}

/* Moves to the next name. Returns false after the last. */
static bool walk_next(struct walk *walk)
{
    for (;;) {
        if (walk->dir == NULL && walk->at == walk->folder_count) {
            return false;
        }
        if (walk->dir == NULL) {
            walk->dir = opendir(walk->folders[walk->at++]);
            walk->names = 0;
            continue;
        }
        const struct dirent *entry = readdir(walk->dir);
        if (entry == NULL || walk->names++ == NAMES_MAX) {
            closedir(walk->dir);
            walk->dir = NULL;
            continue;
        }
        const char *folder = walk->folders[walk->at - 1];
        bool here = strcmp(folder, ".") == 0;
        bool fits = snprintf(walk->path, PATH_MAX, "%s%s%s", here ? "" : folder,
                             here || folder[strlen(folder) - 1] == '/' ? "" : "/",
                             entry->d_name) < PATH_MAX;
        if (fits && (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)) {
            walk->base = tail_base(walk->path);
            walk->ino = entry->d_ino;
            return true;
        }
    }
}

static void walk_end(struct walk *walk)
{
    if (walk->dir != NULL) {
        closedir(walk->dir);
    }
}

/* ---- Finding a file again ---- */

/* A head that only this content has: full length, or found where rotation puts copies. */
static bool tells(const struct tail_head *head, const char *name, const char *base)
{
    return head->len == TAIL_HEAD_LEN || (head->len > 0 && tail_is_rotation(name, base));
}

/* Something was given out of it. */
static bool is_begun(const struct tail_file *file)
{
    return file->state != TAIL_COPY && (file->at.offset > 0 || file->at.overlong);
}

/* Opens `path` if it has what the file is. */
static bool take_if_same(struct tail *tail, struct tail_file *file, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                tail_head_matches(&file->head, fd, file->at.offset);
    struct tail_file *known = same ? tail_known(tail, path, &st) : NULL;
    if (known != NULL && known != file && is_begun(known)) {
        same = false;
    }
    if (!same) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    if (known != NULL && known != file) {
        tail_file_close(known);
        known->state = TAIL_GONE; /* the copy is the file itself now */
    }
    tail_file_close(file);
    tail_file_rename(file, path);
    file->fd = fd;
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->state = TAIL_FOLLOWED;
    file->birth_ns = tail_birth_ns(fd, "");
    file->replaced = false;
    file->admitted = true;
    file->size = 0;
    file->end_size = 0;
    file->end_mtime_ns = 0;
    tail_file_look(file);
    return true;
}

int tail_relocate(struct tail *tail, const struct tail_log *log, struct tail_file *file)
{
    struct walk *walk = malloc(sizeof(*walk));
    const char *base = tail_base(log->path);
    bool found = false;
    if (walk == NULL) {
        return -ENOMEM;
    }
    /* By inode first: the file itself rather than a copy of it. */
    for (int pass = 0; pass < 2 && !found && file->head.len > 0; pass++) {
        walk_begin(walk, file->path, log->path);
        while (!found && walk_next(walk)) {
            bool candidate =
                pass == 0 ? walk->ino == file->ino : tells(&file->head, walk->base, base);
            found = candidate && take_if_same(tail, file, walk->path);
        }
        walk_end(walk);
    }
    free(walk);
    return found ? 0 : -ENOENT;
}

bool tail_still_there(const struct tail_log *log, struct tail_file *file)
{
    struct stat st;
    if (stat(file->path, &st) == 0 && st.st_ino == file->ino && st.st_dev == file->dev) {
        return true;
    }
    struct walk *walk = malloc(sizeof(*walk));
    bool found = false;
    if (walk == NULL) {
        return true; /* not to be told now */
    }
    walk_begin(walk, file->path, log->path);
    while (!found && walk_next(walk)) {
        found = walk->ino == file->ino && stat(walk->path, &st) == 0 && st.st_ino == file->ino &&
                st.st_dev == file->dev;
    }
    if (found) {
        tail_file_rename(file, walk->path);
    }
    walk_end(walk);
    free(walk);
    return found;
}

/* ---- Files that were missed ---- */

struct missed {
    char *path;
    int64_t mtime_ns;
    int64_t birth_ns;
};

static int by_time(const void *a, const void *b)
{
    const struct missed *x = a;
    const struct missed *y = b;
    if (x->mtime_ns != y->mtime_ns) {
        return x->mtime_ns < y->mtime_ns ? -1 : 1;
    }
    return x->birth_ns < y->birth_ns ? -1 : x->birth_ns > y->birth_ns;
}

/* A rotation of the log that was written after its last file, and is none we know. Clocks of file
 * systems stand still for milliseconds: of the same time, it must have been made later. */
static bool is_missed(struct tail *tail, const struct tail_log *log, const struct tail_file *last,
                      const struct walk *walk, struct missed *missed)
{
    struct stat st;
    if (!tail_is_rotation(walk->base, tail_base(log->path)) &&
        !tail_is_rotation(walk->base, tail_base(last->path))) {
        return false;
    }
    if (stat(walk->path, &st) != 0 || !S_ISREG(st.st_mode) ||
        tail_known(tail, walk->path, &st) != NULL) {
        return false;
    }
    missed->mtime_ns = tail_mtime_ns(&st);
    missed->birth_ns = tail_birth_ns(AT_FDCWD, walk->path);
    return missed->mtime_ns > last->mtime_ns ||
           (missed->mtime_ns == last->mtime_ns && missed->birth_ns > last->birth_ns);
}

static int collect(struct tail *tail, const struct tail_log *log, struct missed **missed,
                   size_t *count)
{
    const struct tail_file *last = log->files[log->count - 1];
    struct walk *walk = malloc(sizeof(*walk));
    int err = walk == NULL ? -ENOMEM : 0;
    if (err == 0) {
        walk_begin(walk, last->path, log->path);
    }
    while (err == 0 && walk_next(walk)) {
        struct missed one;
        if (!is_missed(tail, log, last, walk, &one)) {
            continue;
        }
        struct missed *grown = reallocarray(*missed, *count + 1, sizeof(**missed));
        one.path = strdup(walk->path);
        *missed = grown != NULL ? grown : *missed;
        if (grown == NULL || one.path == NULL) {
            free(one.path);
            err = -ENOMEM;
        } else {
            grown[(*count)++] = one;
        }
    }
    if (walk != NULL) {
        walk_end(walk);
        free(walk);
    }
    return err;
}

int tail_add_missed(struct tail *tail, struct tail_log *log)
{
    struct missed *missed = NULL;
    size_t count = 0;
    int err = collect(tail, log, &missed, &count);
    if (count > 1) {
        qsort(missed, count, sizeof(*missed), by_time);
    }
    for (size_t i = 0; i < count; i++) {
        struct tail_file *file = NULL;
        if (err == 0 && tail_file_open(&file, missed[i].path, NULL) == 0) {
            err = tail_log_insert(tail, log, log->count, file);
            tail->totals.rotated++;
        }
        free(missed[i].path);
    }
    free(missed);
    return err;
}

/* ---- Copies ---- */

static bool same_folder(const char *a, const char *b)
{
    size_t len = (size_t)(tail_base(a) - a);
    return len == (size_t)(tail_base(b) - b) && memcmp(a, b, len) == 0;
}

/* True if all the file has is how the other one begins. */
static bool is_beginning_of(const struct tail_file *file, const struct tail_file *other)
{
    char ours[TAIL_HEAD_LEN];
    char theirs[TAIL_HEAD_LEN];
    int64_t got = tail_read_at(file->fd, ours, sizeof(ours), 0);
    return got > 0 && other->fd >= 0 && tail_read_at(other->fd, theirs, (size_t)got, 0) == got &&
           memcmp(ours, theirs, (size_t)got) == 0;
}

/* Of two files that are alike, the one that is being read, or has the log's own name, is no copy.
 */
static bool is_original(const struct tail_log *log, size_t at)
{
    const struct tail_file *file = log->files[at];
    return file->head.len > 0 && file->state != TAIL_COPY && file->state != TAIL_IGNORED &&
           (file->admitted || file->at.offset > 0 ||
            (file->state == TAIL_FOLLOWED && at == log->count - 1));
}

enum tail_likeness tail_compare(const struct tail *tail, const struct tail_file *file)
{
    for (size_t i = 0; i < tail->log_count; i++) {
        const struct tail_log *log = tail->logs[i];
        for (size_t k = 0; k < log->count; k++) {
            const struct tail_file *other = log->files[k];
            if (other == file || !is_original(log, k) || !same_folder(file->path, other->path)) {
                continue;
            }
            if (file->size < other->head.len) {
                if (is_beginning_of(file, other)) {
                    return TAIL_TOO_SHORT_TO_TELL;
                }
            } else if (tells(&other->head, tail_base(file->path), tail_base(log->path)) &&
                       tail_head_matches(&other->head, file->fd, 0)) {
                return TAIL_A_COPY;
            }
        }
    }
    return TAIL_NEW;
}
