/* join/tail_log.h -- what the files of a tail share: sources, logs, and finding files again
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as tail.h.
 */
#pragma once

#include "base/cluster.h"
#include "join/tail.h"

/* A name and the files that had it. */
struct tail_log {
    char *path; /* owned */
    uint64_t hash;
    const char *cluster;      /* of its source; NULL: none */
    bool named;               /* by the user: stays even if there is no such file */
    struct tail_file **files; /* the oldest first */
    size_t count;
    int said; /* error last told of, 0 if none */
};

/* SOURCE, as given, without a trailing '/'. */
struct tail_source {
    char *path;                  /* owned */
    struct cluster_name cluster; /* "": not said */
};

/* Standard input. */
struct tail_stream {
    bool used;
    bool ended;
    struct tail_file *file;
    struct cluster_name cluster;
    char *data; /* owned; read, but not given out */
    size_t len;
    size_t given; /* of it, with the last piece */
};

struct tail {
    struct tail_options options;
    struct tail_source **sources;
    size_t source_count;
    struct tail_log **logs;
    size_t log_count;
    size_t turn;
    size_t file_count;
    bool full_said;
    bool scan_now; /* names have come or gone */
    int64_t scanned_us;
    int64_t reaped_us;
    char *buffer;
    int notify; /* inotify, -1: none */
    int64_t looked_us;
    struct tail_totals totals;
    struct tail_stream stream;
};

void tail_say(const struct tail *tail, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Logs ---- */

/* The file that stands for what is at `path`, whatever its log; NULL if there is none. One that is
 * closed counts only if it has not become another since, for inode numbers are used again; if it
 * has grown it is followed again. */
struct tail_file *tail_known(struct tail *tail, const char *path, const struct stat *st);
/* The log of that name, made if there is none. Returns 0 or -ENOMEM. */
int tail_log_add(struct tail *tail, const char *path, bool named, const char *cluster,
                 struct tail_log **log);
/* NULL where it was not said. */
const char *tail_cluster_of(const struct tail_source *source);
/* Read to its end, as far as is known. */
bool tail_is_read(const struct tail_file *file);
/* Takes over `file` at that place of the chain; frees it where that fails. Returns 0 or -ENOMEM. */
int tail_log_insert(struct tail *tail, struct tail_log *log, size_t at, struct tail_file *file);

/* ---- tail_find.c: in the folders where files of a log may be ---- */

/* What follows the last '/'. */
const char *tail_base(const char *path);
/* True if `name` is what a rotation makes of `base`: NAME.1, NAME-20260522. */
bool tail_is_rotation(const char *name, const char *base);
/* Finds a file again that is not where it was: under another name, or as a copy of what it was.
 * It is then open. Returns 0; -ENOENT; -ENOMEM. */
int tail_relocate(struct tail *tail, const struct tail_log *log, struct tail_file *file);
/* True if the file still has a name, which is then noted. For one that is not open. */
bool tail_still_there(const struct tail_log *log, struct tail_file *file);
/* Adds files to the log that were rotated in and out since its last file was written. */
int tail_add_missed(struct tail *tail, struct tail_log *log);
/* Is what the file has, so far, what another one beside it has? It is decided only before the
 * file is read. */
enum tail_likeness { TAIL_NEW, TAIL_A_COPY, TAIL_TOO_SHORT_TO_TELL };
enum tail_likeness tail_compare(const struct tail *tail, const struct tail_file *file);

/* ---- tail_stream.c ---- */

int tail_stream_open(struct tail *tail);
void tail_stream_fini(struct tail_stream *stream);
/* As tail_file_read; what follows the last newline is given out at the end of the stream. */
int tail_stream_read(struct tail_stream *stream, struct tail_piece *piece);
