/* join/checkpoint.c -- how far a live join has got: what a restart must know
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file, numbers big-endian, texts as a length of 4 octets, the octets and a NUL:
 *
 *   8 octets   "WHITHERC"
 *   u32        version
 *   text       sink
 *   u8 u64     output: closed, length; then its head
 *   u32        number of marks; of each: texts log and path, u8 state, u64 device, inode, mtime,
 *              head, u64 offset, line, u8 overlong
 *   u32 …      repeats
 *   u32 …      interfaces
 *   16 octets  XXH3-128 of all before
 *
 * A head is u32 length and 16 octets of hash.
 */
#include "join/checkpoint.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "join/tail_log.h"

enum { MAGIC_LEN = 8, VERSION = 1, SUM_LEN = sizeof(XXH128_canonical_t) };
static const char MAGIC[MAGIC_LEN + 1] = "WHITHERC";

/* ---- Writing ---- */

static void put_u8(struct buf *buf, unsigned value)
{
    buf_char(buf, (char)value);
}

static void put_u32(struct buf *buf, uint32_t value)
{
    uint32_t big = htobe32(value);
    buf_add(buf, &big, sizeof(big));
}

static void put_u64(struct buf *buf, uint64_t value)
{
    uint64_t big = htobe64(value);
    buf_add(buf, &big, sizeof(big));
}

static void put_text(struct buf *buf, const char *text)
{
    put_u32(buf, (uint32_t)strlen(text));
    buf_add(buf, text, strlen(text) + 1);
}

static void put_head(struct buf *buf, const struct tail_head *head)
{
    put_u32(buf, head->len);
    buf_add(buf, head->hash, sizeof(head->hash));
}

struct marks_writer {
    struct buf *buf;
    uint32_t count;
};

static int put_mark(void *ctx, const struct tail_mark *mark)
{
    struct marks_writer *writer = ctx;
    struct buf *buf = writer->buf;
    put_text(buf, mark->log);
    put_text(buf, mark->path);
    put_u8(buf, mark->state);
    put_u64(buf, mark->dev);
    put_u64(buf, mark->ino);
    put_u64(buf, (uint64_t)mark->mtime_ns);
    put_head(buf, &mark->head);
    put_u64(buf, mark->place.offset);
    put_u64(buf, mark->place.number);
    put_u8(buf, mark->place.overlong);
    writer->count++;
    return 0;
}

/* Writes a number where room was left for it. */
static void patch_u32(struct buf *buf, size_t at, uint32_t value)
{
    uint32_t big = htobe32(value);
    if (buf->err == 0) {
        memcpy(buf->data + at, &big, sizeof(big));
    }
}

/* What was written since `at`, after room for its length. */
static void patch_len(struct buf *buf, size_t at)
{
    patch_u32(buf, at, (uint32_t)(buf->len - at - sizeof(uint32_t)));
}

static void encode(struct buf *buf, const char *sink, const struct out_state *out,
                   const struct tail *tail, const struct repeats *repeats,
                   const struct interfaces *interfaces, int64_t now_us)
{
    struct marks_writer writer = {buf, 0};
    buf_reset(buf);
    buf_add(buf, MAGIC, MAGIC_LEN);
    put_u32(buf, VERSION);
    put_text(buf, sink);
    put_u8(buf, out->closed);
    put_u64(buf, out->len);
    put_head(buf, &out->head);
    size_t count_at = buf->len;
    put_u32(buf, 0);
    tail_marks(tail, put_mark, &writer);
    patch_u32(buf, count_at, writer.count);
    size_t at = buf->len;
    put_u32(buf, 0);
    repeats_save(repeats, now_us, buf);
    patch_len(buf, at);
    at = buf->len;
    put_u32(buf, 0);
    interfaces_save(interfaces, buf);
    patch_len(buf, at);
    if (buf->err == 0) {
        XXH128_canonical_t sum;
        XXH128_canonicalFromHash(&sum, XXH3_128bits(buf->data, buf->len));
        buf_add(buf, sum.digest, SUM_LEN);
    }
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno != EINTR) {
            return -errno;
        }
        data += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) != 0 ? -errno : 0;
}

