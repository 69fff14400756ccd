/* join/tail_file.c -- one file that is followed: who it is, and its lines
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/tail_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"

int64_t tail_mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int64_t tail_birth_ns(int fd, const char *path)
{
    struct statx st;
    if (statx(fd, path, path[0] == '\0' ? AT_EMPTY_PATH : 0, STATX_BTIME, &st) != 0 ||
        (st.stx_mask & STATX_BTIME) == 0) {
        return 0;
    }
    return st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

/* ---- Making ---- */

struct tail_file *tail_file_new(const char *path)
{
    struct tail_file *file = calloc(1, sizeof(*file));
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    file->fd = -1;
    return file;
}

void tail_file_close(struct tail_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
    file->pending = false;
}

void tail_file_free(struct tail_file **file)
{
    if (*file != NULL) {
        tail_file_close(*file);
        cutter_free(&(*file)->cutter);
        free((*file)->path);
        free(*file);
        *file = NULL;
    }
}

void tail_file_rename(struct tail_file *file, const char *path)
{
    char *copy = strcmp(file->path, path) != 0 ? strdup(path) : NULL;
    if (copy != NULL) {
        free(file->path);
        file->path = copy;
    }
}

int tail_file_open(struct tail_file **out, const char *path, struct why *why)
{
    struct stat st;
    struct tail_file *file = tail_file_new(path);
    *out = NULL;
    if (file == NULL) {
        return -ENOMEM;
    }
    /* O_NONBLOCK: a pipe of that name must not be waited for. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int err = file->fd < 0 || fstat(file->fd, &st) != 0 ? -errno : 0;
    if (err == 0 && !S_ISREG(st.st_mode)) {
        why_set(why, -EINVAL, "%s: not a regular file, which --follow needs", path);
        tail_file_free(&file);
        return -EINVAL;
    }
    if (err != 0) {
        why_set(why, err, "%s: %s", path, strerror(-err));
        tail_file_free(&file);
        return err;
    }
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->birth_ns = tail_birth_ns(file->fd, "");
    file->quiet_us = clock_monotonic_us();
    tail_file_look(file);
    *out = file;
    return 0;
}

/* ---- Who it is ---- */

int64_t tail_read_at(int fd, char *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, data + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (int64_t)done;
}

static void hash_head(struct tail_head *head, const char *data, size_t len)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
    head->len = (uint32_t)len;
    memcpy(head->hash, canonical.digest, sizeof(head->hash));
}

static bool same_head(const struct tail_head *head, const char *data, size_t len)
{
    struct tail_head found;
    if (len < head->len || head->len == 0) {
        return head->len == 0;
    }
    hash_head(&found, data, head->len);
    return memcmp(found.hash, head->hash, sizeof(found.hash)) == 0;
}

bool tail_head_matches(const struct tail_head *head, int fd, uint64_t size)
{
    char data[TAIL_HEAD_LEN];
    struct stat st;
    int64_t got = tail_read_at(fd, data, head->len, 0);
    return got == head->len && same_head(head, data, head->len) && fstat(fd, &st) == 0 &&
           (uint64_t)st.st_size >= size;
}

int tail_head_of(int fd, uint64_t len, struct tail_head *head)
{
    char data[TAIL_HEAD_LEN];
    int64_t got = tail_read_at(fd, data, len < sizeof(data) ? (size_t)len : sizeof(data), 0);
    *head = (struct tail_head){.len = 0};
    if (got > 0) {
        hash_head(head, data, (size_t)got);
    }
    return got < 0 ? (int)got : 0;
}

bool tail_is_compressed(int fd)
{
    static const struct {
        const char *magic;
        size_t len;
    } KINDS[] = {{"\x1f\x8b", 2},
                 {"\x28\xb5\x2f\xfd", 4},
                 {"\xfd"
                  "7zXZ",
                  5},
                 {"BZh", 3},
                 {"\x04\x22\x4d\x18", 4}};
    char head[8];
    int64_t got = tail_read_at(fd, head, sizeof(head), 0);
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (got >= (int64_t)KINDS[i].len && memcmp(head, KINDS[i].magic, KINDS[i].len) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- Looking ---- */

/* Octets up to and with the last newline. */
static size_t whole_lines(const char *data, size_t len)
{
    const char *last = len > 0 ? memrchr(data, '\n', len) : NULL;
    return last != NULL ? (size_t)(last - data) + 1 : 0;
}

/* Is what the file begins with still what it began with? If so, more of it is noted. */
static bool check_head(struct tail_file *file)
{
    char data[TAIL_HEAD_LEN];
    int64_t got = tail_read_at(file->fd, data, sizeof(data), 0);
    if (got < 0 || !same_head(&file->head, data, (size_t)got)) {
        return false;
    }
    /* Whole lines: what follows may be taken back. */
    size_t len = (size_t)got < sizeof(data) ? whole_lines(data, (size_t)got) : sizeof(data);
    if (len > file->head.len) {
        hash_head(&file->head, data, len);
    }
    return true;
}

void tail_file_look(struct tail_file *file)
{
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) != 0) {
        return;
    }
    if ((uint64_t)st.st_size < file->size || (uint64_t)st.st_size < file->at.offset) {
        file->replaced = true; /* what it had was of the size seen before */
        return;
    }
    file->size = (uint64_t)st.st_size;
    file->mtime_ns = tail_mtime_ns(&st);
    file->removed = st.st_nlink == 0;
    file->pending =
        file->size > 0 && (file->size != file->end_size || file->mtime_ns != file->end_mtime_ns);
    /* Known before anything of it is given out, so that it can be told from what it may become. */
    if (file->pending && file->head.len < TAIL_HEAD_LEN) {
        file->replaced |= !check_head(file);
    }
}

