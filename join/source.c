/* join/source.c -- where flow records are read from
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/clock.h"
#include "join/loki_input.h"

enum { RAW_LEN = 128 * 1024 };

/* A zstd frame may ask for any window; more than this is nobody's log. */
enum { ZSTD_WINDOW_LOG_MAX = 27 };

static int append(struct source_list *list, const char *path)
{
    char **paths = reallocarray(list->paths, list->count + 1, sizeof(*paths));
    if (paths == NULL) {
        return -ENOMEM;
    }
    list->paths = paths;
    struct cluster_name *clusters =
        reallocarray(list->clusters, list->count + 1, sizeof(*clusters));
    if (clusters == NULL) {
        return -ENOMEM;
    }
    list->clusters = clusters;
    clusters[list->count].text[0] = '\0';
    paths[list->count] = strdup(path);
    if (paths[list->count] == NULL) {
        return -ENOMEM;
    }
    list->count++;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        list->bytes += (uint64_t)st.st_size;
    }
    return 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The regular files of a directory, by name: a pipe among them would be waited for. */
static int add_directory(struct source_list *list, const char *dir, struct why *why)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, visible, alphasort);
    int err = 0;
    if (count < 0) {
        return why_set(why, -errno, "%s: %s", dir, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        struct stat st;
        if (err == 0 && asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
            err = -ENOMEM;
        } else if (err == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            err = append(list, path);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return err;
}

static int add_glob(struct source_list *list, const char *pattern, struct why *why)
{
    glob_t found;
    int result = glob(pattern, 0, NULL, &found);
    int err = 0;
    if (result != 0) {
        return result == GLOB_NOSPACE ? -ENOMEM
                                      : why_set(why, -ENOENT, "%s: no file matches", pattern);
    }
    for (size_t i = 0; i < found.gl_pathc && err == 0; i++) {
        err = append(list, found.gl_pathv[i]);
    }
    globfree(&found);
    return err;
}

/* What is before the suffix, marked with the cluster. */
static int add_of_cluster(struct source_list *list, const char *source, size_t len,
                          const struct cluster_name *cluster, struct why *why)
{
    size_t first = list->count;
    char *path = strndup(source, len);
    int err = path == NULL ? -ENOMEM : source_list_add(list, path, why);
    for (size_t i = first; i < list->count; i++) {
        list->clusters[i] = *cluster;
    }
    free(path);
    return err;
}

/* A query may end in what looks like a cluster's name; so that is a parameter there. */
static int add_loki(struct source_list *list, const char *text, struct why *why)
{
    struct loki_source source;
    int err = loki_source_parse(&source, text, clock_now_us(), why);
    if (err != 0) {
        return err;
    }
    err = append(list, text);
    if (err == 0 && source.cluster != NULL) {
        snprintf(list->clusters[list->count - 1].text, sizeof(list->clusters[0].text), "%s",
                 source.cluster);
    }
    loki_source_fini(&source);
    return err;
}

int source_list_add(struct source_list *list, const char *source, struct why *why)
{
    struct stat st;
    struct cluster_name cluster;
    size_t len;
    if (loki_source_is(source)) {
        return add_loki(list, source, why);
    }
    if (!cluster_split(source, &len, &cluster)) {
        return why_set(why, W_EUSAGE,
                       "%.200s: expected a cluster's name of 1 to %d octets at its end", source,
                       CLUSTER_NAME_MAX);
    }
    if (source[len] != '\0') {
        return add_of_cluster(list, source, len, &cluster, why);
    }
    if (strcmp(source, "-") == 0) {
        return append(list, source);
    }
    if (stat(source, &st) == 0) {
        return S_ISDIR(st.st_mode) ? add_directory(list, source, why) : append(list, source);
    }
    int err = -errno;
    if (strpbrk(source, "*?[") != NULL) {
        return add_glob(list, source, why);
    }
    return why_set(why, err, "%s: %s", source, strerror(-err));
}

void source_list_fini(struct source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->paths[i]);
    }
    free(list->paths);
    free(list->clusters);
    *list = (struct source_list){0};
}

enum codec { CODEC_UNKNOWN, CODEC_PLAIN, CODEC_GZIP, CODEC_ZSTD };

struct input {
    char *path;
    int fd;
    bool file;
    bool at_end; /* of the file */
    bool inside; /* a compressed member that is not yet whole */
    enum codec codec;
    int64_t time_us;
    uint64_t consumed;
    uint64_t size;
    struct input_feed feed; /* its read is NULL: `fd` is read */
    uint64_t given;         /* uncompressed */
    size_t peeked;          /* octets of `head` to be given before anything else */
    char head[INPUT_PEEK_MAX];
    z_stream gzip;
    ZSTD_DStream *zstd;
    size_t raw_at;
    size_t raw_len;
    char raw[RAW_LEN];
};