/* The name is durable only when its folder is. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    size_t len = (size_t)(tail_base(path) - path);
    snprintf(folder, sizeof(folder), "%.*s", len == 0 ? 1 : (int)len, len == 0 ? "." : path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int err = fsync(fd) != 0 ? -errno : 0;
    close(fd);
    return err;
}

static int replace(const char *path, const char *data, size_t len)
{
    char beside[PATH_MAX];
    size_t folder = (size_t)(tail_base(path) - path);
    /* Hidden, so that no folder or glob that is followed has it. */
    if (snprintf(beside, sizeof(beside), "%.*s.%s.new", (int)folder, path, path + folder) >=
        PATH_MAX) {
        return -ENAMETOOLONG;
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return -errno;
    }
    int err = write_all(fd, data, len);
    close(fd);
    if (err == 0 && rename(beside, path) != 0) {
        err = -errno;
    }
    if (err != 0) {
        unlink(beside);
        return err;
    }
    return sync_folder(path);
}

int checkpoint_write(const char *path, const char *sink, const struct out_state *out,
                     const struct tail *tail, const struct repeats *repeats,
                     const struct interfaces *interfaces, int64_t now_us, struct buf *scratch,
                     struct why *why)
{
    encode(scratch, sink, out, tail, repeats, interfaces, now_us);
    int err = scratch->err != 0 ? scratch->err : replace(path, scratch->data, scratch->len);
    return err == 0 ? 0 : why_set(why, err, "%s: %s", path, strerror(err > -1000 ? -err : EINVAL));
}

/* ---- Reading ---- */

/* What is left to read; `bad` is sticky. */
struct cursor {
    const char *at;
    size_t len;
    bool bad;
};

static const char *take(struct cursor *cursor, size_t len)
{
    const char *at = cursor->at;
    cursor->bad |= len > cursor->len;
    if (cursor->bad) {
        return NULL;
    }
    cursor->at += len;
    cursor->len -= len;
    return at;
}

static unsigned get_u8(struct cursor *cursor)
{
    const char *at = take(cursor, 1);
    return at != NULL ? (unsigned char)*at : 0;
}

static uint32_t get_u32(struct cursor *cursor)
{
    uint32_t big = 0;
    const char *at = take(cursor, sizeof(big));
    if (at != NULL) {
        memcpy(&big, at, sizeof(big));
    }
    return be32toh(big);
}

static uint64_t get_u64(struct cursor *cursor)
{
    uint64_t big = 0;
    const char *at = take(cursor, sizeof(big));
    if (at != NULL) {
        memcpy(&big, at, sizeof(big));
    }
    return be64toh(big);
}

static const char *get_text(struct cursor *cursor)
{
    uint32_t len = get_u32(cursor);
    const char *text = take(cursor, (size_t)len + 1);
    cursor->bad |= text == NULL || memchr(text, '\0', (size_t)len + 1) != text + len;
    return cursor->bad ? "" : text;
}

static struct tail_head get_head(struct cursor *cursor)
{
    struct tail_head head = {.len = get_u32(cursor)};
    const char *hash = take(cursor, sizeof(head.hash));
    if (hash != NULL) {
        memcpy(head.hash, hash, sizeof(head.hash));
    }
    cursor->bad |= head.len > TAIL_HEAD_LEN;
    return head;
}

static struct tail_mark get_mark(struct cursor *cursor)
{
    struct tail_mark mark = {.log = get_text(cursor)};
    mark.path = get_text(cursor);
    mark.state = (enum tail_state)get_u8(cursor);
    mark.dev = get_u64(cursor);
    mark.ino = get_u64(cursor);
    mark.mtime_ns = (int64_t)get_u64(cursor);
    mark.head = get_head(cursor);
    mark.place.offset = get_u64(cursor);
    mark.place.number = get_u64(cursor);
    mark.place.overlong = get_u8(cursor) != 0;
    cursor->bad |= mark.state > TAIL_GONE || mark.place.offset > INT64_MAX;
    return mark;
}

