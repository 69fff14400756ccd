/* join/source.h -- where flow records are read from
 * SPDX-License-Identifier: Apache-2.0
 *
 * SOURCE on the command line is a file, a directory (its files, by name), a quoted glob, `-` for
 * standard input, or `loki:URL?query=...` (join/loki_pull.h). What is compressed with gzip or zstd
 * is found by content, whatever its name.
 * SOURCE,cluster=NAME says which cluster's it is; of Loki, &cluster=NAME.
 *
 * Threads: a list and an input belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cluster.h"
#include "base/err.h"

struct source_list {
    char **paths;                  /* owned; "-" is standard input */
    struct cluster_name *clusters; /* of each; "": not said */
    size_t count;
    uint64_t bytes; /* of the regular files among them, as on disk */
};

/* Appends what `source` stands for. Returns 0; W_EUSAGE; -ENOENT, or another -errno, with a reason
 * in `why` that names it; -ENOMEM. Of a directory, hidden files and what is no regular file are
 * left out. */
int source_list_add(struct source_list *list, const char *source, struct why *why);
void source_list_fini(struct source_list *list);

struct input;

/* Opens it. `why` names the file. */
int input_open(struct input **input, const char *path, struct why *why);
/* An input that is fed by its reader's caller: `read` gives up to `len` octets, 0 at the end, or a
 * negative error with a reason. */
struct input_feed {
    const char *name; /* for messages; copied */
    int64_t (*read)(void *ctx, char *data, size_t len, struct why *why);
    void *ctx;
    bool zlib;          /* it is a zlib stream (RFC 1950), which cannot be told by content */
    uint64_t max_bytes; /* uncompressed octets beyond which it ends with W_ELIMIT; 0: any number */
    void (*close)(void *ctx); /* called by input_close; NULL: nothing is to be done */
};
/* Returns 0 or -ENOMEM. */
int input_open_feed(struct input **input, const struct input_feed *feed);
void input_close(struct input **input);

#define INPUT_PEEK_MAX 64
/* What input_read will give first, uncompressed, up to `len` octets (INPUT_PEEK_MAX at most): fewer
 * only where the input is shorter. Before the first input_read. */
int64_t input_peek(struct input *input, char *data, size_t len, struct why *why);

/* Reads up to `len` octets, uncompressed. Returns how many, 0 at the end, or a negative error: what
 * was read before it is sound. Returns what there is as soon as there is something. */
int64_t input_read(struct input *input, char *data, size_t len, struct why *why);

/* For messages: the path, or "standard input". */
const char *input_name(const struct input *input);
/* Octets read from disk so far, and of the file (0 for what is no regular file). */
uint64_t input_consumed(const struct input *input);
uint64_t input_size(const struct input *input);
/* When the file was last written, in microseconds; now for what is no regular file. */
int64_t input_time_us(const struct input *input);
/* A regular file: its reading never waits for somebody. */
bool input_is_file(const struct input *input);