int input_open(struct input **out, const char *path, struct why *why)
{
    if (loki_source_is(path)) {
        return loki_input_open(out, path, why);
    }
    struct stat st;
    struct input *input = calloc(1, sizeof(*input));
    *out = NULL;
    if (input == NULL || (input->path = strdup(path)) == NULL) {
        free(input);
        return -ENOMEM;
    }
    input->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int err = input->fd < 0 || fstat(input->fd, &st) != 0 ? -errno : 0;
    if (err == 0 && S_ISDIR(st.st_mode)) {
        err = -EISDIR;
    }
    if (err != 0) {
        why_set(why, err, "%s: %s", input_name(input), strerror(-err));
        input_close(&input);
        return err;
    }
    input->file = S_ISREG(st.st_mode);
    input->time_us = clock_now_us();
    if (input->file) {
        input->size = (uint64_t)st.st_size;
        input->time_us = (int64_t)st.st_mtim.tv_sec * US_PER_S + st.st_mtim.tv_nsec / 1000;
        posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    *out = input;
    return 0;
}

int input_open_feed(struct input **out, const struct input_feed *feed)
{
    struct input *input = calloc(1, sizeof(*input));
    *out = NULL;
    if (input == NULL || (input->path = strdup(feed->name)) == NULL) {
        free(input);
        return -ENOMEM;
    }
    input->fd = -1;
    input->feed = *feed;
    input->feed.name = input->path;
    input->time_us = clock_now_us();
    *out = input;
    return 0;
}

void input_close(struct input **out)
{
    struct input *input = *out;
    if (input == NULL) {
        return;
    }
    if (input->codec == CODEC_GZIP) {
        inflateEnd(&input->gzip);
    }
    ZSTD_freeDStream(input->zstd);
    if (input->feed.close != NULL) {
        input->feed.close(input->feed.ctx);
    }
    if (input->fd > STDIN_FILENO) {
        close(input->fd);
    }
    free(input->path);
    free(input);
    *out = NULL;
}

const char *input_name(const struct input *input)
{
    return strcmp(input->path, "-") == 0 ? "standard input" : input->path;
}

uint64_t input_consumed(const struct input *input)
{
    return input->consumed;
}

uint64_t input_size(const struct input *input)
{
    return input->size;
}

int64_t input_time_us(const struct input *input)
{
    return input->time_us;
}

bool input_is_file(const struct input *input)
{
    return input->file;
}

static int64_t read_some(struct input *input, char *data, size_t len, struct why *why)
{
    ssize_t got;
    if (input->feed.read != NULL) {
        got = input->feed.read(input->feed.ctx, data, len, why);
        input->at_end = got == 0;
        input->consumed += got > 0 ? (uint64_t)got : 0;
        return got;
    }
    do {
        got = read(input->fd, data, len);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return why_set(why, -errno, "%s: %s", input_name(input), strerror(errno));
    }
    input->at_end = got == 0;
    input->consumed += (uint64_t)got;
    return got;
}

static int start_codec(struct input *input)
{
    const unsigned char *raw = (const unsigned char *)input->raw;
    bool zlib = input->feed.zlib && input->raw_len > 0;
    input->codec = CODEC_PLAIN;
    if (zlib || (input->raw_len >= 2 && raw[0] == 0x1f && raw[1] == 0x8b)) {
        /* 16: gzip (RFC 1952), not zlib. */
        if (inflateInit2(&input->gzip, (zlib ? 0 : 16) + MAX_WBITS) != Z_OK) {
            return -ENOMEM;
        }
        input->codec = CODEC_GZIP;
    } else if (input->raw_len >= 4 && memcmp(raw, "\x28\xb5\x2f\xfd", 4) == 0) {
        input->zstd = ZSTD_createDStream();
        if (input->zstd == NULL) {
            return -ENOMEM;
        }
        ZSTD_DCtx_setParameter(input->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        input->codec = CODEC_ZSTD;
    }
    return 0;
}

/* Fills `raw` and decides the codec: four octets are needed for it. */
static int64_t find_codec(struct input *input, struct why *why)
{
    while (input->raw_len < 4 && !input->at_end) {
        int64_t got = read_some(input, input->raw + input->raw_len, RAW_LEN - input->raw_len, why);
        if (got < 0) {
            return got;
        }
        input->raw_len += (size_t)got;
    }
    return start_codec(input);
}

/* More compressed octets; 0 at the end. */
static int64_t refill(struct input *input, struct why *why)
{
    if (input->raw_at < input->raw_len) {
        return 1;
    }
    int64_t got = read_some(input, input->raw, RAW_LEN, why);
    input->raw_at = 0;
    input->raw_len = got > 0 ? (size_t)got : 0;
    return got;
}

static int64_t damaged(struct input *input, const char *kind, const char *how, struct why *why)
{
    return why_set(why, W_EDAMAGED, "%s: the %s data %s; what came before it was read",
                   input_name(input), kind, how);
}

static int64_t read_gzip(struct input *input, char *data, size_t len, struct why *why)
{
    z_stream *gzip = &input->gzip;
    for (;;) {
        int64_t more = refill(input, why);
        if (more <= 0) {
            return more < 0 ? more : input->inside ? damaged(input, "gzip", "ends early", why) : 0;
        }
        if (!input->inside && inflateReset(gzip) != Z_OK) {
            return -ENOMEM;
        }
        input->inside = true;
        gzip->next_in = (unsigned char *)input->raw + input->raw_at;
        gzip->avail_in = (unsigned)(input->raw_len - input->raw_at);
        gzip->next_out = (unsigned char *)data;
        gzip->avail_out = len > UINT32_MAX ? UINT32_MAX : (unsigned)len;
        size_t room = gzip->avail_out;
        int result = inflate(gzip, Z_NO_FLUSH);
        input->raw_at = input->raw_len - gzip->avail_in;
        if (result == Z_STREAM_END) {
            input->inside = false;
        } else if (result == Z_MEM_ERROR) {
            return -ENOMEM;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return damaged(input, "gzip", "is damaged", why);
        }
        if (gzip->avail_out < room) {
            return (int64_t)(room - gzip->avail_out);
        }
    }
}

static int64_t read_zstd(struct input *input, char *data, size_t len, struct why *why)
{
    for (;;) {
        /* Output may be left in the stream when all input is taken. */
        int64_t more = refill(input, why);
        if (more < 0) {
            return more;
        }
        ZSTD_inBuffer in = {input->raw + input->raw_at, input->raw_len - input->raw_at, 0};
        ZSTD_outBuffer out = {data, len, 0};
        size_t result =
            input->inside || in.size > 0 ? ZSTD_decompressStream(input->zstd, &out, &in) : 0;
        input->raw_at += in.pos;
        if (ZSTD_isError(result)) {
            return damaged(input, "zstd", "is damaged", why);
        }
        input->inside = result != 0;
        if (out.pos > 0) {
            return (int64_t)out.pos;
        }
        if (more == 0) {
            return input->inside ? damaged(input, "zstd", "ends early", why) : 0;
        }
    }
}

static int64_t read_uncompressed(struct input *input, char *data, size_t len, struct why *why)
{
    if (input->codec == CODEC_UNKNOWN) {
        int64_t err = find_codec(input, why);
        if (err != 0) {
            return err;
        }
    }
    if (input->codec == CODEC_GZIP) {
        return read_gzip(input, data, len, why);
    }
    if (input->codec == CODEC_ZSTD) {
        return read_zstd(input, data, len, why);
    }
    size_t rest = input->raw_len - input->raw_at;
    if (rest > 0) {
        rest = rest < len ? rest : len;
        memcpy(data, input->raw + input->raw_at, rest);
        input->raw_at += rest;
        return (int64_t)rest;
    }
    return input->at_end ? 0 : read_some(input, data, len, why);
}

int64_t input_read(struct input *input, char *data, size_t len, struct why *why)
{
    if (input->peeked > 0) {
        len = len < input->peeked ? len : input->peeked;
        memcpy(data, input->head, len);
        input->peeked -= len;
        memmove(input->head, input->head + len, input->peeked);
        return (int64_t)len;
    }
    int64_t got = read_uncompressed(input, data, len, why);
    input->given += got > 0 ? (uint64_t)got : 0;
    if (input->feed.max_bytes != 0 && input->given > input->feed.max_bytes) {
        return why_set(why, W_ELIMIT, "%s: more than %llu octets uncompressed", input_name(input),
                       (unsigned long long)input->feed.max_bytes);
    }
    return got;
}

int64_t input_peek(struct input *input, char *data, size_t len, struct why *why)
{
    size_t have = 0;
    int64_t got = 1;
    len = len < INPUT_PEEK_MAX ? len : INPUT_PEEK_MAX;
    while (have < len && got > 0) {
        got = input_read(input, input->head + have, len - have, why);
        have += got > 0 ? (size_t)got : 0;
    }
    input->peeked = have;
    memcpy(data, input->head, have);
    return got < 0 ? got : (int64_t)have;
}