static int decode(struct checkpoint *checkpoint, struct cursor *cursor)
{
    checkpoint->sink = get_text(cursor);
    checkpoint->out.closed = get_u8(cursor) != 0;
    checkpoint->out.len = get_u64(cursor);
    checkpoint->out.head = get_head(cursor);
    uint32_t count = get_u32(cursor);
    if (cursor->bad || count > cursor->len) { /* a mark has many octets */
        return W_EDAMAGED;
    }
    checkpoint->marks = calloc((size_t)count + 1, sizeof(*checkpoint->marks));
    if (checkpoint->marks == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count && !cursor->bad; i++) {
        checkpoint->marks[i] = get_mark(cursor);
    }
    checkpoint->mark_count = count;
    checkpoint->repeats_len = get_u32(cursor);
    checkpoint->repeats = take(cursor, checkpoint->repeats_len);
    checkpoint->interfaces_len = get_u32(cursor);
    checkpoint->interfaces = take(cursor, checkpoint->interfaces_len);
    return cursor->bad || cursor->len != 0 ? W_EDAMAGED : 0;
}

static bool has_sum(const char *data, size_t len)
{
    XXH128_canonical_t sum;
    XXH128_canonicalFromHash(&sum, XXH3_128bits(data, len - SUM_LEN));
    return memcmp(sum.digest, data + len - SUM_LEN, SUM_LEN) == 0;
}

static int check(struct checkpoint *checkpoint, size_t len, const char *path, struct why *why)
{
    struct cursor cursor = {checkpoint->data, len, false};
    const char *magic = take(&cursor, MAGIC_LEN);
    if (len > 0 && (magic == NULL || memcmp(magic, MAGIC, MAGIC_LEN) != 0)) {
        return why_set(why, W_EFORMAT,
                       "%s is not a checkpoint of whither; name another file with --checkpoint",
                       path);
    }
    uint32_t version = get_u32(&cursor);
    if (!cursor.bad && version != VERSION) {
        return why_set(why, W_EVERSION,
                       "%s is a checkpoint of format %u, this program has format %d; go on with "
                       "the program that wrote it, or move it and the output away to begin anew",
                       path, version, VERSION);
    }
    int err =
        cursor.bad || cursor.len < SUM_LEN || !has_sum(checkpoint->data, len) ? W_EDAMAGED : 0;
    cursor.len -= err == 0 ? SUM_LEN : 0;
    err = err == 0 ? decode(checkpoint, &cursor) : err;
    return err == W_EDAMAGED
               ? why_set(why, err,
                         "%s is damaged: how far the output got is not known; move both away to "
                         "begin anew",
                         path)
               : err;
}

int checkpoint_read(struct checkpoint *checkpoint, const char *path, struct why *why)
{
    struct stat st;
    *checkpoint = (struct checkpoint){.sink = NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int err = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (err == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > CHECKPOINT_LEN_MAX)) {
        err =
            why_set(why, W_EFORMAT,
                    "%s is not a checkpoint of whither; name another file with --checkpoint", path);
    } else if (err != 0 && err != -ENOENT) {
        why_set(why, err, "%s: %s", path, strerror(-err));
    }
    int64_t got = 0;
    if (err == 0) {
        checkpoint->data = malloc((size_t)st.st_size + 1);
        err = checkpoint->data == NULL ? -ENOMEM : 0;
    }
    if (err == 0) {
        got = tail_read_at(fd, checkpoint->data, (size_t)st.st_size, 0);
        err = got < 0 ? why_set(why, (int)got, "%s: %s", path, strerror((int)-got)) : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    err = err == 0 ? check(checkpoint, (size_t)got, path, why) : err;
    if (err != 0) {
        checkpoint_fini(checkpoint);
    }
    return err;
}

void checkpoint_fini(struct checkpoint *checkpoint)
{
    free(checkpoint->marks);
    free(checkpoint->data);
    *checkpoint = (struct checkpoint){.sink = NULL};
}
