/* join/tail.h -- files that grow, are rotated and replaced: each line of them once
 * SPDX-License-Identifier: Apache-2.0
 *
 * A source is a file, a directory, a glob, or `-`. Each name that a source stands for is a log: a
 * chain of files, the oldest first. Rotation by renaming adds a file to the chain: the old one is
 * read to its end, and is still read when somebody goes on writing to it, before the new one is
 * begun. Truncation (copytruncate) ends a file and begins another on the same inode; what had not
 * been read is looked for in a copy beside it. Files that were rotated in while nobody looked are
 * found by their name (NAME.1, NAME-20260522) and time.
 *
 * Looking at the files at intervals is what counts; inotify only says when to look sooner.
 *
 * Restart: a mark for each file says who it is and from where it is still needed. tail_restore
 * finds the files again, whatever they are called by then.
 *
 * Memory: TAIL_FILES_MAX files, one buffer. Threads: a tail belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "join/tail_file.h"

/* How often the files are looked at, in microseconds. */
#define TAIL_LOOK_US (INT64_C(250) * 1000)
/* How long a file that another one has followed is still watched for more. */
#define TAIL_LINGER_US (INT64_C(60) * 1000000)
/* The same for one without a name, whose space on disk only we hold. */
#define TAIL_REMOVED_US (INT64_C(10) * 1000000)
#define TAIL_FILES_MAX 2048
enum { TAIL_EXCEPT_MAX = 2 };

struct tail;

struct tail_options {
    /* Says one sentence: a file that cannot be read, data that is gone. May be NULL. */
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
    int64_t linger_us;                   /* 0: TAIL_LINGER_US */
    const char *except[TAIL_EXCEPT_MAX]; /* files never to be followed, or NULL; borrowed */
};

struct tail_totals {
    uint64_t files;     /* followed now */
    uint64_t unread;    /* octets in them that were not yet read */
    uint64_t bytes;     /* read */
    uint64_t rotated;   /* files that another one has followed */
    uint64_t truncated; /* files whose content was replaced */
    uint64_t lost;      /* files of which a part was never read */
};

/* Who a file is and from where it is needed, for a checkpoint. */
struct tail_mark {
    const char *log;  /* name of its log */
    const char *path; /* where it was seen last */
    enum tail_state state;
    uint64_t dev;
    uint64_t ino;
    int64_t mtime_ns;
    struct tail_head head;
    struct tail_place place;
};

/* `options` is copied. Returns 0 or -ENOMEM. */
int tail_new(struct tail **tail, const struct tail_options *options);
void tail_free(struct tail **tail);

/* Adds a source, as in join/source.h. A file need not be there yet. Returns 0; W_EUSAGE with a
 * reason in `why`; -ENOMEM. */
int tail_add(struct tail *tail, const char *source, struct why *why);

/* Takes over a mark, after the sources were added and before the first look; marks of one log in
 * their order. A file that is gone is told by `warn`. Returns 0 or -ENOMEM. */
int tail_restore(struct tail *tail, const struct tail_mark *mark);
/* Calls `fn` for each file that a restart must know, in the order for tail_restore: with the place
 * of tail_keep if there is one, else where it is read next. Stops when `fn` returns other than 0,
 * and returns that. */
int tail_marks(const struct tail *tail, int (*fn)(void *ctx, const struct tail_mark *mark),
               void *ctx);
/* Sets what is still needed of a file: the first call after tail_keep_none counts. */
void tail_keep(struct tail_file *file, const struct tail_place *place);
void tail_keep_none(struct tail *tail);

/* True every TAIL_LOOK_US, and sooner after a hint. */
bool tail_look_due(const struct tail *tail, int64_t monotonic_us);
/* Looks for new, rotated, truncated and removed files. Returns 0 or -ENOMEM. */
int tail_look(struct tail *tail, int64_t monotonic_us);
/* Reads from one file; the files take turns. The text lives until the next call. Returns
 * TAIL_GOT_LINES, TAIL_GOT_OVERLONG, TAIL_NOTHING (of no file), or -ENOMEM. */
int tail_read(struct tail *tail, struct tail_piece *piece);
/* The first `len` octets of a file at most, however far it is read: to find its format by. */
size_t tail_head_text(const struct tail_file *file, char *data, size_t len);

/* Waits until there may be something to read, `stop_fd` (-1: none) is readable or the time is up.
 */
void tail_wait(struct tail *tail, int stop_fd, int64_t timeout_us);
/* All sources were streams (`-`), and they have ended. */
bool tail_ended(const struct tail *tail);

struct tail_totals tail_totals(const struct tail *tail);
