/* tests/bench/capture.h -- a Frame Streams capture, mapped, for the benchmark programs
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each benchmark program is one source file, so these functions are static.
 */
#pragma once

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct capture {
    const uint8_t *data;
    size_t size;
    size_t begin; /* first data frame */
    size_t end;   /* past the last whole one */
    uint64_t frames;
};

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

/* Finds the data frames between the START and the STOP (or the end, where STOP is missing). */
static inline int capture_scan(struct capture *c)
{
    if (c->size < 12 || get_u32(c->data) != 0 || get_u32(c->data + 8) != 2) {
        return -EINVAL;
    }
    size_t at = 8 + (size_t)get_u32(c->data + 4);
    c->begin = at;
    while (at + 4 <= c->size) {
        uint32_t len = get_u32(c->data + at);
        if (len == 0 || len > c->size - at - 4) {
            break;
        }
        at += 4 + (size_t)len;
        c->frames++;
    }
    c->end = at;
    return 0;
}

/* Maps a capture, with its pages read in. Returns 0 or -errno, and says why on stderr. */
static inline int capture_open(struct capture *c, const char *path)
{
    struct stat st;
    int err = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    memset(c, 0, sizeof(*c));
    if (fd < 0 || fstat(fd, &st) < 0) {
        err = -errno;
    } else {
        c->size = (size_t)st.st_size;
        void *map = mmap(NULL, c->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        err = map == MAP_FAILED ? -errno : 0;
        c->data = map;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (err) {
        fprintf(stderr, "%s: %s\n", path, strerror(-err));
        return err;
    }
    err = capture_scan(c);
    if (err) {
        fprintf(stderr, "%s: not a Frame Streams capture\n", path);
    }
    return err;
}