enum check { CHECK_SAME, CHECK_SHRUNK, CHECK_CHANGED };

/* Is it still the file of which the octets before `end` were read? */
static enum check check(struct tail_file *file, uint64_t end)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) {
        return CHECK_CHANGED;
    }
    if ((uint64_t)st.st_size < end) {
        return CHECK_SHRUNK;
    }
    if (!check_head(file)) {
        return CHECK_CHANGED;
    }
    file->size = (uint64_t)st.st_size;
    file->mtime_ns = tail_mtime_ns(&st);
    return CHECK_SAME;
}

/* ---- Reading ---- */

static uint64_t count_lines(const char *data, size_t len)
{
    uint64_t count = 0;
    const char *end = data + len;
    for (const char *at = data; at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL;
         at++) {
        count++;
    }
    return count;
}

static void set_end(struct tail_file *file, uint64_t end)
{
    file->end_size = end;
    file->end_mtime_ns = file->mtime_ns;
    file->pending = file->size != end;
}

static int give(struct tail_file *file, struct tail_piece *piece, const char *text, size_t len,
                uint64_t lines)
{
    *piece = (struct tail_piece){file, text, len, file->at};
    file->at.offset += len;
    file->at.number += lines;
    file->quiet_us = clock_monotonic_us();
    return TAIL_GOT_LINES;
}

/* Passes over what is in hand of a line that is too long. */
static int skip_overlong(struct tail_file *file, const char *data, size_t len,
                         struct tail_piece *piece)
{
    const char *stop = memchr(data, '\n', len);
    bool begins = !file->at.overlong;
    *piece = (struct tail_piece){.file = file, .at = file->at};
    piece->at.overlong = false;
    file->at.number += begins;
    file->at.overlong = stop == NULL;
    file->at.offset += stop != NULL ? (size_t)(stop - data) + 1 : len;
    file->quiet_us = clock_monotonic_us();
    return begins ? TAIL_GOT_OVERLONG : TAIL_NOTHING;
}

/* Decides what to do with `len` octets read at the place in hand. */
static int take(struct tail_file *file, const char *data, size_t len, bool at_end,
                struct tail_piece *piece)
{
    size_t whole = whole_lines(data, len);
    if (len == 0) {
        set_end(file, file->at.offset);
        return TAIL_NOTHING;
    }
    if (file->at.overlong || (whole == 0 && len > RECORD_LEN_MAX)) {
        int got = skip_overlong(file, data, len, piece);
        file->pending = true; /* what follows it */
        return got;
    }
    if (at_end) {
        set_end(file, file->at.offset + len);
    }
    return whole > 0 ? give(file, piece, data, whole, count_lines(data, whole)) : TAIL_NOTHING;
}

/* Reads once more than a piece where that holds no whole line. */
static int64_t read_some(struct tail_file *file, char *buffer, size_t *asked)
{
    *asked = TAIL_READ_LEN;
    int64_t got = tail_read_at(file->fd, buffer, *asked, file->at.offset);
    if (got == (int64_t)*asked && whole_lines(buffer, *asked) == 0 && !file->at.overlong) {
        *asked = TAIL_BUFFER_LEN;
        got = tail_read_at(file->fd, buffer, *asked, file->at.offset);
    }
    return got;
}

int tail_file_read(struct tail_file *file, char *buffer, struct tail_piece *piece)
{
    size_t asked;
    int got = TAIL_NOTHING;
    while (got == TAIL_NOTHING && !file->replaced && file->pending) {
        int64_t len = read_some(file, buffer, &asked);
        if (len < 0) {
            return (int)len;
        }
        enum check same = check(file, file->at.offset + (uint64_t)len);
        file->replaced = same != CHECK_SAME;
        /* Shrunk to before what was read: the octets are from before that, and good. Otherwise
         * nobody knows which file they are of. */
        if (same != CHECK_CHANGED) {
            got = take(file, buffer, (size_t)len, (size_t)len < asked, piece);
        }
    }
    return got == TAIL_NOTHING && file->replaced ? TAIL_REPLACED : got;
}

int tail_file_rest(struct tail_file *file, char *buffer, struct tail_piece *piece)
{
    int64_t len = tail_read_at(file->fd, buffer, RECORD_LEN_MAX, file->at.offset);
    if (len <= 0 || file->at.overlong || file->replaced) {
        return TAIL_NOTHING;
    }
    return give(file, piece, buffer, (size_t)len, 1);
}
