/* join/tail_file.h -- one file that is followed: who it is, and its lines
 * SPDX-License-Identifier: Apache-2.0
 *
 * A struct tail_file stands for a content, not for a name: the octets of one inode until it is
 * truncated. The name may change under it (rotation), and so may the inode (a copy of the same
 * octets goes on where the original was truncated).
 *
 * An inode is no identity: numbers are used again. Beside (device, inode) the first octets, at most
 * TAIL_HEAD_LEN, are kept as a hash and compared whenever something is read. What was read is taken
 * only if the file is still the same after the reading.
 *
 * Only whole lines are given out. What follows the last newline is read again when there is more of
 * it, so nothing of it is kept in memory.
 *
 * Threads: a file belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "join/cutter.h"

#define TAIL_HEAD_LEN 4096
/* One piece: some lines, or a line of the greatest length. */
#define TAIL_READ_LEN ((size_t)256 * 1024)
#define TAIL_BUFFER_LEN (TAIL_READ_LEN + RECORD_LEN_MAX)

struct tail_head {
    uint32_t len;
    uint8_t hash[16]; /* XXH3 of the first `len` octets, canonical */
};

/* Where in a file. */
struct tail_place {
    uint64_t offset; /* of the next line */
    uint64_t number; /* lines before it */
    bool overlong;   /* the offset lies within a line that is passed over */
};

enum tail_state {
    TAIL_FOLLOWED, /* open */
    TAIL_DONE,     /* read to its end, and another file has followed it; closed */
    TAIL_COPY,     /* has what another file has (copytruncate); never read */
    TAIL_IGNORED,  /* compressed; never read */
    TAIL_GONE,     /* not to be found any more */
};

struct tail_file {
    char *path; /* where it was seen last; owned */
    enum tail_state state;
    int fd; /* -1 unless TAIL_FOLLOWED */
    uint64_t dev;
    uint64_t ino;
    struct tail_head head;
    struct tail_place at;
    const char *cluster;    /* that its source was said to be of; NULL: none; borrowed */
    struct cutter *cutter;  /* for whoever reads it: NULL at first; owned */
    unsigned holders;       /* as long as there are any, the file is not forgotten */
    bool kept;              /* `keep` is set */
    struct tail_place keep; /* oldest place still needed */

    /* private */
    bool pending;  /* there may be something to read */
    bool replaced; /* its content is another now */
    bool removed;  /* has no name any more */
    bool admitted; /* it was decided that it is to be read */
    bool followed; /* another file has followed it */
    bool over;     /* nothing more is to be expected of it */
    uint64_t size; /* as seen last */
    int64_t mtime_ns;
    int64_t birth_ns;  /* 0: not known */
    uint64_t end_size; /* of the file when it was read to its end */
    int64_t end_mtime_ns;
    int64_t quiet_us; /* monotonic: when something was last read of it */
};

enum tail_got {
    TAIL_NOTHING,      /* read to its end; there may be a line without its newline */
    TAIL_GOT_LINES,    /* whole lines */
    TAIL_GOT_OVERLONG, /* a line of more than RECORD_LEN_MAX octets, without its text */
    TAIL_REPLACED,     /* truncated, or written anew: this file has no more */
};

/* What was read. */
struct tail_piece {
    struct tail_file *file;
    const char *text; /* whole lines; the last line of a file may be without its newline */
    size_t len;
    struct tail_place at; /* of its first octet */
};

int64_t tail_mtime_ns(const struct stat *st);
/* When the inode was made; 0 where the file system does not say. */
int64_t tail_birth_ns(int dir_fd, const char *path);

/* Opens what is at `path`, to be read from its beginning. Returns 0; -errno with a reason in `why`;
 * -EINVAL if it is no regular file. */
int tail_file_open(struct tail_file **file, const char *path, struct why *why);
/* One that is known, but not open. Returns NULL if memory is short. */
struct tail_file *tail_file_new(const char *path);
void tail_file_free(struct tail_file **file);
void tail_file_close(struct tail_file *file);
/* Notes the name. A failed allocation keeps the old one. */
void tail_file_rename(struct tail_file *file, const char *path);

/* Looks at its size and time. */
void tail_file_look(struct tail_file *file);

/* Reads into `buffer` of TAIL_BUFFER_LEN octets. Returns an enum tail_got, or -errno. */
int tail_file_read(struct tail_file *file, char *buffer, struct tail_piece *piece);
/* What stands after the last newline, as a line: for a file that has ended. TAIL_GOT_LINES or
 * TAIL_NOTHING. */
int tail_file_rest(struct tail_file *file, char *buffer, struct tail_piece *piece);

/* What the open file begins with, of its first `len` octets. Returns 0 or -errno. */
int tail_head_of(int fd, uint64_t len, struct tail_head *head);
/* True if the open file has that head and at least `size` octets. */
bool tail_head_matches(const struct tail_head *head, int fd, uint64_t size);
/* Up to `len` octets from `offset` on; fewer only at the end. Returns how many, or -errno. */
int64_t tail_read_at(int fd, char *data, size_t len, uint64_t offset);
/* By content: gzip, zstd, xz, bzip2 or lz4. */
bool tail_is_compressed(int fd);
